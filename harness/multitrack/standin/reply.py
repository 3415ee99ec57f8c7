"""A reply, over HTTP or gRPC, ready to be written to a connection."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import TypeVar

from multitrack.standin.identity import Headers
from multitrack.standin.script import Answer, Error

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Piece:
    """An event or a message of an answer, or the whole of it.

    ``begins`` is the position of the call that begins with it, the number of calls for what follows the last
    one, and None for everything else.
    """

    content: bytes
    begins: int | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """What is written at once, as soon as its ``gates`` are passed."""

    content: bytes
    gates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A reply over HTTP.

    ``chunks`` are written one by one, ``chunk_delay`` seconds apart, ``delay`` seconds after the request;
    chunk by chunk of the transfer encoding where ``streamed``, under a content-length otherwise. With
    ``closes_after``, the connection is closed after so many chunks; with ``silent``, without any answer.
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
    """A reply over gRPC: ``metadata`` at its beginning, ``messages`` on the wire, and ``error`` at its end, or
    after so many messages as ``fails_after`` says.

    ``chunk_delay`` and ``delay`` are those of `HttpReply`.
    """

    metadata: Headers
    messages: tuple[Chunk, ...] = ()
    error: Error | None = None
    fails_after: int | None = None
    delay: float = 0
    chunk_delay: float = 0


def with_own(answer: Answer, headers: Headers) -> Headers:
    """``headers`` with those of ``answer`` in the place of their namesakes."""
    own = {name.lower(): value for name, value in answer.headers.items()}
    return (*((name, value) for name, value in headers if name not in own), *own.items())


def shaped(answer: Answer, status: int, headers: Headers, pieces: Iterable[Piece], *, streamed: bool) -> HttpReply:
    """A reply of ``pieces`` that travels as ``answer`` says: cut, delayed, with its headers, closed early."""
    pieces = list(pieces) if answer.chunk_size is None else _cut(pieces, answer.chunk_size)
    return HttpReply(
        status,
        with_own(answer, headers),
        gated(pieces, answer, streamed=streamed),
        streamed=streamed,
        delay=answer.delay,
        chunk_delay=answer.chunk_delay,
        closes_after=broken_off(pieces, answer) if answer.close else None,
        silent=answer.close and not answer.breaks_off,
    )


def broken_off(pieces: Sequence[Piece], answer: Answer) -> int | None:
    """How many of ``pieces`` are sent before ``answer`` breaks off; None where it does not in their middle."""
    if answer.after_calls is None:
        return answer.after
    return next((number for number, piece in enumerate(pieces) if piece.begins == answer.after_calls), 0)


def ended_by(pieces: Sequence[Piece], answer: Answer, error: bytes) -> list[Piece]:
    """``pieces`` as far as ``answer`` sends them, and the ``error`` it breaks off with."""
    sent = broken_off(pieces, answer) or 0
    begins = pieces[sent].begins if sent < len(pieces) else None
    return [*pieces[:sent], Piece(error, begins)]


def gated(pieces: Iterable[Piece], answer: Answer, *, streamed: bool) -> tuple[Chunk, ...]:
    """``pieces`` with the gates that ``answer`` has before its calls and its end; an answer in one piece waits
    for all of them."""
    gates = [call.gate for call in answer.calls] + [answer.gate]
    if not streamed:
        everyone = tuple(gate for gate in gates if gate is not None)
        return tuple(Chunk(piece.content, () if number else everyone) for number, piece in enumerate(pieces))
    before = {number: (gate,) for number, gate in enumerate(gates) if gate is not None}
    return tuple(Chunk(piece.content, () if piece.begins is None else before.get(piece.begins, ())) for piece in pieces)


def _cut(pieces: Iterable[Piece], size: int) -> list[Piece]:
    """``pieces`` as pieces of ``size`` bytes; one that ends before the beginning of a call is shorter."""
    parts: list[tuple[int | None, bytearray]] = []
    for piece in pieces:
        if piece.begins is not None or not parts:
            parts.append((piece.begins, bytearray()))
        parts[-1][1].extend(piece.content)
    return [
        Piece(bytes(part[at : at + size]), None if at else begins)
        for begins, part in parts
        for at in range(0, len(part), size)
    ]


def of_calls(answer: Answer, deltas: Callable[[int], Sequence[T]]) -> Iterator[tuple[int | None, T]]:
    """The ``deltas`` of each call, by its position, call by call, or in turn where ``answer`` interleaves; the
    first of a call with its position."""
    calls = [
        [(None if number else position, delta) for number, delta in enumerate(deltas(position))]
        for position in range(len(answer.calls))
    ]
    in_turn = chain.from_iterable(zip_longest(*calls)) if answer.interleave else chain.from_iterable(calls)
    return (delta for delta in in_turn if delta is not None)


def events(stream: str) -> list[bytes]:
    """The events of a text/event-stream, each with the blank line that ends it."""
    return [event.encode() for event in re.split(r"(?<=\n\n)|(?<=\r\n\r\n)", stream) if event]


def fragments(text: str, size: int) -> Sequence[str]:
    """``text`` in pieces of ``size`` characters."""
    return [text[at : at + size] for at in range(0, len(text), size)]
