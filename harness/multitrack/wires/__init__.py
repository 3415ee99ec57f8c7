"""Wire formats: from the bytes of an answer to its tool calls, and from tools to a request's dialect.

One decoder for each wire, and everybody uses it: live calls, replay, summaries, reports.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from multitrack.toolcall import ToolCall
from multitrack.wires import (
    gemini,
    gemini_stream,
    openai_chat,
    openai_chat_stream,
    openai_responses,
    openai_responses_stream,
)
from multitrack.wires.answer import WireAnswer
from multitrack.wires.framing import FrameParser
from multitrack.wires.lenient_json import as_object, as_objects
from multitrack.wires.stream_decoder import StreamDecoder
from multitrack.wires.tool import RequestSummary, ToolDefinition, ToolResult

__all__ = [
    "WIRES",
    "RequestSummary",
    "StreamDecoder",
    "ToolDefinition",
    "ToolResult",
    "WireAnswer",
    "continue_conversation",
    "create_stream_decoder",
    "decode",
    "read_answer",
    "read_request",
    "recognize",
    "write_tools",
]

# the first event tells the wire, and a long stream need not be read to its end for that
_PIECE = 8192

Body = bytes | bytearray | memoryview | str | Mapping[str, Any] | Sequence[Any]
"""A body as it came off the wire, or parsed JSON: an object, or the list of a stream's chunks."""

_WHOLE: dict[str, Callable[[Mapping[str, Any]], WireAnswer]] = {
    "openai.chat": openai_chat.read_answer,
    "openai.responses": openai_responses.read_answer,
    "gemini": gemini.read_answer,
}
_STREAMED: dict[str, Callable[[], StreamDecoder]] = {
    "openai.chat.stream": openai_chat_stream.ChatStreamDecoder,
    "openai.responses.stream": openai_responses_stream.ResponsesStreamDecoder,
    "gemini.stream": gemini_stream.GeminiStreamDecoder,
}
_DIALECTS: dict[str, Callable[..., list[dict[str, Any]]]] = {
    "openai.chat": openai_chat.write_tools,
    "openai.responses": openai_responses.write_tools,
    "gemini": gemini.write_tools,
}
_CONTINUED: dict[str, Callable[[Mapping[str, Any], Sequence[ToolResult], str | None], list[dict[str, Any]]]] = {
    "openai.chat": openai_chat.continue_conversation,
    "openai.responses": openai_responses.continue_conversation,
    "gemini": gemini.continue_conversation,
}

WIRES = (
    "openai.chat",
    "openai.chat.stream",
    "openai.responses",
    "openai.responses.stream",
    "gemini",
    "gemini.stream",
)
"""The names of the wires."""


def decode(body: Body, wire: str | None = None) -> list[ToolCall]:
    """The tool calls in an answer, in order, the broken ones included.

    ``body`` is bytes, text or parsed JSON as it came off the wire; ``wire`` is one of `WIRES`, or None to
    recognize it. Raises ValueError if ``body`` is no answer of that wire, or of any known one.
    """
    return list(read_answer(body, wire).calls)


def read_answer(body: Body, wire: str | None = None) -> WireAnswer:
    """The whole answer; arguments and errors are those of `decode`."""
    name = wire or recognize(body)
    if name is None:
        raise ValueError(f"no known answer of a model: it begins with {_beginning(body)}; pass wire=...")
    if name in _STREAMED:
        return _streamed(body, create_stream_decoder(name))
    if name not in _WHOLE:
        raise ValueError(f"unknown wire {name!r}; known: {', '.join(WIRES)}")
    return _WHOLE[name](_document(body, name))


def create_stream_decoder(wire: str) -> StreamDecoder:
    """A decoder for one answer that is streamed over ``wire``, to be fed as it arrives."""
    if wire not in _STREAMED:
        raise ValueError(f"no streaming wire {wire!r}; known: {', '.join(_STREAMED)}")
    return _STREAMED[wire]()


def recognize(body: object) -> str | None:
    """The wire that an answer came over, told by its shape; None if it is no answer that we know.

    Never raises, whatever ``body`` is. An error body of OpenAI's form, which all its wires share, counts as
    ``openai.chat``.
    """
    match body:
        case bytes() | bytearray() | memoryview() | str():
            return _recognize_text(body)
        case Mapping():
            return _recognize_document(body)
        case list() | tuple():
            return _streaming(next((_recognize_document(chunk) for chunk in as_objects(body)), None))
        case _:
            return None


def write_tools(offered: Sequence[ToolDefinition], wire: str, *, strict: bool = False) -> list[dict[str, Any]]:
    """``offered`` as the ``tools`` of a request over ``wire``, streamed or not; with ``strict`` by schemas that
    OpenAI holds a model to.

    Raises TypeError where the wire's schema language cannot express a tool's parameters, and for ``strict`` where
    the wire has no such thing.
    """
    name = wire.removesuffix(".stream")
    if name not in _DIALECTS:
        raise ValueError(f"unknown wire {wire!r}; known: {', '.join(WIRES)}")
    return _DIALECTS[name](offered, strict=strict)


def continue_conversation(
    document: Mapping[str, Any], results: Sequence[ToolResult], wire: str, *, remark: str | None = None
) -> list[dict[str, Any]]:
    """What goes behind a conversation over ``wire`` when it goes on: the answer that ``document`` holds, a result
    for each of its calls in order, and what the user remarks."""
    return _CONTINUED[wire](document, results, remark)


def read_request(body: object) -> RequestSummary:
    """The model and the names of the tools in a request's body, told by its shape; never raises."""
    document = as_object(_parsed(body) if isinstance(body, (bytes, bytearray, memoryview, str)) else body)
    if "contents" in document:
        return gemini.read_request(document)
    if "messages" in document:
        return openai_chat.read_request(document)
    return openai_responses.read_request(document)


def _recognize_text(body: bytes | bytearray | memoryview | str) -> str | None:
    document = _parsed(body)
    if document is not None:
        return recognize(document)
    frames = FrameParser()
    data = _bytes(body)
    for start in range(0, len(data), _PIECE):
        for frame in frames.feed(data[start : start + _PIECE]):
            if (wire := recognize(_parsed(frame.data))) is not None:
                return _streaming(wire)
    last = (recognize(_parsed(frame.data)) for frame in frames.close())
    return _streaming(next(last, None))


def _recognize_document(document: Mapping[str, Any]) -> str | None:
    kind = document.get("type")
    if document.keys() & {"candidates", "promptFeedback", "usageMetadata"}:
        return "gemini"
    if isinstance(document.get("choices"), list):
        chunk = document.get("object") == "chat.completion.chunk" or any(
            "delta" in choice for choice in as_objects(document["choices"])
        )
        return "openai.chat.stream" if chunk else "openai.chat"
    if isinstance(kind, str) and kind.startswith("response."):
        return "openai.responses.stream"
    if document.get("object") == "response" or isinstance(document.get("output"), list):
        return "openai.responses"
    if document.get("error"):
        # https://cloud.google.com/apis/design/errors#http_mapping: only Google's errors have a status word
        return "gemini" if isinstance(as_object(document["error"]).get("status"), str) else "openai.chat"
    return None


def _streaming(wire: str | None) -> str | None:
    return wire if wire is None or wire.endswith(".stream") else f"{wire}.stream"


def _streamed(body: Body, decoder: StreamDecoder) -> WireAnswer:
    if isinstance(body, (bytes, bytearray, memoryview, str)):
        decoder.feed(_bytes(body))
        decoder.close()
    else:
        for chunk in [body] if isinstance(body, Mapping) else as_objects(body):
            decoder.feed_chunk(chunk)
    return decoder.answer


def _document(body: Body, wire: str) -> Mapping[str, Any]:
    document = _parsed(body) if isinstance(body, (bytes, bytearray, memoryview, str)) else body
    if not isinstance(document, Mapping):
        raise ValueError(f"no answer over {wire}: it begins with {_beginning(body)}, and is no JSON object")
    return document


def _parsed(body: bytes | bytearray | memoryview | str) -> Any:
    """``body`` as JSON, None if it is none."""
    try:
        text = body.removeprefix("\ufeff") if isinstance(body, str) else bytes(body).decode("utf-8-sig")
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _bytes(body: bytes | bytearray | memoryview | str) -> bytes:
    # a lone surrogate in text is no UTF-8, but one bad character makes no bad answer
    return body.encode("utf-8", "surrogatepass") if isinstance(body, str) else bytes(body)


def _beginning(body: object) -> str:
    cut = body[:60] if isinstance(body, (bytes, bytearray, memoryview, str)) else body
    return repr(bytes(cut) if isinstance(cut, (bytearray, memoryview)) else cut)[:80]
