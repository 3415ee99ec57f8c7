"""Replay a recorded response through aiohttp's parser, piece by piece."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from multitrack.tape.exchange import Replay
from multitrack.tape.interceptors import http1


class ResponsePlayer:
    """The replay of one response. Each time the caller waits for more of the body, one piece is delivered.

    Args:
        replay: The recorded response.
        method: The method of the request.
        receive: Called with each piece.
        end: Called after the last piece if the response is incomplete.
    """

    def __init__(self, replay: Replay, method: str, receive: Callable[[bytes], None], end: Callable[[], None]) -> None:
        self._pieces = _create_pieces(replay, method)
        self._is_complete = replay.response.ending == "complete"
        self._receive = receive
        self._end = end
        self._is_scheduled = False
        self._plays_all = False
        self.play_next()

    def play_next(self) -> None:
        """Deliver the next part of the body to a caller that waits for it."""
        if self._is_scheduled:
            return
        wait, piece = next(self._pieces, (0.0, None))
        if piece is None and self._is_complete:
            return
        self._is_scheduled = True
        loop = asyncio.get_running_loop()
        if wait:
            loop.call_later(wait, self._play, piece)
        else:
            loop.call_soon(self._play, piece)

    def play_all(self) -> None:
        """Deliver the rest of the body to a caller that waits for the end of the body without reading it."""
        self._plays_all = True
        self.play_next()

    def _play(self, piece: bytes | None) -> None:
        self._is_scheduled = False
        if piece is None:
            self._end()
            return
        self._receive(piece)
        if self._plays_all:
            self.play_next()


def _create_pieces(replay: Replay, method: str) -> Iterator[tuple[float, bytes]]:
    pieces = list(http1.encode_response(replay, method))
    # a response that is not a stream arrives at once, together with its head
    at_once = len(pieces) <= 2 and replay.response.ending == "complete" and not any(wait for wait, _ in pieces)
    return iter([(0.0, b"".join(piece for _, piece in pieces))] if at_once else pieces)
