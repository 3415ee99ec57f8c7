"""Convert a cassette to text: its tool calls and messages, without values that change with each recording."""

from __future__ import annotations

from collections.abc import Iterator

from multitrack import wires
from multitrack.printable import escape_line
from multitrack.reporting import request_text
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.file.summary import summarize
from multitrack.tape.interaction import Interaction


def describe_cassette(cassette: Cassette, *, requests: bool = False) -> Iterator[tuple[str, bool]]:
    """Yield each line of ``cassette``, and whether it is the heading of an interaction.

    Args:
        cassette: The cassette.
        requests: Whether to include the requests. Default False.
    """
    for position, interaction in enumerate(cassette.interactions, start=1):
        heading, *calls = summarize(position, interaction)
        yield escape_line(heading), True
        if requests:
            yield from ((line, False) for line in request_text.describe_request(interaction.request))
        for line in (*calls, *_text_lines(interaction)):
            yield escape_line(line), False
    yield f"provenance: {cassette.provenance}", False


def _text_lines(interaction: Interaction) -> Iterator[str]:
    wire = wires.recognize(interaction.response.body)
    if wire is None:
        return
    answer = wires.read_answer(interaction.response.body, wire)
    for name, text in (("text", answer.text), ("refusal", answer.refusal)):
        first, *rest = (text or "").splitlines() or [""]
        if text:
            yield f"  {name}: {first}"
            yield from (f"    {line}" for line in rest)
