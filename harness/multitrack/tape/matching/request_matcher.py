"""The interface of a project's own comparisons of requests."""

from __future__ import annotations

from typing import Protocol

from multitrack.tape.exchange import Request


class RequestMatcher(Protocol):
    """A comparison that is made in addition to the comparison of matching keys."""

    @property
    def name(self) -> str:
        """The name of the matcher, for messages."""

    def find_mismatch(self, sent: Request, recorded: Request, /) -> str | None:
        """Return why ``recorded`` does not answer ``sent``. `None` if it does.

        Both requests are filtered and redacted.
        """
