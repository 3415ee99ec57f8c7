"""A reply, over HTTP or gRPC, ready to be written to a connection."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from multitrack.standin.identity import Headers
from multitrack.standin.script import Answer, Error


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A reply over HTTP.

    ``chunks`` are written one by one, ``chunk_delay`` seconds apart, ``delay`` seconds after the request;
    chunk by chunk of the transfer encoding where ``streamed``, under a content-length otherwise. With
    ``closes_after``, the connection is closed after so many chunks; with ``silent``, without any answer.
    """

    status: int
    headers: Headers
    chunks: tuple[bytes, ...]
    streamed: bool = False
    delay: float = 0
    chunk_delay: float = 0
    closes_after: int | None = None
    silent: bool = False


@dataclass(frozen=True, slots=True)
class GrpcReply:
    """A reply over gRPC: ``metadata`` at its beginning, ``messages`` on the wire, and ``error`` at its end.

    ``chunk_delay`` and ``delay`` are those of `HttpReply`.
    """

    metadata: Headers
    messages: tuple[bytes, ...] = ()
    error: Error | None = None
    delay: float = 0
    chunk_delay: float = 0


def with_own(answer: Answer, headers: Headers) -> Headers:
    """``headers`` with those of ``answer`` in the place of their namesakes."""
    own = {name.lower(): value for name, value in answer.headers.items()}
    return (*((name, value) for name, value in headers if name not in own), *own.items())


def shaped(answer: Answer, status: int, headers: Headers, pieces: Iterable[bytes], *, streamed: bool) -> HttpReply:
    """A reply of ``pieces`` that travels as ``answer`` says: cut, delayed, with its headers, closed early."""
    chunks = tuple(pieces)
    if answer.chunk_size is not None:
        whole = b"".join(chunks)
        chunks = tuple(whole[at : at + answer.chunk_size] for at in range(0, len(whole), answer.chunk_size))
    return HttpReply(
        status,
        with_own(answer, headers),
        chunks,
        streamed=streamed,
        delay=answer.delay,
        chunk_delay=answer.chunk_delay,
        closes_after=answer.after if answer.close else None,
        silent=answer.close and answer.after is None,
    )


def events(stream: str) -> list[bytes]:
    """The events of a text/event-stream, each with the blank line that ends it."""
    return [event.encode() for event in re.split(r"(?<=\n\n)|(?<=\r\n\r\n)", stream) if event]


def fragments(text: str, size: int) -> Sequence[str]:
    """``text`` in pieces of ``size`` characters."""
    return [text[at : at + size] for at in range(0, len(text), size)]
