"""Pace: how fast a tape plays."""

from __future__ import annotations

from dataclasses import replace

from multitrack.tape.exchange import Replay, Response

# by what clients decide, and for how long they wait: https://github.com/openai/openai-python#retries
_TIMEOUT, _CONFLICT, _TOO_MANY, _SERVER_ERROR = 408, 409, 429, 500


def replay(recorded: Response, pace: str) -> Replay:
    """How ``recorded`` is played: as slowly as it came where ``pace`` is ``recorded``, else at once. Then an answer
    after which clients try again tells them to wait for a millisecond; on the tape, it keeps what it said."""
    if pace == "recorded":
        return Replay(recorded, paced=True)
    return Replay(_without_waiting(recorded) if _is_retried(recorded) else recorded)


def _is_retried(response: Response) -> bool:
    if (asked := response.header("x-should-retry")) is not None:
        return asked == "true"
    return response.status in (_TIMEOUT, _CONFLICT, _TOO_MANY) or response.status >= _SERVER_ERROR


def _without_waiting(response: Response) -> Response:
    waits = {"retry-after-ms": "1", "retry-after": "0"}
    headers = tuple((name, waits.get(name, value)) for name, value in response.headers)
    if response.header("retry-after-ms") is None:
        headers += (("retry-after-ms", "1"),)
    return replace(response, headers=headers)
