"""Format the properties of a test for a JUnit file."""

from __future__ import annotations

from collections.abc import Sequence

from multitrack.reporting.run_report import ReportedTest


def list_properties(test: ReportedTest) -> Sequence[tuple[str, str]]:
    """Return the names and the values of ``test``'s properties.

    A test can have several cassettes and models. ``calls`` is the number of tool calls that the test received.
    """
    properties: list[tuple[str, str]] = [("diagnosis", test.diagnosis.id)] if test.diagnosis is not None else []
    properties += [("cassette", path) for path in dict.fromkeys(cassette.path for cassette in test.cassettes)]
    properties += [("model", model) for model in test.models]
    return [*properties, ("calls", str(test.calls))]
