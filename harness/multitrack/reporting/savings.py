"""What a replay saved: the tokens and the seconds of the recorded answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from multitrack import wires
from multitrack.tape.exchange import Response
from multitrack.tape.interaction import Interaction


class Savings(NamedTuple):
    """The tokens that the answers report, and the times in the cassette. Only the times of streams are recorded."""

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
    """Return how many seconds ``response`` took when it was recorded, or 0 if that is unknown."""
    return sum(response.chunks.gaps) / 1000
