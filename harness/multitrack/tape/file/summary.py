"""Summarize an interaction, for the comment above it in a cassette and for the output of ``multitrack show``."""

from __future__ import annotations

from collections.abc import Iterator

from multitrack import wires
from multitrack.tape.answer_wire import find_wire
from multitrack.tape.exchange import Response
from multitrack.tape.interaction import Interaction
from multitrack.wires import WireAnswer, registry
from multitrack.wording import count_noun

_LONGEST_TEXT = 500


def summarize(position: int, interaction: Interaction, *, with_text: bool = False) -> Iterator[str]:
    """Yield one line for the interaction at ``position`` (from 1), and an indented line for each of its tool calls.

    With ``with_text``, an answer that is only text gets an indented line with the beginning of the text.
    """
    request, response = interaction.request, interaction.response
    ending = f" · {words}" if (words := _describe_ending(response)) else ""
    ending += " · rebound" if interaction.rebound else ""
    wire = find_wire(interaction)
    if wire is None:
        status = "" if response.ending == "unanswered" else f" · {response.status}"
        yield f"{position} · {request.method} {request.url}{status}{ending}"
        return
    answer = wires.read_answer(response.body, wire)
    calls = count_noun(len(answer.calls), "call")
    named = wires.read_request(request.body, request.url).model or answer.model
    model = named or registry.find_model_in_url(request.url) or request.url
    yield f"{position} · {wire} {model.rpartition('/')[2]} · {answer.error or calls}{ending}"
    yield from (f"  {call}" for call in answer.calls)
    if with_text and not answer.calls:
        yield from _summarize_text(answer)


def _summarize_text(answer: WireAnswer) -> Iterator[str]:
    for name, text in (("text", answer.text), ("refusal", answer.refusal)):
        if text and (words := text[:_LONGEST_TEXT].split()):
            yield f"  {name}: {' '.join(words)}"


def _describe_ending(response: Response) -> str:
    words = {"complete": "", "left": "left early", "broken": "broken off", "unanswered": "no answer"}
    if response.failure is None:
        return words[response.ending]
    return f"{'no answer' if response.ending == 'unanswered' else 'broken off'}: {response.failure.error}"
