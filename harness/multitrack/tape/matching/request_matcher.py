"""The interface for a project's own comparison of requests."""

from __future__ import annotations

from typing import Protocol

from multitrack.tape.exchange import Request


class RequestMatcher(Protocol):
    """A comparison of requests that a project defines itself, in addition to the comparison of matching keys."""

    @property
    def name(self) -> str:
        """The name of the matcher, for messages."""

    def find_mismatch(self, sent: Request, recorded: Request, /) -> str | None:
        """Return why ``recorded`` is not the recording of ``sent``, or ``None`` if it is.

        Both requests are filtered and redacted.
        """
