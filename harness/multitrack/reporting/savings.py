"""What a replay saved: the tokens and the seconds of the recorded answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from multitrack import wires
from multitrack.tape.exchange import Response
from multitrack.tape.interaction import Interaction

_TIME_HEADERS = ("openai-processing-ms", "x-envoy-upstream-service-time", "x-amzn-bedrock-invocation-latency")
"""The headers in which providers report the milliseconds that they worked on a request."""


class Savings(NamedTuple):
    """The tokens that the answers report, and the seconds that the callers waited for them when they were recorded."""

    tokens: int
    seconds: float


def measure_savings(replayed: Iterable[Interaction]) -> Savings:
    """Return the tokens and the seconds that the replay of ``replayed`` saved."""
    responses = [interaction.response for interaction in replayed]
    return Savings(sum(map(_count_tokens, responses)), sum(map(find_seconds, responses)))


def _count_tokens(response: Response) -> int:
    wire = wires.recognize(response.body)
    return 0 if wire is None else wires.count_tokens(wires.read_answer(response.body, wire), wire) or 0


def find_seconds(response: Response) -> float:
    """Return the seconds that the caller waited for ``response``. 0 if they are not recorded.

    Cassettes of other recorders have no times, but often the provider's own measurement, in a header.
    """
    if response.chunks.gaps:
        return sum(response.chunks.gaps) / 1000
    headers = (response.header(name) for name in _TIME_HEADERS)
    return next((int(value) / 1000 for value in headers if value is not None and value.isdecimal()), 0.0)
