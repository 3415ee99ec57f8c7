"""From the arguments of OpenAI's `create` to a question, and from the SDK's answer to what a wire's decoder reads.

The same for chat completions and for the Responses API, which differ by their wire.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping
from typing import Any

import openai
from openai.types import CompletionUsage
from openai.types.responses import ResponseUsage

from multitrack.clients.question import Question
from multitrack.extraction import StreamSource
from multitrack.toolcall import ToolCall
from multitrack.wires import create_stream_decoder
from multitrack.wires.lenient_json import as_object

# by the wire: the argument that holds the conversation, and the class of its usage
_CONVERSATION = {"openai.chat": "messages", "openai.responses": "input"}
_USAGE: dict[str, Any] = {"openai.chat": CompletionUsage, "openai.responses": ResponseUsage}


class AnswerStream(StreamSource):
    """A streamed answer as the SDK's ``Stream`` or ``AsyncStream`` holds it.

    It is read from the response below the SDK's objects, since these hide ``[DONE]``, without which a stream
    that was cut off looks like one that ended.
    """

    def __init__(self, stream: Any, wire: str) -> None:
        super().__init__(create_stream_decoder(f"{wire}.stream"))
        self._stream = stream
        self._wire = wire

    @property
    def raw(self) -> Any:
        return self._stream

    @property
    def usage(self) -> Any:
        usage = self.decoder.answer.usage
        return None if usage is None else _USAGE[self._wire].construct(**usage)

    def pieces(self) -> Iterator[bytes] | AsyncIterator[bytes]:
        response = self._stream.response
        pieces: Iterator[bytes] | AsyncIterator[bytes] = (
            response.aiter_bytes() if isinstance(self._stream, openai.AsyncStream) else response.iter_bytes()
        )
        return pieces

    def feed(self, piece: bytes) -> list[ToolCall]:
        return self.decoder.feed(piece)

    def close(self) -> Awaitable[None] | None:
        closing: Awaitable[None] | None = self._stream.close()
        return closing


def asked(wire: str, response_model: Any, arguments: dict[str, Any]) -> tuple[Question[Any], dict[str, Any]]:
    """The question, and what goes to the provider."""
    options = {name: arguments.pop(name) for name in Question.OPTIONS if name in arguments}
    question: Question[Any] = Question(wire, response_model, **options)
    if "tool_choice" not in arguments:
        # as an argument it is held against every type that it may have, which takes the SDK 25 microseconds
        arguments["extra_body"] = {"tool_choice": "auto", **(arguments.get("extra_body") or {})}
    return question, {**arguments, "tools": question.tools}


def going_on(wire: str, arguments: dict[str, Any], question: Question[Any]) -> dict[str, Any]:
    """``arguments`` with what was said since the caller asked; the caller's own conversation stays as it is."""
    key = _CONVERSATION[wire]
    said = arguments.get(key)
    if isinstance(said, Iterator):
        # read once, it would be empty when the model is asked again
        said = arguments[key] = list(said)
    if not question.added:
        return arguments
    told = [{"role": "user", "content": said}] if isinstance(said, str) else said or ()
    return {**arguments, key: [*told, *question.added]}


def read_of(raw: Any) -> Mapping[str, Any]:
    """``raw`` to be read only: its objects stand for themselves, since to dump them takes as long as to read them."""
    return document_of(raw) if isinstance(raw, str) else as_object(raw)


def document_of(raw: Any) -> Mapping[str, Any]:
    """``raw`` as it is on the wire."""
    if isinstance(raw, str):
        # the SDK hands a body over as text when its content type is not JSON
        return {"error": f"no JSON: {raw[:200]!r}"}
    # what the provider left out stays out; what it sent against its own schema is no reason for a warning
    document: Mapping[str, Any] = raw.model_dump(exclude_unset=True, warnings=False)
    return document


def usage_of(raw: Any) -> Any:
    return getattr(raw, "usage", None)
