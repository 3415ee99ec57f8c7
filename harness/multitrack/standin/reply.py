"""A reply over HTTP or gRPC, ready to be written to a connection."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from multitrack.standin.identity import Headers
from multitrack.standin.script import ScriptedAnswer, ScriptedError


@dataclass(frozen=True, slots=True)
class AnswerPart:
    """One event or message of an answer, or the whole answer if it is not streamed.

    ``starts_call`` is the position of the call that starts with this part. For the first part after the last call, it
    is the number of calls. For all other parts, it is None.
    """

    content: bytes
    starts_call: int | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes that are written in one piece when all ``gates`` are open."""

    content: bytes
    gates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A reply over HTTP.

    Attributes:
        streamed: Whether to use the chunked transfer encoding, with one transfer chunk for each chunk. If false, a
            ``content-length`` header is sent instead.
        delay: Seconds between the request and the reply.
        chunk_delay: Seconds between two chunks.
        closes_after: The number of chunks after which the connection is closed; None if all are sent.
        silent: Whether the connection is closed without any reply.
    """

    status: int
    headers: Headers
    chunks: tuple[Chunk, ...]
    streamed: bool = False
    delay: float = 0
    chunk_delay: float = 0
    closes_after: int | None = None
    silent: bool = False


@dataclass(frozen=True, slots=True)
class GrpcReply:
    """A reply over gRPC.

    Attributes:
        metadata: The initial metadata.
        messages: The serialized messages.
        error: The status that ends the call; None for success.
        fails_after: The number of messages before ``error``; None if all are sent.
        delay: See ``HttpReply``.
        chunk_delay: See ``HttpReply``.
    """

    metadata: Headers
    messages: tuple[Chunk, ...] = ()
    error: ScriptedError | None = None
    fails_after: int | None = None
    delay: float = 0
    chunk_delay: float = 0


def merge_headers(answer: ScriptedAnswer, headers: Headers) -> Headers:
    """Return ``headers`` together with the headers of ``answer``.

    If both have a header of the same name, the result contains the one from ``answer``.
    """
    scripted = {name.lower(): value for name, value in answer.headers.items()}
    return (*((name, value) for name, value in headers if name not in scripted), *scripted.items())


def build_http_reply(
    answer: ScriptedAnswer, status: int, headers: Headers, parts: Iterable[AnswerPart], *, streamed: bool
) -> HttpReply:
    """Return the reply that sends ``parts`` with the chunk size, delays and headers of ``answer``.

    The reply also closes the connection if the script of ``answer`` requires this.
    """
    parts = list(parts) if answer.chunk_size is None else _resize_parts(parts, answer.chunk_size)
    return HttpReply(
        status,
        merge_headers(answer, headers),
        add_gates(parts, answer, streamed=streamed),
        streamed=streamed,
        delay=answer.delay,
        chunk_delay=answer.chunk_delay,
        closes_after=count_parts_before_break(parts, answer) if answer.close else None,
        silent=answer.close and not answer.breaks_off,
    )


def count_parts_before_break(parts: Sequence[AnswerPart], answer: ScriptedAnswer) -> int | None:
    """Return how many of ``parts`` are sent before ``answer`` ends midway, or None if it does not end midway."""
    if answer.after_calls is None:
        return answer.after
    return next((number for number, part in enumerate(parts) if part.starts_call == answer.after_calls), 0)


def end_with_error(parts: Sequence[AnswerPart], answer: ScriptedAnswer, error: bytes) -> list[AnswerPart]:
    """Return the parts of ``answer`` that are sent before it ends early, followed by ``error``."""
    count = count_parts_before_break(parts, answer) or 0
    starts_call = parts[count].starts_call if count < len(parts) else None
    return [*parts[:count], AnswerPart(error, starts_call)]


def add_gates(parts: Iterable[AnswerPart], answer: ScriptedAnswer, *, streamed: bool) -> tuple[Chunk, ...]:
    """Return ``parts`` as chunks. Where ``answer`` has a gate, the chunk waits for this gate.

    A gate can be set before each call and before the end. If the answer is not streamed, its first chunk waits for
    all gates.
    """
    gates = [call.gate for call in answer.calls] + [answer.gate]
    if not streamed:
        all_gates = tuple(gate for gate in gates if gate is not None)
        return tuple(Chunk(part.content, () if number else all_gates) for number, part in enumerate(parts))
    gates_by_call = {number: (gate,) for number, gate in enumerate(gates) if gate is not None}
    return tuple(
        Chunk(part.content, () if part.starts_call is None else gates_by_call.get(part.starts_call, ()))
        for part in parts
    )


def _resize_parts(parts: Iterable[AnswerPart], size: int) -> list[AnswerPart]:
    """Divide the content of ``parts`` into parts of ``size`` bytes. A part before a new call can be shorter."""
    sections: list[tuple[int | None, bytearray]] = []
    for part in parts:
        if part.starts_call is not None or not sections:
            sections.append((part.starts_call, bytearray()))
        sections[-1][1].extend(part.content)
    return [
        AnswerPart(bytes(content[start : start + size]), None if start else starts_call)
        for starts_call, content in sections
        for start in range(0, len(content), size)
    ]


def split_events(stream: str) -> list[bytes]:
    """Return the events of a ``text/event-stream``, each with the blank line that ends it."""
    return [event.encode() for event in re.split(r"(?<=\n\n)|(?<=\r\n\r\n)", stream) if event]
