"""Describe misses for reports. A report shows more facts about a miss than the miss's error message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from multitrack.tape.exchange import Request

MissKind = Literal[
    "changed", "already-replayed", "no-similar", "no-cassette", "other-file", "rejected", "diverged", "unexplained"
]
"""Why no recording matched.

``changed``: the nearest recording differs. ``already-replayed``: the recording was used by an earlier request.
``no-similar``: no recording uses this API method. ``no-cassette``: nothing was recorded. ``other-file``: another file
has a recording. ``rejected``: one of the project's matchers, or the transport, excludes the nearest recording.
``diverged``: a streaming request stopped matching. ``unexplained``: the recordings were not compared in detail.
"""


@dataclass(frozen=True, slots=True)
class MissDifference:
    """A place where a request differs from the nearest recording.

    Args:
        path: Where the difference is, such as ``url``, a JSON path, the name of a form field or of a part, or a line
            number.
        recorded: The recorded value. ``ABSENT`` if the recording does not have it.
        sent: The value that was sent. ``ABSENT`` if the request does not have it.
        meaning: What the difference means for a tool, such as "`Weather.city` is new". Empty if the difference is not
            in a tool.
    """

    path: str
    recorded: Any
    sent: Any
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class MissFacts:
    """The facts about one miss.

    Args:
        kind: Why no recording matched.
        request: The request, after redaction.
        cassette: The path of the cassette, as shown in messages.
        record_hint: The command that records the request.
        call_site: Where the user's code sent the request. None if it is unknown.
        nearest: The position of the nearest recording, from 1. None if nothing was similar.
        differences: The places where the nearest recording differs from the request.
        other_file_command: The command that makes the test use a recording in another file. Empty if no other file
            has a recording of the request.
    """

    kind: MissKind
    request: Request
    cassette: str
    record_hint: str
    call_site: str | None = None
    nearest: int | None = None
    differences: Sequence[MissDifference] = field(default=())
    other_file_command: str = ""
