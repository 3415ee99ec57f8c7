"""Wire formats: decode and encode the tool calls in an answer, and write tools and conversations for a request.

Each function looks up the wire format in the registry and calls its methods. Live calls, replay, summaries and reports
all use these functions, so that each answer is decoded in the same way everywhere.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from multitrack.tool_call import ToolCall
from multitrack.wires import registry
from multitrack.wires.answer import WireAnswer
from multitrack.wires.framing import FrameParser
from multitrack.wires.lenient_json import as_object, as_objects
from multitrack.wires.stream_decoder import StreamDecoder
from multitrack.wires.tool import RequestSummary, ToolDefinition, ToolResult
from multitrack.wires.wire_format import WireFormat

__all__ = [
    "WIRES",
    "RequestSummary",
    "StreamDecoder",
    "ToolDefinition",
    "ToolResult",
    "WireAnswer",
    "WireFormat",
    "continue_conversation",
    "count_tokens",
    "create_stream_decoder",
    "decode",
    "encode_answer",
    "encode_stream",
    "read_answer",
    "read_request",
    "recognize",
    "write_tools",
]

# The first event of a stream shows its wire format, so a long stream is read in pieces of this many bytes.
_PIECE_SIZE = 8192

Body = bytes | bytearray | memoryview | str | Mapping[str, Any] | Sequence[Any]
"""A body as received, or parsed JSON: an object, or the list of a stream's chunks."""

if TYPE_CHECKING:
    WIRES: tuple[str, ...]
    """The names of the wire formats."""


def __getattr__(name: str) -> Any:
    if name != "WIRES":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return registry.format_names()


def decode(body: Body, wire: str | None = None) -> list[ToolCall]:
    """Return an answer's tool calls in order, including those with broken arguments.

    Args:
        body: The body as received (bytes or text), or parsed JSON: an object, or the list of a stream's chunks.
        wire: The wire format, one of ``WIRES``. Default: recognize it from the body.

    Raises:
        ValueError: If ``body`` is not an answer in that wire format. Without ``wire``: if no wire format is
            recognized.
    """
    return list(read_answer(body, wire).calls)


def read_answer(body: Body, wire: str | None = None) -> WireAnswer:
    """Decode a whole answer. Takes the same arguments and raises the same errors as ``decode``."""
    name = wire or recognize(body)
    if name is None:
        raise ValueError(
            f"the body is not an answer in a known wire format: it begins with {_preview(body)}; "
            f"if it is an answer, name its format with wire="
        )
    wire_format = registry.get_format(name)
    if name.endswith(".stream"):
        return _read_stream(body, wire_format.create_stream_decoder())
    return wire_format.read_answer(_parse_object(body, name))


def count_tokens(answer: WireAnswer, wire: str) -> int | None:
    """Return the number of tokens in a request and its ``answer``, as the provider counted them.

    None if the answer contains no token counts.
    """
    usage = answer.usage or {}
    counts = [usage.get(key) for key in registry.get_format(wire).token_keys]
    known = [count for count in counts if isinstance(count, int)]
    return sum(known) if known else None


def encode_answer(answer: WireAnswer, wire: str, original: bytes | None = None) -> bytes:
    """Return the body of an answer as a provider would send it: the inverse of ``read_answer``.

    Args:
        answer: The answer. Its calls, text, refusal and finish reason are encoded. If it has no finish reason, the
            provider's usual one is used. Without ``original``, the model and the usage of the answer are encoded,
            too, and the stream of an incomplete answer ends early.
        wire: The wire format, one of ``WIRES``.
        original: The body of a recorded answer in the same format. Only the parts that differ in ``answer`` are
            changed; all other bytes stay the same. In a call that is also in the recorded answer, only the id, the
            name and the arguments are changed. If nothing differs, the result is ``original``.

    Raises:
        ValueError: If ``wire`` is unknown, if ``original`` is not an answer in that format, or if the format cannot
            express the answer. For example, Gemini's format cannot express arguments that are broken JSON.
    """
    if wire.endswith(".stream"):
        return b"".join(encode_stream(answer, wire, original))
    # A program that only decodes answers does not need this module.
    from multitrack.wires import encoding

    return encoding.encode_answer(registry.get_format(wire), answer, original)


def encode_stream(answer: WireAnswer, wire: str, original: bytes | None = None) -> list[bytes]:
    """Return the frames of a streamed answer: its server-sent events, or the items of its JSON array.

    Takes the same arguments and raises the same errors as ``encode_answer``. Without ``original``, the stream
    consists of server-sent events. If a call in a chat completion changes, all calls in the same choice are written
    again, one after the other.
    """
    from multitrack.wires import encoding

    return encoding.encode_stream(registry.get_format(wire), answer, original)


def create_stream_decoder(wire: str) -> StreamDecoder:
    """Return a decoder for one answer that arrives as a stream in the wire format ``wire``.

    Raises:
        ValueError: If ``wire`` is not the name of a streaming wire format.
    """
    wire_format = registry.find_format(wire) if wire.endswith(".stream") else None
    if wire_format is None:
        names = ", ".join(name for name in registry.format_names() if name.endswith(".stream"))
        raise ValueError(f"{wire!r} is not a streaming wire format; use one of: {names}")
    return wire_format.create_stream_decoder()


def recognize(body: object) -> str | None:
    """Return the wire format of an answer, recognized by its shape. None if no format has that shape.

    Accepts any ``body`` and never raises an error. An error body in OpenAI's form counts as ``openai.chat``, because
    errors have the same form in all of OpenAI's formats.
    """
    match body:
        case bytes() | bytearray() | memoryview() | str():
            return _recognize_text(body)
        case Mapping():
            return registry.recognize_document(body)
        case list() | tuple():
            return _to_streaming(next((registry.recognize_document(chunk) for chunk in as_objects(body)), None))
        case _:
            return None


def write_tools(tools: Sequence[ToolDefinition], wire: str, *, strict: bool = False) -> list[dict[str, Any]]:
    """Return the value of ``tools`` in a request.

    Args:
        tools: The tools to offer.
        wire: The wire format, one of ``WIRES``. The streaming and the plain format of an API take the same tools.
        strict: Whether to write strict schemas. The provider then guarantees that calls match the schema.

    Raises:
        ValueError: If ``wire`` is not a known wire format.
        TypeError: If the schema language of the wire format cannot express a tool's parameters. Also if ``strict`` is
            set, but the format has no strict schemas.
    """
    return registry.get_format(wire).write_tools(tools, strict=strict)


def continue_conversation(
    document: Mapping[str, Any], results: Sequence[ToolResult], wire: str, *, remark: str | None = None
) -> list[dict[str, Any]]:
    """Return the messages that continue a conversation after an answer.

    Args:
        document: The parsed body of the answer.
        results: One result for each tool call in the answer, in order.
        wire: The wire format, without ``.stream``.
        remark: Text to add as a user message.

    Returns:
        The answer, the results and the remark, encoded in the wire format.

    Raises:
        ValueError: If ``wire`` is not a known wire format.
    """
    return registry.get_format(wire).continue_conversation(document, results, remark)


def read_request(body: object, url: str = "") -> RequestSummary:
    """Return the names of the model and of the tools in a request body. Accepts any ``body`` without an error.

    Args:
        body: The body as received (bytes or text), or parsed JSON, in any wire format.
        url: The URL of the request, if it is known. It distinguishes wire formats whose bodies look the same.
    """
    document = as_object(_parse_json(body) if isinstance(body, (bytes, bytearray, memoryview, str)) else body)
    wire_format = registry.recognize_request(document, url)
    return RequestSummary(None, ()) if wire_format is None else wire_format.read_request(document)


def _recognize_text(body: bytes | bytearray | memoryview | str) -> str | None:
    document = _parse_json(body)
    if document is not None:
        return recognize(document)
    frames = FrameParser()
    data = _encode(body)
    for start in range(0, len(data), _PIECE_SIZE):
        for frame in frames.feed(data[start : start + _PIECE_SIZE]):
            if (wire := recognize(_parse_json(frame.data))) is not None:
                return _to_streaming(wire)
    last = (recognize(_parse_json(frame.data)) for frame in frames.close())
    return _to_streaming(next(last, None))


def _to_streaming(wire: str | None) -> str | None:
    return wire if wire is None or wire.endswith(".stream") else f"{wire}.stream"


def _read_stream(body: Body, decoder: StreamDecoder) -> WireAnswer:
    if isinstance(body, (bytes, bytearray, memoryview, str)):
        # in pieces, because the events of a long stream need ten times as much memory as its bytes
        data = memoryview(_encode(body))
        for start in range(0, len(data), _PIECE_SIZE):
            decoder.feed(bytes(data[start : start + _PIECE_SIZE]))
        decoder.close()
    else:
        for chunk in [body] if isinstance(body, Mapping) else as_objects(body):
            decoder.feed_chunk(chunk)
    return decoder.answer


def _parse_object(body: Body, wire: str) -> Mapping[str, Any]:
    document = _parse_json(body) if isinstance(body, (bytes, bytearray, memoryview, str)) else body
    if not isinstance(document, Mapping):
        raise ValueError(
            f"the body is not an answer in the wire format {wire}: it begins with {_preview(body)}, "
            f"which is not a JSON object; pass the whole body, or another wire="
        )
    return document


def _parse_json(body: bytes | bytearray | memoryview | str) -> Any:
    """Parse ``body``, or return None if it is not valid JSON."""
    try:
        text = body.removeprefix("\ufeff") if isinstance(body, str) else bytes(body).decode("utf-8-sig")
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _encode(body: bytes | bytearray | memoryview | str) -> bytes:
    # A lone surrogate cannot be encoded as UTF-8, but one bad character must not make the whole answer unreadable.
    return body.encode("utf-8", "surrogatepass") if isinstance(body, str) else bytes(body)


def _preview(body: object) -> str:
    cut = body[:60] if isinstance(body, (bytes, bytearray, memoryview, str)) else body
    return repr(bytes(cut) if isinstance(cut, (bytearray, memoryview)) else cut)[:80]
