"""Convert a cassette to plain data for ``multitrack show --json``."""

from __future__ import annotations

from typing import Any

from multitrack.reporting.reported_exchanges import report_answer, report_request
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.interaction import Interaction


def describe_cassette(cassette: Cassette, *, requests: bool = False) -> dict[str, Any]:
    """Return the content of ``cassette``. Long strings are truncated to the same length as in a run's report.

    Args:
        cassette: The cassette.
        requests: Whether to include the messages and the bodies of the requests. Default False.
    """
    recorded_at = cassette.recorded_at
    return {
        "provenance": cassette.provenance,
        "recorded_at": None if recorded_at is None else recorded_at.isoformat(),
        "interactions": [
            {"position": position, **_describe_interaction(interaction, requests=requests)}
            for position, interaction in enumerate(cassette.interactions, start=1)
        ],
    }


def _describe_interaction(interaction: Interaction, *, requests: bool) -> dict[str, Any]:
    hidden = set() if requests else {"messages", "body"}
    return {
        "tests": list(interaction.tests),
        "provenance": interaction.provenance,
        "rebound": interaction.rebound,
        "request": report_request(interaction.request).model_dump(mode="json", exclude=hidden),
        "answer": report_answer(interaction).model_dump(mode="json"),
    }
