"""Compare a sequence of live requests and responses with the recorded sequence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from multitrack.drift import substitutions
from multitrack.drift.response_drift import ResponseDrift, compare_responses
from multitrack.tape.interaction import Interaction
from multitrack.tape.interleaving import Interleaving
from multitrack.tape.matching.index import RecordedEntry
from multitrack.tape.replay_lookup import ReplayLookup
from multitrack.tape.temporary_errors import are_final

CHANGED = "request changed"
DIVERGED = "diverged"

Explain = Callable[[Interaction], Sequence[str]]
"""Returns lines that say why a request has no recording."""


@dataclass(frozen=True, slots=True)
class RequestDrift:
    """The drift of the response to one request.

    Args:
        position: The position of the request in the run, starting at 1.
        drift: The drift of its response.
        recording: The position of its recording in the cassette, starting at 1. None if it has no recording.
    """

    position: int
    drift: ResponseDrift
    recording: int | None = None

    @property
    def verdict(self) -> str:
        """The kind of drift, with the position of the request if the conversation has diverged."""
        return f"{DIVERGED} at call {self.position}" if self.drift.verdict == DIVERGED else self.drift.verdict


@dataclass(frozen=True, slots=True)
class ConversationDrift:
    """The drift of each response that could be compared, and the recordings whose requests were not sent."""

    requests: tuple[RequestDrift, ...]
    unsent: tuple[RecordedEntry, ...]


def compare_conversations(
    recorded: Sequence[Interaction] | ReplayLookup,
    live: Sequence[Interaction],
    explain: Explain = lambda _: (),
) -> ConversationDrift:
    """Compare each live response with the recorded response to the same request.

    Equal requests are paired in order. If a request has no recording, there are two possible causes:

    - If an earlier response differs from its recording, the conversation has diverged. The request is not reported.
    - Otherwise, the program changed the request.

    Temporary errors are ignored, whether recorded or live, if a later attempt succeeded.

    Args:
        recorded: The recorded interactions.
        live: The live interactions, in the order they were sent.
        explain: Describes how a request differs from the nearest recording. Called for each request that the program
            changed.
    """
    if isinstance(recorded, ReplayLookup):
        lookup = recorded
    else:
        lookup = ReplayLookup.from_interactions(recorded)
        lookup.skip_replaced_errors()
    final = [one for one, is_final in zip(live, are_final(live), strict=True) if is_final]
    compared: list[RequestDrift] = []
    ids: dict[str, str] = {}
    texts: dict[str, str] = {}
    differs = has_diverged = False
    for position, one in enumerate(final, start=1):
        entry = _find_recording(lookup, one, ids, texts)
        if entry is not None:
            recording = entry.interaction.response
            drift = compare_responses(recording, one.response)
            differs = differs or drift.differs
            ids |= substitutions.map_opaque_ids(recording, one.response)
            texts |= substitutions.map_texts(recording, one.response)
            compared.append(RequestDrift(position, drift, entry.position))
        elif not differs:
            compared.append(RequestDrift(position, ResponseDrift(CHANGED, tuple(explain(one)))))
        elif not has_diverged:
            has_diverged = True
            line = "an earlier response changed, and this request contains it"
            compared.append(RequestDrift(position, ResponseDrift(DIVERGED, (line,))))
    return ConversationDrift(tuple(compared), tuple(lookup.unplayed_entries))


def _find_recording(
    lookup: ReplayLookup, live: Interaction, ids: dict[str, str], texts: dict[str, str]
) -> RecordedEntry | None:
    request, has_ended = live.request, Interleaving.from_response(live.response).is_closed
    # try the text last, because a request may contain the text of a response by coincidence
    spellings = [request, *([substitutions.restore_recorded_texts(request, ids)] if ids else [])]
    if texts:
        spellings.append(substitutions.restore_recorded_texts(request, {**texts, **ids}))
    found = (lookup.find_recording_of(spelling, has_ended=has_ended) for spelling in spellings)
    return next((entry for entry in found if entry is not None), None)
