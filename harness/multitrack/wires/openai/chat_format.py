"""The wire format ``openai.chat``: chat completions from OpenAI and the many compatible providers.

https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from multitrack.wires.answer import WireAnswer
from multitrack.wires.call_names import assign_distinct_ids, sanitize_name
from multitrack.wires.lenient_json import as_object, as_objects, as_text
from multitrack.wires.openai import chat_answer
from multitrack.wires.openai.chat_stream import ChatStreamDecoder
from multitrack.wires.openai.openai_schema import write_parameters, write_strict_parameters
from multitrack.wires.openai.openai_sdk import SDKS
from multitrack.wires.tool import RequestMessage, RequestSummary, ToolDefinition, ToolResult
from multitrack.wires.wire_format import WireFormat

if TYPE_CHECKING:
    from multitrack.wires.stream_text import StreamChunk


class ChatFormat(WireFormat):
    """OpenAI's chat completions API."""

    __slots__ = ()

    name = "openai.chat"
    precedence = 80
    declaration_key = "function"
    # Gemini's OpenAI-compatible endpoint sends thought signatures, and so does OpenRouter.
    opaque_keys = frozenset({"id", "signature", "thought_signature"})
    end_marks = (rb"data: \[DONE\]",)
    sdks = SDKS

    def recognize_answer(self, document: Mapping[str, Any]) -> str | None:
        choices = document.get("choices")
        if not isinstance(choices, list):
            return None
        is_chunk = document.get("object") == "chat.completion.chunk" or any(
            "delta" in choice for choice in as_objects(choices)
        )
        return self.stream_name if is_chunk else self.name

    def recognizes_error(self, error: Mapping[str, Any]) -> bool:  # noqa: ARG002
        # All OpenAI formats use the same form for errors, and so do many other providers.
        return True

    def read_answer(self, document: Mapping[str, Any]) -> WireAnswer:
        return chat_answer.read_answer(document)

    def find_call(self, value: Any) -> tuple[object, object] | None:
        if isinstance(value, Mapping):
            call = next((value[key] for key in ("function", "custom") if isinstance(value.get(key), Mapping)), None)
            return None if call is None else (call.get("name"), call.get("arguments", call.get("input")))
        if hasattr(value, "function") or hasattr(value, "custom"):
            call = getattr(value, "function", None) or getattr(value, "custom", None)
            arguments = getattr(call, "arguments", getattr(call, "input", None))
            # if the arguments are not a string, the value is a model that happens to have a field with this name
            return (getattr(call, "name", None), arguments) if isinstance(arguments, str) else None
        # the SDK's `FunctionCall`, for the call in an answer from before tool calls existed
        if type(value).__module__ == "openai.types.chat.chat_completion_message":
            return getattr(value, "name", None), getattr(value, "arguments", None)
        return None

    def create_stream_decoder(self) -> ChatStreamDecoder:
        return ChatStreamDecoder()

    def usual_finish_reason(self, answer: WireAnswer) -> str:
        return "tool_calls" if answer.calls else "stop"

    def write_answer(self, answer: WireAnswer, original: Mapping[str, Any] | None) -> dict[str, Any]:
        # A program that only decodes answers does not need these modules.
        from multitrack.wires.openai import chat_editor, chat_encoder

        if original is not None:
            return chat_editor.edit_completion(answer, original)
        return chat_encoder.build_completion(answer)

    def write_stream(self, answer: WireAnswer, original: Sequence[StreamChunk] | None) -> list[StreamChunk]:
        from multitrack.wires.openai import chat_editor, chat_encoder
        from multitrack.wires.stream_text import StreamChunk

        if original is not None:
            return chat_editor.edit_chunks(answer, original)
        end = (None,) if answer.is_complete else ()
        return [StreamChunk(document) for document in (*chat_encoder.build_chunks(answer), *end)]

    def recognizes_request(self, document: Mapping[str, Any], url: str) -> bool:  # noqa: ARG002
        return "messages" in document

    def read_request(self, document: Mapping[str, Any]) -> RequestSummary:
        entries = as_objects(document.get("tools"))
        functions = [as_object(entry.get("function")) or as_object(entry.get("custom")) for entry in entries]
        names = [as_text(function.get("name")) for function in functions + as_objects(document.get("functions"))]
        return RequestSummary(as_text(document.get("model")), tuple(name for name in names if name))

    def read_message(self, message: Mapping[str, Any]) -> RequestMessage:
        role, text = super().read_message(message)
        calls = message.get("tool_calls")
        texts = [*([text] if text else []), *(map(self.read_content, calls) if isinstance(calls, Sequence) else ())]
        return RequestMessage(role, "\n".join(texts))

    def read_part(self, part: Mapping[str, Any]) -> str | None:
        match part:
            case {"function": {"name": str(name), **rest}}:
                return self.format_call(name, rest.get("arguments"))
        return super().read_part(part)

    def write_tools(self, tools: Sequence[ToolDefinition], *, strict: bool = False) -> list[dict[str, Any]]:
        return [{"type": "function", "function": _write_function(tool, strict)} for tool in tools]

    def continue_conversation(
        self, document: Mapping[str, Any], results: Sequence[ToolResult], remark: str | None
    ) -> list[dict[str, Any]]:
        """Return the ``messages`` that continue a conversation: the answer, the results of its calls, and the remark.

        https://platform.openai.com/docs/guides/function-calling
        """
        messages = [as_object(choice.get("message")) for choice in as_objects(document.get("choices"))]
        entries = [entry for message in messages for entry in as_objects(message.get("tool_calls"))]
        ids = assign_distinct_ids([result.call for result in results])
        extra_fields: dict[str, Any] = {
            key: value for message in messages for key in chat_answer.RETURNED_FIELDS if (value := message.get(key))
        }
        content = next((content for message in messages if (content := message.get("content"))), None)
        calls = [
            {
                # Keep fields such as a thought's signature: without it the provider refuses the next turn.
                **{key: value for key, value in entry.items() if key not in ("index", "custom") and value is not None},
                "id": call_id,
                "type": "function",
                "function": {"name": sanitize_name(result.call.name), "arguments": result.call.arguments or "{}"},
            }
            for call_id, result, entry in zip(ids, results, [*entries, *[{}] * len(results)], strict=False)
        ]
        answer = [{"role": "assistant", "content": content, **extra_fields, **({"tool_calls": calls} if calls else {})}]
        responses = [
            {"role": "tool", "tool_call_id": call_id, "content": result.text}
            for call_id, result in zip(ids, results, strict=True)
        ]
        return [
            *(answer if content or calls else []),
            *responses,
            *([{"role": "user", "content": remark}] if remark else []),
        ]


def _write_function(tool: ToolDefinition, strict: bool) -> dict[str, Any]:
    description = {"description": tool.description} if tool.description else {}
    if strict:
        return {"name": tool.name, **description, "parameters": write_strict_parameters(tool), "strict": True}
    return {"name": tool.name, **description, "parameters": write_parameters(tool)}
