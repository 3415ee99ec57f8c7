"""The ``ollama`` wire format: Ollama's own API, ``/api/chat`` and ``/api/generate``.

https://docs.ollama.com/api/chat. Ollama's endpoints under ``/v1`` use OpenAI's and Anthropic's formats.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from multitrack.wires.answer import WireAnswer
from multitrack.wires.lenient_json import as_object, as_objects, as_text
from multitrack.wires.ollama import ollama_answer
from multitrack.wires.ollama.ollama_answer import OllamaStreamDecoder
from multitrack.wires.tool import RequestMessage, ToolDefinition, ToolResult
from multitrack.wires.wire_format import WireFormat

if TYPE_CHECKING:
    from multitrack.wires.stream_text import StreamChunk

_OLLAMA_PATH = re.compile(r"/api/(?:chat|generate)(?:[?#]|$)")
# The fields of a request that OpenAI's chat completions do not have.
_REQUEST_FIELDS = frozenset({"keep_alive", "options", "think"})


class OllamaFormat(WireFormat):
    """The wire format of Ollama's own API, whose streams consist of JSON lines."""

    __slots__ = ()

    name = "ollama"
    token_keys = ("prompt_eval_count", "eval_count")
    precedence = 60
    instruction_keys = ("system",)
    declaration_key = "function"
    opaque_keys = frozenset({"id", "tool_call_id"})
    # Only the last `done` in a line counts, because the arguments of a call may have such a field, even in Gemini's
    # streams.
    end_marks = (rb'(?:\A|[\r\n])\{"model": ?"[^\r\n]*"done": ?true(?:(?!"done")[^\r\n])*\}',)
    sdks = MappingProxyType({"ollama": "ollama"})

    def recognize_answer(self, document: Mapping[str, Any]) -> str | None:
        is_done = document.get("done")
        has_content = isinstance(document.get("message"), Mapping) or isinstance(document.get("response"), str)
        if not isinstance(is_done, bool) or not has_content or not isinstance(document.get("model"), str):
            return None
        return self.name if is_done else self.stream_name

    def read_answer(self, document: Mapping[str, Any]) -> WireAnswer:
        return ollama_answer.read_answer(document)

    def find_call(self, value: Any) -> tuple[object, object] | None:
        # The SDK's `Message.ToolCall`. Its dictionary has the form of OpenAI's calls.
        if type(value).__module__.partition(".")[0] != "ollama" or not hasattr(value, "function"):
            return None
        return getattr(value.function, "name", None), getattr(value.function, "arguments", None)

    def create_stream_decoder(self) -> OllamaStreamDecoder:
        return OllamaStreamDecoder()

    def usual_finish_reason(self, answer: WireAnswer) -> str:  # noqa: ARG002
        return "stop"

    def write_answer(self, answer: WireAnswer, original: Mapping[str, Any] | None) -> dict[str, Any]:
        # A program that only decodes answers does not need this module.
        from multitrack.wires.ollama import ollama_encoder

        if original is not None:
            return ollama_encoder.edit_answer(answer, original)
        return ollama_encoder.build_answer(answer)

    def write_stream(self, answer: WireAnswer, original: Sequence[StreamChunk] | None) -> list[StreamChunk]:
        from multitrack.wires.ollama import ollama_encoder
        from multitrack.wires.stream_text import StreamChunk

        if original is not None:
            return ollama_encoder.edit_chunks(answer, original)
        return [StreamChunk(document) for document in ollama_encoder.build_chunks(answer)]

    def format_chunk(self, document: Mapping[str, Any] | None) -> bytes:
        # nothing follows the chunk with `done`
        return self.format_line(document)

    def recognizes_request(self, document: Mapping[str, Any], url: str) -> bool:
        if not ("messages" in document or "prompt" in document):
            return False
        return bool(_OLLAMA_PATH.search(url)) or bool(document.keys() & _REQUEST_FIELDS)

    def read_messages(self, document: Mapping[str, Any]) -> Iterator[RequestMessage]:
        yield from super().read_messages(document)
        # `/api/generate` has a prompt instead of messages
        if prompt := as_text(document.get("prompt")):
            yield RequestMessage("user", prompt)

    def read_message(self, message: Mapping[str, Any]) -> RequestMessage:
        role, text = super().read_message(message)
        calls = map(self.read_content, as_objects(message.get("tool_calls")))
        return RequestMessage(role, "\n".join([*([text] if text else []), *calls]))

    def read_part(self, part: Mapping[str, Any]) -> str | None:
        match part:
            case {"function": {"name": str(name), **rest}}:
                return self.format_call(name, rest.get("arguments"))
        return super().read_part(part)

    def write_tools(self, tools: Sequence[ToolDefinition], *, strict: bool = False) -> list[dict[str, Any]]:
        if strict:
            self.refuse_strict("Ollama has no strict schemas")
        return [{"type": "function", "function": _write_function(tool)} for tool in tools]

    def continue_conversation(
        self, document: Mapping[str, Any], results: Sequence[ToolResult], remark: str | None
    ) -> list[dict[str, Any]]:
        """Return the ``messages`` that continue a conversation: the answer, the results of its calls, and the remark.

        A result contains the name of its tool, because calls need not have an id. The thoughts of the answer are sent
        back with it: https://docs.ollama.com/capabilities/tool-calling
        """
        message, text_key = ollama_answer.find_message(document)
        calls = [_write_call(entry, result) for entry, result in
                 zip(as_objects(message.get("tool_calls")), results, strict=False)]  # fmt: skip
        thoughts = {"thinking": message["thinking"]} if as_text(message.get("thinking")) else {}
        text = as_text(message.get(text_key))
        answer = {"role": "assistant", "content": text or "", **thoughts, **({"tool_calls": calls} if calls else {})}
        return [
            *([answer] if text or calls else []),
            *map(_write_result, results),
            *([{"role": "user", "content": remark}] if remark else []),
        ]


def _write_function(tool: ToolDefinition) -> dict[str, Any]:
    description = {"description": tool.description} if tool.description else {}
    return {"name": tool.name, **description, "parameters": dict(tool.parameters)}


def _write_call(entry: Mapping[str, Any], result: ToolResult) -> dict[str, Any]:
    """Convert a call from an answer for use in a request. In a request, the arguments must be an object."""
    try:
        arguments = as_object(json.loads(result.call.arguments or "{}"))
    except (ValueError, RecursionError):
        arguments = {}
    return {**entry, "function": {**as_object(entry.get("function")), "arguments": arguments}}


def _write_result(result: ToolResult) -> dict[str, Any]:
    call_id = {"tool_call_id": result.call.id} if result.call.id else {}
    return {"role": "tool", "tool_name": result.call.name, **call_id, "content": result.text}
