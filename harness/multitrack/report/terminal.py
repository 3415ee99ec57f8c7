"""The words of a test run in the terminal."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from multitrack.errors import TapeViolation


@dataclass(frozen=True, slots=True)
class Facts:
    """What the tape of one test did: how many interactions it ``played`` and ``recorded``, and where the recording
    lies if it is ``pending``, with the ``reason``."""

    mode: str
    tape: str
    played: int
    recorded: int
    pending: str = ""
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The facts as plain values."""
        return asdict(self)


def violation(error: TapeViolation) -> str:
    """The text of a test that failed by ``error``, with what followed from it."""
    text = f"{type(error).__name__}: {error}"
    if error.__cause__ is not None:
        first_line = (str(error.__cause__).splitlines() or [""])[0]
        text += f"\n  then: {type(error.__cause__).__name__}: {first_line}"
    return text


def pending_advice(pending: str, test: str) -> Iterator[str]:
    """How to go on with a recording that lies at ``pending`` since ``test`` failed."""
    yield "The tape is as it was. If the new recording is right:"
    yield f"  multitrack accept {shlex.quote(pending)}"
    yield f"  pytest --snapshot-update {shlex.quote(test)}"


def summary(facts: Sequence[Facts]) -> Iterator[str]:
    """The lines at the end of a run; none if no tape played."""
    if not facts:
        return
    told = [_count(len(facts), "test") + " on tape"]
    if played := sum(fact.played for fact in facts):
        told.append(_count(played, "request") + " replayed")
    written = [fact for fact in facts if fact.recorded and not fact.pending]
    if written:
        told.append(
            f"{_count(sum(fact.recorded for fact in written), 'request')} recorded on "
            f"{_count(len({fact.tape for fact in written}), 'tape')}"
        )
    yield f"multitrack: {', '.join(told)}"
    for fact in facts:
        if fact.pending:
            yield f"multitrack: pending: {fact.pending}: {fact.reason}"
            yield f"  to keep it: multitrack accept {shlex.quote(fact.pending)}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
