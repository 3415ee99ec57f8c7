"""The drift of whole tapes, as rows of a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from multitrack.drift import conversation_drift
from multitrack.drift.conversation_drift import RequestDrift
from multitrack.drift.response_drift import FAILED, NOT_COMPARED, REORDERED, SAME
from multitrack.drift.sample_agreement import describe_agreement
from multitrack.reporting.drift_table import DriftRow
from multitrack.tape.file import paths
from multitrack.tape.tape import Tape
from multitrack.wording import count_noun, enumerate_positions

NO_TAPE, NOTHING_ASKED, FEWER = "no tape", "nothing asked", "fewer requests"

_HARMLESS = {SAME, REORDERED, NOT_COMPARED}
_IN_TROUBLE = {FAILED, NO_TAPE, NOTHING_ASKED}


@dataclass(frozen=True, slots=True)
class CassetteDrift:
    """What came of one tape in one run of one ``test``: what was ``asked`` live, and the recordings, by position, that
    nothing asked for. ``exists``: whether there is a tape."""

    test: str
    tape: str
    record_hint: str
    exists: bool = True
    requests: tuple[RequestDrift, ...] = ()
    unsent: frozenset[int] = frozenset()

    @property
    def verdicts(self) -> Sequence[str]:
        """Each once, in the order of the requests; of what is as on tape only where nothing else is to be told."""
        if not self.exists:
            return [NO_TAPE]
        if not self.requests:
            return [NOTHING_ASKED]
        found = dict.fromkeys(one.verdict for one in self.requests)
        if self.unsent and found.keys() <= _HARMLESS and any(one.drift.differs for one in self.requests):
            found[FEWER] = None
        for harmless in (NOT_COMPARED, SAME):
            if len(found) > 1:
                found.pop(harmless, None)
        return list(found)

    @property
    def verdict(self) -> str:
        """All verdicts as one text."""
        return ", ".join(self.verdicts)

    def merge(self, other: CassetteDrift) -> CassetteDrift:
        """Both as one: another block of the same run played the tape, too."""
        count = max((one.position for one in self.requests), default=0)
        later = (replace(one, position=count + one.position) for one in other.requests)
        return replace(self, requests=(*self.requests, *later), unsent=self.unsent & other.unsent)


def compare_tape(tape: Tape, test: str) -> CassetteDrift | None:
    """How what a closed ``tape`` was told live differs from what it holds; ``test`` is the one in which it was
    closed. None where there is nothing to compare."""
    told = tape.test or test, str(paths.relative_to_cwd(tape.path)), tape.record_hint
    counterparts, live = tape.replay_lookup, tape.live_interactions
    if counterparts is None:
        return CassetteDrift(*told, exists=False) if live else None
    found = conversation_drift.compare_conversations(
        counterparts, live, explain=lambda one: _reason(tape.redact(str(tape.explain_miss(one))))
    )
    unsent = frozenset(entry.position for entry in found.unsent if tape.is_own(entry))
    return CassetteDrift(*told, requests=found.requests, unsent=unsent) if live or unsent else None


def _reason(miss: str) -> Sequence[str]:
    """What a miss says, without the request and the tape."""
    return [line.removeprefix("  ") for line in miss.splitlines()[2:]]


def drift_row(runs: Sequence[CassetteDrift], outcomes: Sequence[str]) -> DriftRow:
    """One tape of one test, asked in one run or several; ``outcomes`` tell how the test came out of each, by no word
    where it passed."""
    first, verdicts = runs[0], Counter(run.verdict for run in runs)
    ended = Counter(filter(None, outcomes))
    remarks = [_times(outcome, count, len(outcomes)) for outcome, count in ended.most_common()]
    if spared := sum(one.drift.verdict == NOT_COMPARED for one in first.requests if first.verdict != NOT_COMPARED):
        remarks.append(f"{count_noun(spared, 'request')} not compared")
    details = [*(_details(first) if len(runs) == 1 else _samples(runs))]
    words = {verdict for run in runs for verdict in run.verdicts}
    return DriftRow(
        test=first.test,
        tape=first.tape,
        verdict=", ".join(_times(verdict, count, len(runs)) for verdict, count in verdicts.most_common()),
        remarks=remarks,
        details=details,
        holds=words <= _HARMLESS,
        trouble=bool(ended or words & _IN_TROUBLE),
    )


def _details(run: CassetteDrift) -> Iterator[str]:
    for one in run.requests:
        if one.drift.verdict in (SAME, REORDERED) or (one.drift.verdict == NOT_COMPARED != run.verdict):
            continue
        yield f"{run.test}, request {one.position}: {one.verdict}"
        yield from (f"  {line}" for line in one.drift.lines)
    if not run.exists:
        yield f"{run.test}: no cassette at {run.tape}"
        yield f"  to record it: {run.record_hint}"
    elif run.unsent and not _HARMLESS.issuperset(run.verdicts):
        positions, verb = enumerate_positions(sorted(run.unsent)), "were" if len(run.unsent) > 1 else "was"
        yield f"{run.test}: {positions} of the cassette {verb} not requested"


def _samples(runs: Sequence[CassetteDrift]) -> Iterator[str]:
    places = sorted({one.recording for run in runs for one in run.requests if one.recording is not None})
    for place in places:
        asked = [one for run in runs for one in run.requests if one.recording == place]
        lines = list(describe_agreement([one.drift for one in asked]))
        if lines:
            compared = sum(one.drift.calls is not None for one in asked)
            yield f"{runs[0].test}, interaction {place}: compared {compared} of {len(runs)} times"
            yield from (f"  {line}" for line in lines)
    others = Counter(one for run in runs for one in run.requests if one.drift.calls is None)
    for one, count in others.items():
        yield f"{runs[0].test}, request {one.position}: {_times(one.verdict, count, len(runs))}"
        yield from (f"  {line}" for line in one.drift.lines)
    if not runs[0].exists:
        yield from _details(runs[0])


def _times(word: str, count: int, of: int) -> str:
    return word if of == 1 else f"{word} {count}/{of}"
