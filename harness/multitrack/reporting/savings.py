"""The tokens and seconds that a run saved by replaying answers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from multitrack import wires
from multitrack.tape.exchange import Response
from multitrack.tape.interaction import Interaction

_TIME_HEADERS = ("openai-processing-ms", "x-envoy-upstream-service-time", "x-amzn-bedrock-invocation-latency")
"""The headers in which providers report the milliseconds that they worked on a request."""
# Python does not convert text with thousands of digits, which a cassette may contain, to a number
_MILLISECONDS = re.compile(r"[0-9]{1,15}")


class Savings(NamedTuple):
    """The tokens and the seconds that the replayed answers cost when they were recorded."""

    tokens: int
    seconds: float


def measure_savings(replayed: Iterable[Interaction]) -> Savings:
    """Return the tokens and the seconds that were saved by replaying the interactions in ``replayed``."""
    responses = [interaction.response for interaction in replayed]
    return Savings(sum(map(_count_tokens, responses)), sum(map(find_seconds, responses)))


def _count_tokens(response: Response) -> int:
    wire = wires.recognize(response.body)
    return 0 if wire is None else wires.count_tokens(wires.read_answer(response.body, wire), wire) or 0


def find_seconds(response: Response) -> float:
    """Return how many seconds the caller waited for ``response``. 0 if the time is unknown.

    Cassettes of other recorders do not contain this time. The provider's own measurement in a header is used instead.
    """
    if response.chunks.gaps:
        return sum(response.chunks.gaps) / 1000
    headers = (response.header(name) for name in _TIME_HEADERS)
    return next((int(value) / 1000 for value in headers if value is not None and _MILLISECONDS.fullmatch(value)), 0.0)
