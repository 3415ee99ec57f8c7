"""Multitrack's errors, in two trees.

::

    Exception
    └── MultitrackError            a response, a file or an option is invalid
        ├── ExtractionError        a response has no valid models, or has invalid calls
        │   ├── NoToolCalls        the response has no tool calls
        │   ├── UnknownTool        the model called a tool that was not offered
        │   ├── InvalidArguments   the arguments of a call do not match the tool's model
        │   ├── TruncatedResponse  a length limit truncated the response
        │   ├── Refusal            the model refused, or a filter blocked the response
        │   └── StreamBroken       the stream ended before the response was complete
        ├── StreamNotFinished      the result of a stream was accessed before the stream ended
        ├── BadOption              an option is unknown, or its value is invalid (also a ValueError)
        ├── CassetteMissing        there is no cassette at a path
        ├── CassetteExpired        a cassette is too old, and the ``on_expiry`` setting is "fail"
        ├── CassetteCorrupt        a cassette cannot be read
        ├── CassetteNotWritten     a recording cannot be written
        ├── SecretInCassette       a cassette contains a credential
        ├── NetworkBlocked         a test connected although the network is blocked (also a RuntimeError)
        └── Unplayed               recordings were not used, and the ``strict`` setting is on

    BaseException
    └── TapeViolation              the code under test did something that its cassette does not allow
        ├── CassetteMiss           no recording matches a request
        ├── RoutingError           Multitrack or a project hook failed to handle a request
        └── LiveCall               a request would have reached the network
            └── ForkedCall         a forked child process sent a request (also an Exception)

A ``TapeViolation`` is not an ``Exception``. If it were, an ``except Exception`` in an application, or the retries of an
SDK, would turn a missing recording into a connection error. A violation is only raised while a cassette is open.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from pathlib import Path
from traceback import FrameSummary
from typing import Any

from multitrack.tool_call import ToolCall


class MultitrackError(Exception):
    """The base class of errors about responses, files and options."""


class ExtractionError(MultitrackError):
    """A response could not be converted completely to valid models.

    The subclass says what is wrong. ``ExtractionError`` itself is raised if a response has invalid calls of different
    kinds, or if the provider returned an error instead of a response.

    Attributes:
        calls: All tool calls in the response, valid and invalid, in order.
        models: The validated models of the valid calls.
        errors: One error for each invalid call. The error's ``call`` attribute is that call.
        text: The text in the response; None if there was none.
        raw: The SDK's response object; None if there is none.
        attempts: The errors of earlier responses, oldest first, if the model was asked again (``max_retries``).
    """

    calls: tuple[ToolCall, ...] = ()
    models: tuple[Any, ...] = ()
    errors: tuple[ExtractionError, ...] = ()
    text: str | None = None
    raw: Any = None
    attempts: tuple[ExtractionError, ...] = ()


class NoToolCalls(ExtractionError):
    """The response has no tool calls. ``text`` is the text that the model wrote instead."""


class UnknownTool(ExtractionError):
    """The model called a tool that was not offered.

    Args:
        message: The message of the error.
        call: The tool call.
        offered: The names of the tools that were offered.
    """

    def __init__(self, message: str, *, call: ToolCall, offered: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.call = call
        self.offered = tuple(offered)


class InvalidArguments(ExtractionError):
    """The arguments of a tool call do not match the tool's Pydantic model.

    Args:
        message: The message of the error.
        call: The tool call.
        details: Pydantic's error dictionaries (``type``, ``loc``, ``msg``, ``input``), described in
            https://docs.pydantic.dev/latest/errors/errors/. Empty if the arguments are not valid JSON.
    """

    def __init__(self, message: str, *, call: ToolCall, details: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(message)
        self.call = call
        self.details = tuple(details)


class TruncatedResponse(ExtractionError):
    """The response was truncated by a length limit. Its finish reason is ``length``, ``max_output_tokens`` or
    ``MAX_TOKENS``.
    """


class Refusal(ExtractionError):
    """The model refused, or a filter blocked the response. ``text`` is the text of the refusal."""


class StreamBroken(ExtractionError):
    """The stream ended early or with an error. ``models`` contains the models of all complete calls."""


class StreamNotFinished(MultitrackError):
    """The complete result of a stream was accessed before the stream had been read to its end."""


class BadOption(MultitrackError, ValueError):
    """An option is unknown, or its value is invalid. The message says where the option was set."""


class CassetteMissing(MultitrackError):
    """There is no cassette at a path that the user passed."""


class CassetteCorrupt(MultitrackError):
    """A cassette cannot be read.

    Args:
        path: The cassette.
        reason: What is wrong with it.
        line: The number of the line, starting at 1; None if it is unknown.
        advice: How to fix it. None if the file is damaged, and can only be restored from an earlier version or recorded
            again.

    Attributes:
        record_hint: The command that records the content of a damaged cassette again.
    """

    def __init__(self, path: Path, reason: str, *, line: int | None = None, advice: str | None = None) -> None:
        super().__init__(path, reason)
        self.path = path
        self.line = line
        self.reason = reason
        self.advice = advice
        self.record_hint = "pytest --record"

    @property
    def is_damaged(self) -> bool:
        """True if the file itself is wrong and has to be replaced."""
        return self.advice is None

    def __str__(self) -> str:
        where = f"{self.path}, line {self.line}" if self.line is not None else f"{self.path}"
        # suggest no git command: it would fail if the file was never committed, and would change nothing if the damaged
        # file was committed
        damaged = f"restore it from version control, or delete it and record it again: {self.record_hint}"
        state = "is damaged" if self.is_damaged else "cannot be read"
        return f"{where}: the cassette {state}: {self.reason}\n  {self.advice or damaged}"


class CassetteNotWritten(MultitrackError):
    """A recording cannot be written, because the operating system does not allow it.

    Args:
        path: The cassette, or the file for pending recordings.
        error: The error that the system reported.

    Attributes:
        record_hint: The command that records the content again.
    """

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(path, error)
        self.path = path
        self.reason = error.strerror or f"{error}"
        self.code = error.errno
        self.record_hint: str | None = None

    def __str__(self) -> str:
        again = f"record again: {self.record_hint}" if self.record_hint is not None else "try again"
        return f"{self.path}: not written: {self.reason}\n  {self._find_remedy()}, then {again}"

    def _find_remedy(self) -> str:
        if self.code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return "make room on the disk"
        blocking = next((parent for parent in self.path.parents if parent.exists() and not parent.is_dir()), None)
        if blocking is not None:
            return f"move {blocking}, which is not a folder"
        if self.code in (errno.EACCES, errno.EPERM, errno.EROFS):
            return f"allow writing to {self.path.parent}"
        return "fix the problem that the operating system reported"


class SecretInCassette(MultitrackError):
    """A cassette contains a credential, or would contain one if it were written."""


class NetworkBlocked(MultitrackError, RuntimeError):
    """A test tried to connect although its network is blocked. The message shows the host and the test.

    ``NetworkBlocked`` is an ``Exception``, unlike ``LiveCall``, so that a test can check how code handles a missing
    network.
    """


class CassetteExpired(MultitrackError):
    """A cassette is older than the ``max_age`` setting, and the ``on_expiry`` setting is "fail"."""


class Unplayed(MultitrackError):
    """Some recordings of a cassette were not used, although the ``strict`` setting is on."""


class TapeViolation(BaseException):
    """The code under test did something that its cassette does not allow.

    A violation is not an ``Exception``, because applications and SDKs catch exceptions and retry the request.

    Attributes:
        frames: The frames of the user's code that sent the request, outermost first. Empty if they are unknown.
        finding: A description of the problem, without the name of the test. Violations with the same finding are
            reported together. Empty if there is no description.
    """

    frames: Sequence[FrameSummary] = ()
    finding: str = ""


class CassetteMiss(TapeViolation):
    """No recording matches a request. The message says why, and shows the nearest recording.

    Attributes:
        body: The body of the request, after redaction.
        facts: A ``multitrack.tape.miss.miss_facts.MissFacts`` with the facts in the message. None if the miss could
            not be explained.
    """

    body: bytes = b""
    facts: object = None


class RoutingError(TapeViolation):
    """Multitrack or one of the project's hooks failed to handle a request. ``__cause__`` is the underlying error."""


class LiveCall(TapeViolation):
    """A request was stopped before it reached the network.

    For example, Multitrack does not intercept the client that sent the request, or the request has a stand-in key.
    """


class ForkedCall(LiveCall, Exception):
    """A forked child process of the test sent a request.

    ``ForkedCall`` is also an ``Exception``, unlike other violations. If a worker of a process pool ends with an error
    that is only a ``BaseException``, the pool waits for this worker forever.
    """
