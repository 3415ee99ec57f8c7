"""Which layer moved: what was sent, what was answered, what the models made of it, or the test.

Each layer is compared with what it was when the snapshot, or else the tape, was written. What cannot be known is not
guessed; then the verdict says which layers did not move.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Sequence

from pydantic import BaseModel

from multitrack.diagnosis.call_results import UNKNOWN, CallResult, ResponseValidator, fingerprint, parse_answer
from multitrack.diagnosis.error_location import locate_error
from multitrack.diagnosis.failed_assertion import FailedAssertion
from multitrack.diagnosis.fingerprints import ExchangeFingerprint
from multitrack.errors import InvalidArguments, UnknownTool
from multitrack.snapshots.collected_calls import to_snapshot_calls
from multitrack.snapshots.comparison import CallComparison, compare_calls
from multitrack.snapshots.expressions import SnapshotCall, canonical_text
from multitrack.tape.interaction import Interaction
from multitrack.tape.tape import Tape

_SNAPSHOT, _TAPE = "the snapshot was taken", "the cassette was recorded"
_SHOWN = 3
_ANEW = ("record", "drift")


def current_fingerprints(tapes: Sequence[Tape], validator: ResponseValidator) -> list[ExchangeFingerprint]:
    """The moments of all that answered so far, from one tape after the other."""
    return [
        ExchangeFingerprint.of(one, tape.matching_key(one), validator.result_fingerprints(one))
        for tape in tapes
        for one in tape.answered_interactions
    ]


def find_cause(
    tapes: Sequence[Tape], validator: ResponseValidator, compared: FailedAssertion | None = None
) -> str | None:
    """Which layer moved, in a line, when a test failed that ``tapes`` were played or recorded for, and that missed
    nothing.

    None where no tape was there to compare with, or nothing was sent.
    """
    told = [tape for tape in tapes if tape.mode != "live" and tape.answered_interactions]
    return _Case(told, validator, compared).verdict() if told else None


class _Case:
    def __init__(self, tapes: Sequence[Tape], validator: ResponseValidator, compared: FailedAssertion | None) -> None:
        self.tapes, self.validator, self.compared = tapes, validator, compared
        self.now = current_fingerprints(tapes, validator)
        self.asked_anew = any(tape.mode in _ANEW for tape in tapes)
        self.drifts = any(tape.mode == "drift" for tape in tapes)
        snapshot = compared.fingerprints if compared is not None else None
        self.since = _SNAPSHOT if snapshot else _TAPE
        kept = [ExchangeFingerprint.of(one, tape.matching_key(one), one.results) for tape in tapes for one in _on(tape)]
        self.then = list(snapshot) if snapshot else kept

    def verdict(self) -> str | None:
        if not self.then:
            return None
        pairs, gone = _paired(self.then, self.now)
        new = sum(then is None for then, _ in pairs)
        # in the order of time: what came first may be why the rest is another one, too
        for then, now in pairs:
            if then is None:
                if len(self.tapes) == 1:
                    return self._request(len(gone), new) if not self.drifts else None
                # nobody knows which of two tapes played first; but no request can be why the same one is answered
                # otherwise
                continue
            if then.reply != now.reply:
                return self._reply()
            if self._have_moved(then, now):
                return f"the models or validators changed{self._places()}; {self._same()} as when {self.since}"
        if new:
            # what was sent next has the ids of live answers: how it differs, the table of a drift run knows
            return self._request(len(gone), new) if not self.drifts else None
        if gone and self.since is _SNAPSHOT:
            return self._request(len(gone), 0)
        proven = self.since is _SNAPSHOT or self._has_proof
        if proven and all(then is not None and None not in (then.models, now.models) for then, now in pairs):
            return f"the test changed; {self._same(and_models=True)} as when {self.since}"
        return self._told_by_calls() or self._unknown()

    def _have_moved(self, then: ExchangeFingerprint, now: ExchangeFingerprint) -> bool:
        """Whether the models are known to give something else for the same reply. Of a tape, each call is asked for:
        that one of them tells nothing says nothing of the others."""
        if None not in (then.models, now.models):
            return then.models != now.models
        return self.since is _TAPE and any(self._moved_results())

    def _moved_results(self) -> Iterator[tuple[CallResult, str]]:
        """What the models of now make of calls of which the tape keeps that something else came of them, then."""
        for one in self.answered:
            fingerprints, results = self.validator.result_fingerprints(one) or (), self.validator.validate(one) or ()
            for before, after, result in zip(one.results or (), fingerprints, results, strict=False):
                if UNKNOWN not in (before, after) and before != after:
                    yield result, before

    @property
    def _has_proof(self) -> bool:
        """Whether a test passed with what is on the tapes."""
        return all(any(one.results for one in _on(tape)) for tape in self.tapes)

    def _request(self, gone: int, new: int) -> str:
        if gone and new:
            return f"the request changed and was recorded again after {self.since}"
        count = f"{new} more than" if new else f"{gone} fewer than"
        return f"the requests changed: {count} when {self.since}"

    def _reply(self) -> str:
        told = f": {changes}" if (changes := ", ".join(self._changes())) else ""
        if self.asked_anew:
            return f"the reply changed: the provider now answers the recorded request differently{told}"
        return f"the reply changed: it was recorded again after {self.since}{told}"

    def _changes(self) -> Iterator[str]:
        if self.asked_anew and self.since is _TAPE:
            sides = ([one for tape in self.tapes for one in side(tape)] for side in (_on, _live))
            before, after = ([call for one in side for call in _calls(one)] for side in sides)
            difference: CallComparison | None = compare_calls(before, after)
        else:
            difference = self.compared.difference if self.compared is not None else None
        if difference is None:
            return
        named = {
            "changed": [entry.after.name for entry in difference.changed],
            "removed": [entry.call.name for entry in difference.removed],
            "added": [entry.call.name for entry in difference.added],
            "moved": [entry.call.name for entry in difference.moved],
        }
        for what, names in named.items():
            if names:
                yield f"{len(names)} call{'s' if len(names) > 1 else ''} {what} ({_listed(dict.fromkeys(names))})"

    @property
    def answered(self) -> Iterator[Interaction]:
        return (one for tape in self.tapes for one in tape.answered_interactions)

    def _same(self, *, and_models: bool = False) -> str:
        count = len(self.now)
        if and_models:
            return "same request, reply and models" if count == 1 else f"same {count} requests, replies and models"
        return "same request and reply" if count == 1 else f"same {count} requests and replies"

    def _told_by_calls(self) -> str | None:
        """What the calls on the tape tell, beside those expected and those that came, of layers that left no trace."""
        if self.compared is None:
            return None
        called = _set(call for one in self.answered for call in _calls(one))
        expected, came = _set(self.compared.expected), _set(self.compared.received)
        if called == expected and self.compared.difference.changed:
            return f"the models or validators changed{self._places()}; the recorded reply is the expected one"
        if self.since is _SNAPSHOT:
            return f"the models or the test changed{self._places()}; {self._same()} as when {self.since}"
        if called == came != expected:
            return "the reply or the test changed; the models return the calls of the recorded reply"
        return None

    def _unknown(self) -> str:
        count = len(self.now)
        known = "the request did not change" if count == 1 else f"the {count} requests did not change"
        places = self._places()
        return f"{known}; the reply, the models or the test did{places}"

    def _places(self) -> str:
        """The classes and fields that moved, as far as they are known."""
        found = dict.fromkeys(self._moved())
        return f": {_listed(found)}" if found else ""

    def _moved(self) -> Iterator[str]:
        if self.compared is not None and self.compared.difference.changed:
            for entry in self.compared.difference.changed:
                yield from (_place(entry.after.name, field.path) for field in entry.fields)
            return
        for result, before in self._moved_results():
            yield from _bad_places(result)
            yield from _good_places(result, before)
        for one in self.answered:
            if one.results is None:
                yield from (place for result in self.validator.validate(one) or () for place in _bad_places(result))


def _on(tape: Tape) -> Sequence[Interaction]:
    """What stands on ``tape`` of what was sent."""
    return tape.previous_interactions if tape.mode in _ANEW else tape.played


def _live(tape: Tape) -> Sequence[Interaction]:
    return tape.answered_interactions[len(tape.played) :]


def _paired(
    then: Sequence[ExchangeFingerprint], now: Sequence[ExchangeFingerprint]
) -> tuple[list[tuple[ExchangeFingerprint | None, ExchangeFingerprint]], list[ExchangeFingerprint]]:
    """Each moment of ``now``, with the one of the same request before it, if there was any; and those that are gone."""
    waiting: defaultdict[str, deque[ExchangeFingerprint]] = defaultdict(deque)
    for moment in then:
        waiting[moment.request].append(moment)
    pairs = [(same.popleft() if (same := waiting[moment.request]) else None, moment) for moment in now]
    return pairs, [moment for left in waiting.values() for moment in left]


def _calls(interaction: Interaction) -> tuple[SnapshotCall, ...]:
    answer = parse_answer(interaction.response.body)
    return to_snapshot_calls(answer.calls) if answer is not None else ()


def _set(calls: Sequence[SnapshotCall] | Iterator[SnapshotCall]) -> list[str]:
    return sorted(map(canonical_text, calls))


def _bad_places(result: CallResult) -> Iterator[str]:
    if isinstance(result.outcome, InvalidArguments) and result.model is not None:
        for error in result.outcome.details:
            yield f"{locate_error(result.model, error['loc'], result.call.arguments)}: {error['msg']}"
    elif isinstance(result.outcome, UnknownTool):
        yield f"{result.call.name} is no longer offered"


def _good_places(result: CallResult, before: str) -> Iterator[str]:
    """The fields of a model that moved. They are known where it held, before, just what the call says."""
    if not isinstance(result.outcome, BaseModel):
        return
    (called,), (came,) = to_snapshot_calls([result.call]), to_snapshot_calls([result.outcome])
    as_called = SnapshotCall(came.name, called.positional, called.keywords)
    if fingerprint(canonical_text(as_called)) != before:
        yield came.name
        return
    for entry in compare_calls([as_called], [came]).changed:
        yield from (_place(came.name, field.path) for field in entry.fields)


def _place(name: str, path: str) -> str:
    return f"{name}.{path}" if path else name


def _listed(found: dict[str, object] | dict[str, None]) -> str:
    names = list(found)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
