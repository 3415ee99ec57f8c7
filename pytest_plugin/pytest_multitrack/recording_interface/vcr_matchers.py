"""The matchers that vcrpy provides, and those that a project registers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from multitrack.tape.exchange import Request
from pytest_multitrack.recording_interface import vcr_requests


@dataclass(frozen=True, slots=True)
class VcrMatcher:
    """A vcrpy matcher function.

    Args:
        name: The name under which the function is registered.
        function: Compares two requests. If the function raises ``AssertionError`` or returns a false value such as
            ``False``, the requests do not match. ``None`` means that they match, because some matchers only use
            ``assert``.
    """

    name: str
    function: Callable[[Any, Any], Any]

    def find_mismatch(self, sent: Request, recorded: Request) -> str | None:
        """Return why ``recorded`` does not match ``sent``. None if it matches, ``""`` if no reason is known."""
        try:
            result = self.function(vcr_requests.to_vcr_request(sent), vcr_requests.to_vcr_request(recorded))
        except AssertionError as error:
            return str(error)
        return None if result is None or result else ""
