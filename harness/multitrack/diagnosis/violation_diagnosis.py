"""Diagnose a violation: a kind of miss, a live call, or a routing error."""

from __future__ import annotations

from collections.abc import Mapping

from multitrack.errors import CassetteMiss, LiveCall, RoutingError, TapeViolation
from multitrack.reporting.diagnoses import Diagnosis, DiagnosisId
from multitrack.tape.miss.miss_facts import MissFacts, MissKind

_MISSES: Mapping[MissKind, DiagnosisId] = {
    "changed": "miss-changed",
    "already-replayed": "miss-already-replayed",
    "no-similar": "miss-no-similar",
    "no-cassette": "miss-no-cassette",
    "other-file": "miss-other-file",
    "rejected": "miss-rejected",
    "diverged": "miss-diverged",
    "unexplained": "miss-unexplained",
}


def diagnose(violation: TapeViolation) -> Diagnosis:
    """Return the diagnosis of ``violation``, whose text is the first line of the violation's message."""
    text = str(violation).partition("\n")[0]
    match violation:
        case CassetteMiss(facts=MissFacts(kind=kind)):
            return Diagnosis(_MISSES[kind], text)
        case LiveCall():
            return Diagnosis("live-call", text)
        case RoutingError():
            return Diagnosis("routing-error", text)
        case _:
            return Diagnosis("miss-unexplained", text)
