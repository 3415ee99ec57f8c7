"""A tape without a cassette, for the tests and for the processes that they start."""

from __future__ import annotations

from multitrack.tape.exchange import Replay, Request, Response

CHAT = b'{"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "choices": []}'


class MemoryTape:
    """Answer every request with the same JSON. ``mode`` is the mode that the tape claims to have."""

    def __init__(self, body: bytes = CHAT, *, mode: str = "replay") -> None:
        self.mode = mode
        self.body = body
        self.requests: list[Request] = []

    def route(self, request: Request) -> Replay:
        self.requests.append(request)
        return Replay(Response(200, "OK", (("content-type", "application/json"),), self.body))
