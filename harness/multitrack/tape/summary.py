"""An interaction in a few words: the heading of a tape file, and what ``multitrack show`` prints."""

from __future__ import annotations

from collections.abc import Iterator

from multitrack import wires
from multitrack.tape.interaction import Interaction


def summary(position: int, interaction: Interaction) -> Iterator[str]:
    """One line for the interaction at ``position`` (from 1), and one for each tool call of its answer, indented."""
    request, response = interaction.request, interaction.response
    wire = wires.recognise(response.body)
    if wire is None:
        yield f"{position} · {request.method} {request.url} · {response.status}"
        return
    answer = wires.read_answer(response.body, wire)
    calls = f"{len(answer.calls)} call{'' if len(answer.calls) == 1 else 's'}"
    model = wires.requested(request.body).model or answer.model or request.url
    yield f"{position} · {wire} {model.rpartition('/')[2]} · {answer.error or calls}"
    yield from (f"  {call}" for call in answer.calls)
