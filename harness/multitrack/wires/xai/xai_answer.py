"""Decode answers of xAI's gRPC API, which have been converted to protobuf JSON.

The messages ``GetChatCompletionResponse`` and ``GetChatCompletionChunk`` are defined in
https://github.com/xai-org/xai-proto/blob/main/proto/xai/api/v1/chat.proto. Protobuf JSON omits each field that has
its default value, such as an index of 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from multitrack.tool_call import ToolCall
from multitrack.wires.answer import WireAnswer, select_finish_reason
from multitrack.wires.lenient_json import as_object, as_objects, as_text
from multitrack.wires.stream_decoder import StreamDecoder

LENGTH_LIMITS = frozenset({"REASON_MAX_LEN", "REASON_MAX_CONTEXT"})
"""The finish reasons of an answer that a length limit cut off."""

_NORMAL_REASONS = frozenset({"REASON_STOP", "REASON_TOOL_CALLS"})
_FAILURE_REASONS = frozenset({"REASON_TIME_LIMIT"})
_TEXT_KEYS = ("content", "reasoningContent", "encryptedContent")


def read_answer(document: Mapping[str, Any]) -> WireAnswer:
    """Decode an answer from the JSON form of its protobuf message."""
    outputs = as_objects(document.get("outputs"))
    reasons = (as_text(output.get("finishReason")) for output in outputs)
    finish_reason = select_finish_reason(reasons, _NORMAL_REASONS)
    is_failure = finish_reason in _FAILURE_REASONS
    return WireAnswer(
        calls=tuple(read_call(entry, index) for index, entry in enumerate(find_entries(outputs))),
        text=_read_text(outputs),
        finish_reason=finish_reason,
        error=f"finish reason {finish_reason!r}" if is_failure else None,
        model=as_text(document.get("model")),
        usage=as_object(document.get("usage")) or None,
        is_truncated=finish_reason in LENGTH_LIMITS,
    )


def find_message(output: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the message or the delta of an output. Empty if the output is the result of a tool that xAI executes."""
    message = as_object(output.get("message", output.get("delta")))
    return {} if message.get("role") == "ROLE_TOOL" else message


def find_entries(outputs: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the tool calls in ``outputs`` that the client has to execute."""
    return [
        entry for output in outputs for entry in as_objects(find_message(output).get("toolCalls")) if is_call(entry)
    ]


def is_call(entry: Mapping[str, Any]) -> bool:
    """Return whether the client executes the call ``entry``. The other entries are for searches and tools that xAI
    runs.
    """
    return entry.get("type") in (None, "TOOL_CALL_TYPE_INVALID", "TOOL_CALL_TYPE_CLIENT_SIDE_TOOL")


def read_call(entry: Mapping[str, Any], index: int) -> ToolCall:
    """Decode an entry of ``toolCalls``."""
    function = as_object(entry.get("function"))
    return ToolCall(as_text(entry.get("id")), as_text(function.get("name")) or "", read_arguments(entry), index)


def read_arguments(entry: Mapping[str, Any]) -> str | None:
    """Return the arguments in an entry of ``toolCalls``, or None if they are absent or not a string."""
    arguments = as_object(entry.get("function")).get("arguments")
    return arguments if isinstance(arguments, str) else None


def read_index(output: Mapping[str, Any]) -> int:
    """Return the index of an output."""
    index = output.get("index")
    return index if isinstance(index, int) else 0


def find_texts(outputs: Iterable[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], list[Mapping[str, Any]]]]:
    """Return the outputs that have text, each with the messages that contain pieces of its text.

    An output without a finish reason precedes the results of a tool that xAI executes. Such outputs are left out if
    another output with text has a finish reason.
    """
    found: dict[int, list[tuple[Mapping[str, Any], Mapping[str, Any]]]] = {}
    ended: set[int] = set()
    for output in outputs:
        index = read_index(output)
        if output.get("finishReason"):
            ended.add(index)
        if as_text((message := find_message(output)).get("content")):
            found.setdefault(index, []).append((output, message))
    groups = [index for index in found if index in ended] or [*found]
    return [(found[index][0][0], [message for _, message in found[index]]) for index in groups]


def _read_text(outputs: Iterable[Mapping[str, Any]]) -> str | None:
    groups = find_texts(outputs)
    return "".join(message["content"] for message in groups[0][1]) if groups else None


class XaiStreamDecoder(StreamDecoder):
    """A decoder that joins the chunks of a stream.

    A call arrives in one piece. The calls are returned at the end, because xAI can interleave several outputs.
    """

    def __init__(self) -> None:
        super().__init__()
        self._fields: dict[str, Any] = {}
        self._outputs: dict[Any, dict[str, Any]] = {}

    def feed_chunk(self, chunk: Mapping[str, Any]) -> list[ToolCall]:
        self._fields.update({key: value for key, value in chunk.items() if key != "outputs"})
        for output in as_objects(chunk.get("outputs")):
            known = self._outputs.setdefault(read_index(output), {"message": {}})
            known.update({key: value for key, value in output.items() if key != "delta"})
            # a copy, because a server that does not stream may have sent a whole message
            message = known["message"] = dict(as_object(known["message"]))
            for key, value in as_object(output.get("delta")).items():
                before = message.get(key)
                if key in _TEXT_KEYS:
                    message[key] = (as_text(before) or "") + (as_text(value) or "")
                elif isinstance(value, list):
                    message[key] = [*(before if isinstance(before, list) else ()), *value]
                else:
                    message[key] = value
        return []

    def _complete_open_calls(self) -> list[ToolCall]:
        return list(self.answer.calls)

    @property
    def document(self) -> Mapping[str, Any]:
        return {**self._fields, "outputs": [output for _, output in sorted(self._outputs.items())]}

    @property
    def answer(self) -> WireAnswer:
        answer = read_answer(self.document)
        error = self._error or answer.error
        return replace(answer, error=error, is_complete=error is None and answer.finish_reason is not None)
