"""Every error of Multitrack, in two trees.

::

    Exception
    └── MultitrackError            something is wrong with an answer, or with a file
        ├── ExtractionError        an answer that gives no valid models; holds every call, good and bad
        │   ├── NoToolCalls        it holds no tool call
        │   ├── UnknownTool        it calls a tool that was not offered
        │   ├── InvalidArguments   the arguments of a call do not fit its model
        │   ├── TruncatedResponse  it was cut off by a length limit
        │   ├── Refusal            the model, or a filter, refused
        │   └── StreamBroken       the stream ended before the answer did
        ├── StreamNotFinished      the result of a stream was asked for before its end
        ├── BadOption              a setting that is not known, or a value that does not fit it
        ├── CassetteMissing        there is no tape where one was named
        ├── CassetteCorrupt        a tape cannot be read
        ├── SecretInCassette       a tape holds a credential
        └── Unplayed               a tape holds more than was asked for, where that was to be an error

    BaseException
    └── TapeViolation              the code under test broke the tape's promise
        ├── CassetteMiss           a request that the tape cannot answer
        └── LiveCall               traffic that would leave the machine past the tape
            └── ForkedCall         it came from a process that the test forked

A `TapeViolation` is no `Exception`, so that no ``except Exception`` of an application and no retry of an SDK
can turn a missing recording into a connection error; it is raised only while a tape is active.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from multitrack.toolcall import ToolCall


class MultitrackError(Exception):
    """The root of what can be wrong with an answer or with a file."""


class ExtractionError(MultitrackError):
    """An answer could not be turned into valid models.

    The subclass says what was wrong when one thing was; an answer with bad calls of different kinds raises
    this class itself. ``calls`` are all calls of the answer in order, good and bad; ``models`` the validated
    models of the good ones; ``errors`` one error for each bad call, each with its ``.call``; ``text`` the
    text that came with or instead of the calls; ``raw`` the SDK's response object; ``attempts`` the errors of
    the earlier answers where the model was asked again, the first one first.
    """

    calls: tuple[ToolCall, ...] = ()
    models: tuple[Any, ...] = ()
    errors: tuple[ExtractionError, ...] = ()
    text: str | None = None
    raw: Any = None
    attempts: tuple[ExtractionError, ...] = ()


class NoToolCalls(ExtractionError):
    """The answer holds no tool call; ``text`` is what came instead."""


class UnknownTool(ExtractionError):
    """The answer calls a tool that was not offered. ``call`` is that call, ``offered`` the tools' names."""

    def __init__(self, message: str, *, call: ToolCall, offered: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.call = call
        self.offered = tuple(offered)


class InvalidArguments(ExtractionError):
    """The arguments of a call do not fit its model.

    ``call`` is that call, ``details`` are Pydantic's error dictionaries (``type``, ``loc``, ``msg``,
    ``input``), as https://docs.pydantic.dev/latest/errors/errors/ describes them; empty where the arguments
    are no JSON.
    """

    def __init__(self, message: str, *, call: ToolCall, details: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(message)
        self.call = call
        self.details = tuple(details)


class TruncatedResponse(ExtractionError):
    """The answer was cut off by a limit on its length (``finish_reason`` ``length`` or ``MAX_TOKENS``)."""


class Refusal(ExtractionError):
    """The model refused, or a filter withheld the answer; ``text`` is the refusal."""


class StreamBroken(ExtractionError):
    """The stream ended early or with an error event; ``models`` are those of the calls that were complete."""


class StreamNotFinished(MultitrackError):
    """The whole result of a stream was asked for before the stream had been read to its end."""


class BadOption(MultitrackError, ValueError):
    """A setting that is not known, or a value that does not fit it; the message names where it was set."""


class CassetteMissing(MultitrackError):
    """There is no tape at the path that was named."""


class CassetteCorrupt(MultitrackError):
    """A tape cannot be read. ``path`` names it, ``line`` the line from 1 where one is known."""

    def __init__(self, path: Path, reason: str, *, line: int | None = None) -> None:
        where = f"{path}, line {line}" if line is not None else f"{path}"
        super().__init__(
            f"{where}: the cassette is damaged: {reason}\n"
            f"  restore it (git checkout -- {path}), or delete it and record again (pytest --record)"
        )
        self.path = path
        self.line = line
        self.reason = reason


class SecretInCassette(MultitrackError):
    """A tape about to be written, or already written, holds a credential."""


class Unplayed(MultitrackError):
    """A tape holds more than was asked for; raised only with the setting ``strict``."""


class TapeViolation(BaseException):
    """The code under test broke the tape's promise. No ``Exception``: nothing may swallow or retry it."""


class CassetteMiss(TapeViolation):
    """A request was sent that the tape cannot answer. The message names the reason and the nearest recording."""


class LiveCall(TapeViolation):
    """Traffic would have left the machine past the tape, by a client that no seam sees."""


class ForkedCall(LiveCall, Exception):
    """A process that the test forked sent a request. An ``Exception`` as well, since pools of processes wait for ever
    for a worker that ends by anything else."""
