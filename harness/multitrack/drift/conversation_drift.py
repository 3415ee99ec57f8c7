"""Requests that went live, each beside its recording, in the order in which they were sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from multitrack.drift import substitutions
from multitrack.drift.response_drift import ResponseDrift, compare_responses
from multitrack.tape.exchange import Request
from multitrack.tape.interaction import Interaction
from multitrack.tape.matching.index import Entry
from multitrack.tape.recorder import are_final
from multitrack.tape.replay_lookup import ReplayLookup

CHANGED = "request changed"
DIVERGED = "diverged"

Explain = Callable[[Interaction], Sequence[str]]
"""Tells in lines why a request has no recording."""


@dataclass(frozen=True, slots=True)
class RequestDrift:
    """The request at ``position``, from 1, and how its answer differs; ``recording`` is the position on the tape of
    what it was compared with, None where that is nothing."""

    position: int
    drift: ResponseDrift
    recording: int | None = None

    @property
    def verdict(self) -> str:
        """That of its answer; of a conversation that went another way, where it did."""
        return f"{DIVERGED} at call {self.position}" if self.drift.verdict == DIVERGED else self.drift.verdict


@dataclass(frozen=True, slots=True)
class ConversationDrift:
    """What was asked live, as far as it could be compared; ``unsent`` are recordings that nothing asked for."""

    requests: tuple[RequestDrift, ...]
    unsent: tuple[Entry, ...]


def compare_conversations(
    recorded: Sequence[Interaction] | ReplayLookup,
    live: Sequence[Interaction],
    explain: Explain = lambda _: (),
) -> ConversationDrift:
    """Compare the answers of ``live`` with those of ``recorded`` to equal requests, the first with the first.

    A request without a recording after an answer that was another one, has diverged: what came before went into it.
    Of further ones behind it nothing can be said. One that differs before any answer did was changed by the program;
    ``explain`` tells how. An error of the moment that a later answer made good takes no part, on either side.
    """
    counterparts = recorded if isinstance(recorded, ReplayLookup) else ReplayLookup.from_interactions(recorded)
    lasting = [one for one, lasts in zip(live, are_final(live), strict=True) if lasts]
    asked: list[RequestDrift] = []
    opaque: dict[str, str] = {}
    words: dict[str, str] = {}
    moved = diverged = False
    for position, one in enumerate(lasting, start=1):
        entry = _recording(counterparts, one.request, opaque, words)
        if entry is not None:
            recording = entry.interaction.response
            drift = compare_responses(recording, one.response)
            moved = moved or drift.differs
            opaque |= substitutions.map_opaque_ids(recording, one.response)
            words |= substitutions.map_texts(recording, one.response)
            asked.append(RequestDrift(position, drift, entry.position))
        elif not moved:
            asked.append(RequestDrift(position, ResponseDrift(CHANGED, tuple(explain(one)))))
        elif not diverged:
            diverged = True
            line = "an earlier response changed, and this request contains it"
            asked.append(RequestDrift(position, ResponseDrift(DIVERGED, (line,))))
    return ConversationDrift(tuple(asked), tuple(counterparts.unused_entries))


def _recording(
    counterparts: ReplayLookup, request: Request, opaque: dict[str, str], words: dict[str, str]
) -> Entry | None:
    # the words last: those of an answer may be in a request for another reason
    spellings = [request, *([substitutions.restore_recorded_texts(request, opaque)] if opaque else [])]
    if words:
        spellings.append(substitutions.restore_recorded_texts(request, {**words, **opaque}))
    return next((entry for spelling in spellings if (entry := counterparts.find_recording(spelling)) is not None), None)
