"""The drift of whole tapes, as rows of a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from multitrack.drift import exchanges
from multitrack.drift.agreement import agreement
from multitrack.drift.answers import FAILED, NOT_COMPARED, REORDERED, SAME
from multitrack.drift.exchanges import Exchange
from multitrack.report.drift import Row
from multitrack.tape import paths
from multitrack.tape.tape import Tape

NO_TAPE, NOTHING_ASKED, FEWER = "no tape", "nothing asked", "fewer requests"

_HARMLESS = {SAME, REORDERED, NOT_COMPARED}
_IN_TROUBLE = {FAILED, NO_TAPE, NOTHING_ASKED}


@dataclass(frozen=True, slots=True)
class TapeDrift:
    """What came of one tape in one run of one ``test``: its ``verdicts``, of which there is one at least, and the
    exchanges behind them. ``unsent`` are the recordings, by position, that nothing asked for."""

    test: str
    tape: str
    to_record: str
    verdicts: tuple[str, ...]
    asked: tuple[Exchange, ...] = ()
    unsent: tuple[int, ...] = ()

    @property
    def verdict(self) -> str:
        """All verdicts as one text."""
        return ", ".join(self.verdicts)


def drift_of(tape: Tape, test: str) -> TapeDrift | None:
    """How what a closed ``tape`` was told live differs from what it holds; ``test`` is the one in which it was
    closed. None where there is nothing to compare."""
    told = tape.test or test, str(paths.shown(tape.path)), tape.to_record
    counterparts, live = tape.counterparts, tape.live
    if counterparts is None:
        return TapeDrift(*told, (NO_TAPE,)) if live else None
    found = exchanges.compare(counterparts, live, explain=lambda one: _reason(tape.scrub(str(tape.missed(one)))))
    unsent = tuple(entry.position for entry in found.unsent if tape.is_own(entry))
    if not live:
        return TapeDrift(*told, (NOTHING_ASKED,), unsent=unsent) if unsent else None
    verdicts = dict.fromkeys(one.drift.verdict for one in found.asked)
    if unsent and verdicts.keys() <= _HARMLESS and any(one.drift.differs for one in found.asked):
        verdicts[FEWER] = None
    for harmless in (NOT_COMPARED, SAME):
        if len(verdicts) > 1:
            verdicts.pop(harmless, None)
    return TapeDrift(*told, tuple(verdicts), found.asked, unsent)


def _reason(miss: str) -> Sequence[str]:
    """What a miss says, without the request and the tape."""
    return [line.removeprefix("  ") for line in miss.splitlines()[2:]]


def row(runs: Sequence[TapeDrift], outcomes: Sequence[str]) -> Row:
    """One tape of one test, asked in one run or several; ``outcomes`` tell how the test came out of each, by no word
    where it passed."""
    first, verdicts = runs[0], Counter(run.verdict for run in runs)
    ended = Counter(filter(None, outcomes))
    remarks = [_times(outcome, count, len(outcomes)) for outcome, count in ended.most_common()]
    if spared := sum(one.drift.verdict == NOT_COMPARED for one in first.asked if first.verdict != NOT_COMPARED):
        remarks.append(f"{_count(spared)} not compared")
    details = [*(_details(first) if len(runs) == 1 else _samples(runs))]
    words = {verdict for run in runs for verdict in run.verdicts}
    return Row(
        test=first.test,
        tape=first.tape,
        verdict=", ".join(_times(verdict, count, len(runs)) for verdict, count in verdicts.most_common()),
        remarks=remarks,
        details=details,
        holds=words <= _HARMLESS,
        trouble=bool(ended or words & _IN_TROUBLE),
    )


def _details(run: TapeDrift) -> Iterator[str]:
    for one in run.asked:
        if one.drift.verdict in (SAME, REORDERED) or (one.drift.verdict == NOT_COMPARED != run.verdict):
            continue
        yield f"{run.test}, request {one.position}: {one.drift.verdict}"
        yield from (f"  {line}" for line in one.drift.lines)
    if run.verdicts == (NO_TAPE,):
        yield f"{run.test}: {NO_TAPE} at {run.tape}"
        yield f"  to record it: {run.to_record}"
    elif run.unsent and not _HARMLESS.issuperset(run.verdicts):
        several = "s" if len(run.unsent) > 1 else ""
        yield f"{run.test}: nothing asked for interaction{several} {', '.join(map(str, run.unsent))} of the tape"


def _samples(runs: Sequence[TapeDrift]) -> Iterator[str]:
    places = sorted({one.recording for run in runs for one in run.asked if one.recording is not None})
    for place in places:
        asked = [one for run in runs for one in run.asked if one.recording == place]
        lines = list(agreement([one.drift for one in asked]))
        if lines:
            compared = sum(one.drift.calls is not None for one in asked)
            yield f"{runs[0].test}, interaction {place}: compared {compared} of {len(runs)} times"
            yield from (f"  {line}" for line in lines)
    others = Counter((one.position, one.drift) for run in runs for one in run.asked if one.drift.calls is None)
    for (position, drift), count in others.items():
        yield f"{runs[0].test}, request {position}: {_times(drift.verdict, count, len(runs))}"
        yield from (f"  {line}" for line in drift.lines)
    if any(run.verdicts == (NO_TAPE,) for run in runs):
        yield from _details(runs[0])


def _times(word: str, count: int, of: int) -> str:
    return word if of == 1 else f"{word} {count}/{of}"


def _count(number: int) -> str:
    return f"{number} request{'' if number == 1 else 's'}"
