"""A tape in memory, for the tests and for the processes they start."""

from __future__ import annotations

from multitrack.tape.exchange import Replay, Request, Response

CHAT = b'{"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "choices": []}'


class MemoryTape:
    """Replays one JSON answer to every request; ``mode`` is what it says of itself."""

    def __init__(self, body: bytes = CHAT, *, mode: str = "replay") -> None:
        self.mode = mode
        self.body = body
        self.requests: list[Request] = []

    def route(self, request: Request) -> Replay:
        self.requests.append(request)
        return Replay(Response(200, "OK", (("content-type", "application/json"),), self.body))
