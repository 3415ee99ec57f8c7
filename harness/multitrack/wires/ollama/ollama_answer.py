"""Decode an answer from Ollama's own API, in one piece or streamed as JSON lines.

https://docs.ollama.com/api/chat and https://docs.ollama.com/api/generate
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from multitrack.tool_call import ToolCall
from multitrack.wires.answer import WireAnswer
from multitrack.wires.call_queue import CallFields
from multitrack.wires.lenient_json import as_object, as_objects, as_text, error_message, to_compact_json
from multitrack.wires.stream_decoder import StreamDecoder

LENGTH_LIMIT = "length"
"""The ``done_reason`` of an answer that a length limit cut off."""

USAGE_KEYS = (
    "total_duration",
    "load_duration",
    "prompt_eval_count",
    "prompt_eval_duration",
    "eval_count",
    "eval_duration",
)
"""The fields of an answer that count tokens, or measure times in nanoseconds."""


def read_answer(document: Mapping[str, Any]) -> WireAnswer:
    """Decode the parsed body of an answer."""
    message, text_key = find_message(document)
    error = error_message(document.get("error"))
    finish_reason = as_text(document.get("done_reason"))
    return WireAnswer(
        calls=tuple(ToolCall(*fields, index) for index, fields in enumerate(read_calls(message))),
        text=as_text(message.get(text_key)),
        finish_reason=finish_reason,
        error=error,
        model=as_text(document.get("model")),
        usage=read_usage(document),
        is_complete=document.get("done") is not False,
        is_truncated=finish_reason == LENGTH_LIMIT,
    )


def find_message(document: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """Return the object that holds the content of an answer or a chunk, and the key of the text in this object.

    The object also holds the thoughts and the calls. For ``/api/generate``, it is the answer itself, which has no
    ``message``.
    """
    message = document.get("message")
    return (document, "response") if message is None else (as_object(message), "content")


def read_calls(message: Mapping[str, Any]) -> Iterator[CallFields]:
    """Yield the id, the name and the arguments of each call. Only new Ollama releases send ids."""
    for entry in as_objects(message.get("tool_calls")):
        function = as_object(entry.get("function"))
        yield as_text(entry.get("id")), as_text(function.get("name")) or "", read_arguments(entry)


def read_arguments(entry: Mapping[str, Any]) -> str | None:
    """Return the arguments of a call as compact JSON, or None if they are absent. A string is returned unchanged."""
    arguments = as_object(entry.get("function")).get("arguments")
    return arguments if arguments is None or isinstance(arguments, str) else to_compact_json(arguments)


def read_usage(document: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the numbers of tokens and the durations, or None if there are none."""
    return {key: document[key] for key in USAGE_KEYS if document.get(key) is not None} or None


class OllamaStreamDecoder(StreamDecoder):
    """A decoder that joins the chunks of a stream. Each chunk has new text, new thoughts, or whole calls.

    The calls are returned in the order in which they arrive, and not sorted by ``index``, because some releases of
    Ollama send the same ``index`` with every call.
    """

    def __init__(self) -> None:
        super().__init__()
        self._fields: dict[str, Any] = {}
        self._message: dict[str, Any] = {}
        self._calls: list[ToolCall] = []
        self._entries: list[Mapping[str, Any]] = []
        self._text_key = "content"

    def feed_chunk(self, chunk: Mapping[str, Any]) -> list[ToolCall]:
        self._error = self._error or error_message(chunk.get("error"))
        message, text_key = find_message(chunk)
        if message is chunk:
            message = {key: chunk[key] for key in (text_key, "thinking", "tool_calls") if key in chunk}
        if message:
            self._text_key = text_key
        self._fields.update({key: value for key, value in chunk.items() if key not in {"message", "error", *message}})
        for key, value in message.items():
            if key in (text_key, "thinking") and as_text(value):
                self._message[key] = (as_text(self._message.get(key)) or "") + value
            elif key != "tool_calls":
                self._message.setdefault(key, value)
        self._entries += as_objects(message.get("tool_calls"))
        start = len(self._calls)
        self._calls += [ToolCall(*fields, start + n) for n, fields in enumerate(read_calls(message))]
        self.has_ended = self.has_ended or chunk.get("done") is True
        return self._calls[start:]

    def _complete_open_calls(self) -> list[ToolCall]:
        return []

    @property
    def document(self) -> Mapping[str, Any]:
        calls = {"tool_calls": self._entries} if self._entries else {}
        message = {**self._message, **calls}
        return {**self._fields, **({"message": message} if self._text_key == "content" else message)}

    @property
    def answer(self) -> WireAnswer:
        finish_reason = as_text(self._fields.get("done_reason"))
        return WireAnswer(
            calls=tuple(self._calls),
            text=as_text(self._message.get(self._text_key)),
            finish_reason=finish_reason,
            error=self._error,
            model=as_text(self._fields.get("model")),
            usage=read_usage(self._fields),
            is_complete=self._error is None and self.has_ended,
            is_truncated=finish_reason == LENGTH_LIMIT,
        )
