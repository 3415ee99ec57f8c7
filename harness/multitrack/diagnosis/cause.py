"""Find out why a test failed: whether the request, the reply, the Pydantic models or the test changed.

Each request, reply and model is compared with its fingerprint in the snapshot. If the snapshot has no fingerprints,
the fingerprints in the cassette are used. Nothing is guessed: if the cause is unknown, the message says what did not
change.
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
from multitrack.reporting.diagnoses import Diagnosis
from multitrack.snapshots.collected_calls import to_snapshot_calls
from multitrack.snapshots.comparison import CallComparison, compare_calls
from multitrack.snapshots.expressions import SnapshotCall, canonical_text
from multitrack.tape.interaction import Interaction
from multitrack.tape.tape import Tape
from multitrack.wording import count_noun

_SNAPSHOT, _CASSETTE = "the snapshot was taken", "the cassette was recorded"
_MAX_SHOWN = 3


def current_fingerprints(
    tapes: Sequence[Tape], validator: ResponseValidator, *, only_live: bool = False
) -> list[ExchangeFingerprint]:
    """Return the fingerprints of all interactions on ``tapes`` so far, tape by tape.

    Args:
        tapes: The tapes.
        validator: Validates the responses with the current Pydantic models.
        only_live: Whether to leave out the interactions that were replayed. Default False.
    """
    return [
        ExchangeFingerprint.of(interaction, tape.matching_key(interaction), validator.result_fingerprints(interaction))
        for tape in tapes
        for interaction in (_live_interactions(tape) if only_live else tape.answered_interactions)
    ]


def find_cause(
    tapes: Sequence[Tape], validator: ResponseValidator, compared: FailedAssertion | None = None
) -> Diagnosis | None:
    """Return the cause of a test's failure, described in one line.

    Args:
        tapes: The test's tapes. None of them had a miss.
        validator: Validates the responses with the current models.
        compared: The calls that the failed assertion compared, if it compared calls.

    Returns:
        The cause. None if there is no recording to compare with, or if nothing was sent.
    """
    used = [tape for tape in tapes if tape.mode != "live" and tape.answered_interactions]
    return _CauseSearch(used, validator, compared).find() if used else None


class _CauseSearch:
    def __init__(self, tapes: Sequence[Tape], validator: ResponseValidator, compared: FailedAssertion | None) -> None:
        self.tapes, self.validator, self.compared = tapes, validator, compared
        self.now = current_fingerprints(tapes, validator)
        self.live = current_fingerprints(tapes, validator, only_live=True)
        self.is_drift_run = any(tape.is_compared for tape in tapes)
        snapshot = compared.fingerprints if compared is not None else None
        self.since = _SNAPSHOT if snapshot else _CASSETTE
        recorded = [
            ExchangeFingerprint.of(interaction, tape.matching_key(interaction), interaction.results)
            for tape in tapes
            for interaction in _recorded_interactions(tape)
        ]
        self.then = list(snapshot) if snapshot else recorded

    def find(self) -> Diagnosis | None:
        if not self.then:
            return None
        pairs, gone = _pair_by_request(self.then, self.now, [one.rebound for one in self.answered])
        new = sum(then is None for then, _ in pairs)
        # in the order of time, because the first change may have caused the others
        for then, now in pairs:
            if then is None:
                if len(self.tapes) == 1:
                    return self._describe_request_change(len(gone), new) if not self.is_drift_run else None
                # the order of requests on two tapes is unknown, but a new request cannot be the reason why the reply to
                # an unchanged request changed
                continue
            if then.reply != now.reply:
                return self._describe_reply_change(is_live=now in self.live)
            if self._have_models_changed(then, now):
                text = f"the models or validators changed{self._format_locations()}; {self._describe_unchanged()}"
                return Diagnosis("models-changed", text)
        if new:
            # in a drift run, later requests contain the ids of live responses, and the table reports how they differ
            return self._describe_request_change(len(gone), new) if not self.is_drift_run else None
        if gone and self.since is _SNAPSHOT:
            return self._describe_request_change(len(gone), 0)
        has_proof = self.since is _SNAPSHOT or self._has_proof
        if has_proof and all(then is not None and None not in (then.models, now.models) for then, now in pairs):
            return Diagnosis("test-changed", f"the test changed; {self._describe_unchanged(and_models=True)}")
        return self._compare_recorded_calls() or self._describe_unknown()

    def _have_models_changed(self, then: ExchangeFingerprint, now: ExchangeFingerprint) -> bool:
        """Return True only if the current Pydantic models certainly return a different result for the same reply.

        If a fingerprint of the models is missing, the results in the cassette are compared with the current results.
        Unknown results are left out.
        """
        if None not in (then.models, now.models):
            return then.models != now.models
        return self.since is _CASSETTE and any(self._find_changed_results())

    def _find_changed_results(self) -> Iterator[tuple[CallResult, str]]:
        """Yield each current result that differs from the recorded one, with the fingerprint of the recorded one."""
        for interaction in self.answered:
            fingerprints, results = (
                self.validator.result_fingerprints(interaction) or (),
                self.validator.validate(interaction) or (),
            )
            for before, after, result in zip(interaction.results or (), fingerprints, results, strict=False):
                if UNKNOWN not in (before, after) and before != after:
                    yield result, before

    @property
    def _has_proof(self) -> bool:
        """True if a test that uses the recordings has passed."""
        return all(any(interaction.results for interaction in _recorded_interactions(tape)) for tape in self.tapes)

    def _describe_request_change(self, removed_count: int, added_count: int) -> Diagnosis:
        if removed_count and added_count:
            return Diagnosis("request-changed", f"the request changed and was recorded again after {self.since}")
        if added_count:
            return Diagnosis(
                "requests-added",
                f"the number of requests changed after {self.since}: the test now sends {added_count} more",
            )
        return Diagnosis(
            "requests-removed",
            f"the number of requests changed after {self.since}: the test now sends {removed_count} fewer",
        )

    def _describe_reply_change(self, *, is_live: bool) -> Diagnosis:
        details = f": {changes}" if (changes := ", ".join(self._describe_call_changes(is_live=is_live))) else ""
        if is_live:
            text = f"the reply changed: the provider now answers the recorded request differently{details}"
            return Diagnosis("reply-drifted", text)
        return Diagnosis("reply-changed", f"the reply changed: it was recorded again after {self.since}{details}")

    def _describe_call_changes(self, *, is_live: bool) -> Iterator[str]:
        if is_live and self.since is _CASSETTE:
            sides = (
                [interaction for tape in self.tapes for interaction in side(tape)]
                for side in (_recorded_interactions, _live_interactions)
            )
            before, after = ([call for interaction in side for call in _read_calls(interaction)] for side in sides)
            difference: CallComparison | None = compare_calls(before, after)
        else:
            difference = self.compared.difference if self.compared is not None else None
        if difference is None:
            return
        names_by_change = {
            "not allowed": [entry.call.name for entry in difference.forbidden],
            "changed": [entry.after.name for entry in difference.changed],
            "removed": [entry.call.name for entry in difference.removed],
            "added": [entry.call.name for entry in difference.added],
            "moved": [entry.call.name for entry in difference.moved],
        }
        for change, names in names_by_change.items():
            if names:
                yield f"{count_noun(len(names), 'call')} {change} ({_shorten_list(dict.fromkeys(names))})"

    @property
    def answered(self) -> Iterator[Interaction]:
        return (interaction for tape in self.tapes for interaction in tape.answered_interactions)

    def _describe_unchanged(self, *, and_models: bool = False) -> str:
        count = len(self.now)
        if rebound := sum(interaction.rebound for interaction in self.answered):
            unchanged = "reply" if count == 1 else f"{count} replies"
            models = " and models" if and_models else ""
            return f"same {unchanged}{models} as when {self.since}; {count_noun(rebound, 'request')} rebound"
        if and_models:
            unchanged = "request, reply and models" if count == 1 else f"{count} requests, replies and models"
        else:
            unchanged = "request and reply" if count == 1 else f"{count} requests and replies"
        return f"same {unchanged} as when {self.since}"

    def _compare_recorded_calls(self) -> Diagnosis | None:
        """Find the cause by comparing the recorded calls with both the expected and the received calls.

        Used if fingerprints are missing.
        """
        if self.compared is None:
            return None
        recorded = _sort_texts(call for interaction in self.answered for call in _read_calls(interaction))
        expected, received = _sort_texts(self.compared.expected), _sort_texts(self.compared.received)
        if recorded == expected and self.compared.difference.changed:
            text = (
                f"the models or validators changed{self._format_locations()}; the recorded reply has the expected calls"
            )
            return Diagnosis("models-changed", text)
        if self.since is _SNAPSHOT:
            text = f"the models or the test changed{self._format_locations()}; {self._describe_unchanged()}"
            return Diagnosis("models-or-test-changed", text)
        if recorded == received != expected:
            text = "the reply or the test changed; the test received exactly the recorded calls"
            return Diagnosis("reply-or-test-changed", text)
        return None

    def _describe_unknown(self) -> Diagnosis:
        count = len(self.now)
        unchanged = "the request did not change" if count == 1 else f"the {count} requests did not change"
        text = f"{unchanged}; the reply, the models or the test changed{self._format_locations()}"
        return Diagnosis("cause-unknown", text)

    def _format_locations(self) -> str:
        """Return the changed classes and fields that are known, after a colon. Empty if none are known."""
        found = dict.fromkeys(self._find_locations())
        return f": {_shorten_list(found)}" if found else ""

    def _find_locations(self) -> Iterator[str]:
        if self.compared is not None and self.compared.difference.changed:
            for entry in self.compared.difference.changed:
                yield from (_join_path(entry.after.name, field.path) for field in entry.fields)
            return
        for result, before in self._find_changed_results():
            yield from _locate_errors(result)
            yield from _locate_changes(result, before)
        for interaction in self.answered:
            if interaction.results is None:
                yield from (
                    location
                    for result in self.validator.validate(interaction) or ()
                    for location in _locate_errors(result)
                )


def _recorded_interactions(tape: Tape) -> Sequence[Interaction]:
    """Return the recorded interactions to compare with this run."""
    if tape.mode == "record-missing" and not tape.previous_interactions:
        # interactions that another recorder wrote belong to no test, so `previous_interactions` does not contain them
        return tape.played
    return tape.played if tape.mode == "replay" else tape.previous_interactions


def _live_interactions(tape: Tape) -> Sequence[Interaction]:
    return tape.answered_interactions[len(tape.played) :]


def _pair_by_request(
    then: Sequence[ExchangeFingerprint], now: Sequence[ExchangeFingerprint], rebound: Sequence[bool]
) -> tuple[list[tuple[ExchangeFingerprint | None, ExchangeFingerprint]], list[ExchangeFingerprint]]:
    """Pair each current fingerprint with the earlier fingerprint of the same request, or with None.

    A request is rebound if it replaced a recorded request and kept the recorded reply. If a rebound request has no
    earlier fingerprint, it is paired with an unpaired earlier fingerprint that has the same reply.

    Args:
        then: The earlier fingerprints, from the snapshot or the cassette.
        now: The current fingerprints, from this run.
        rebound: Whether each request in ``now`` is rebound.

    Returns:
        The pairs, and the earlier fingerprints whose requests were not sent again.
    """
    waiting: defaultdict[str, deque[ExchangeFingerprint]] = defaultdict(deque)
    for earlier in then:
        waiting[earlier.request].append(earlier)
    pairs: list[tuple[ExchangeFingerprint | None, ExchangeFingerprint]] = [
        (same.popleft() if (same := waiting[after.request]) else None, after) for after in now
    ]
    gone = [unsent for same in waiting.values() for unsent in same]
    for position, ((before, after), is_rebound) in enumerate(zip(pairs, rebound, strict=True)):
        if before is None and is_rebound:
            replaced = next((other for other in gone if other.reply == after.reply), None)
            if replaced is not None:
                gone.remove(replaced)
                pairs[position] = replaced, after
    return pairs, gone


def _read_calls(interaction: Interaction) -> tuple[SnapshotCall, ...]:
    answer = parse_answer(interaction.response.body)
    return to_snapshot_calls(answer.calls) if answer is not None else ()


def _sort_texts(calls: Sequence[SnapshotCall] | Iterator[SnapshotCall]) -> list[str]:
    return sorted(map(canonical_text, calls))


def _locate_errors(result: CallResult) -> Iterator[str]:
    if isinstance(result.outcome, InvalidArguments) and result.model is not None:
        for error in result.outcome.details:
            yield f"{locate_error(result.model, error['loc'], result.call.arguments)}: {error['msg']}"
    elif isinstance(result.outcome, UnknownTool):
        yield f"{result.call.name} is no longer offered"


def _locate_changes(result: CallResult, before: str) -> Iterator[str]:
    """Yield the fields whose values changed.

    The earlier values are known only if the recorded result was equal to the arguments of the call. If they are
    unknown, yield the name of the class instead.
    """
    if not isinstance(result.outcome, BaseModel):
        return
    (call,), (result_call,) = to_snapshot_calls([result.call]), to_snapshot_calls([result.outcome])
    unchanged = SnapshotCall(result_call.name, call.positional, call.keywords)
    if fingerprint(canonical_text(unchanged)) != before:
        yield result_call.name
        return
    for entry in compare_calls([unchanged], [result_call]).changed:
        yield from (_join_path(result_call.name, field.path) for field in entry.fields)


def _join_path(name: str, path: str) -> str:
    return f"{name}.{path}" if path else name


def _shorten_list(found: dict[str, object] | dict[str, None]) -> str:
    names = list(found)
    more = f" and {len(names) - _MAX_SHOWN} more" if len(names) > _MAX_SHOWN else ""
    return ", ".join(names[:_MAX_SHOWN]) + more
