"""A recorded answer on its way to aiohttp's parser, in the pieces that it once came in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from multitrack.tape.exchange import Replay
from multitrack.tape.interceptors import http1


class Playback:
    """Plays the answer of ``replay`` to a request of ``method``: each piece is handed to ``receive`` when the caller
    waits for it, however slowly it reads; behind the last one of an answer that is not whole, ``end`` is called."""

    def __init__(self, replay: Replay, method: str, receive: Callable[[bytes], None], end: Callable[[], None]) -> None:
        self._pieces = _pieces(replay, method)
        self._whole = replay.response.ending == "complete"
        self._receive = receive
        self._end = end
        self._is_coming = False
        self._hurries = False
        self.awaited()

    def awaited(self) -> None:
        """The caller waits for the next piece."""
        if self._is_coming:
            return
        wait, piece = next(self._pieces, (0.0, None))
        if piece is None and self._whole:
            return
        self._is_coming = True
        loop = asyncio.get_running_loop()
        if wait:
            loop.call_later(wait, self._play, piece)
        else:
            loop.call_soon(self._play, piece)

    def all_awaited(self) -> None:
        """The caller waits for the end, and reads nothing meanwhile."""
        self._hurries = True
        self.awaited()

    def _play(self, piece: bytes | None) -> None:
        self._is_coming = False
        if piece is None:
            self._end()
            return
        self._receive(piece)
        if self._hurries:
            self.awaited()


def _pieces(replay: Replay, method: str) -> Iterator[tuple[float, bytes]]:
    pieces = list(http1.encode_response(replay, method))
    # what is no stream comes at once, with its head
    at_once = len(pieces) <= 2 and replay.response.ending == "complete" and not any(wait for wait, _ in pieces)
    return iter([(0.0, b"".join(piece for _, piece in pieces))] if at_once else pieces)
