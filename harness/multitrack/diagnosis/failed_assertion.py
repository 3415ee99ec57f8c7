"""What a failed comparison compared, as calls."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from multitrack.diagnosis import fingerprints
from multitrack.diagnosis.fingerprints import ExchangeFingerprint
from multitrack.extraction import Extraction
from multitrack.snapshots.assertion import COMPARED
from multitrack.snapshots.calls import calls_of
from multitrack.snapshots.comparison import Comparison, compare
from multitrack.snapshots.literals import Call
from multitrack.snapshots.reading import read_calls

if TYPE_CHECKING:
    from multitrack.snapshots.extension import CallsSnapshot


@dataclass(frozen=True, slots=True)
class FailedAssertion:
    """The calls that were ``expected`` and those that ``came``, as they differ on the terms of the comparison.

    ``moments`` are those of the snapshot that was compared with; there are none where it was no snapshot, or one that
    was taken without a tape.
    """

    expected: Sequence[Call]
    received: Sequence[Call]
    difference: Comparison
    fingerprints: Sequence[ExchangeFingerprint] = ()


def read_failed_assertion(error: BaseException) -> FailedAssertion | None:
    """What `assert_calls` compared when it raised ``error``; None where that is from elsewhere."""
    found = getattr(error, COMPARED, None)
    return None if found is None else FailedAssertion(*found)


def compare_operands(left: object, right: object) -> FailedAssertion | None:
    """The two sides of an ``==`` that did not hold; None where they are no calls."""
    # who compares with a snapshot has imported it
    if "multitrack.snapshots.extension" in sys.modules:
        from multitrack.snapshots.extension import CallsSnapshot

        for side in (left, right):
            if isinstance(side, CallsSnapshot):
                return _with_snapshot(side)
    expected, came = (left, right) if isinstance(right, Extraction) else (right, left)
    if not all(isinstance(side, (list, tuple, Extraction)) for side in (expected, came)):
        return None
    try:
        calls = calls_of(expected), calls_of(came)
    except TypeError:
        return None
    return FailedAssertion(*calls, compare(*calls))


def _with_snapshot(snapshot: CallsSnapshot) -> FailedAssertion | None:
    result: Any = snapshot.executions[snapshot.num_executions - 1]
    stored, received = result.recalled_data, result.asserted_data
    if stored is None or received is None:
        return None
    try:
        terms, expected = snapshot.extension.terms, read_calls(stored)
    except ValueError:  # the entry is damaged, which its own message tells
        return None
    came = read_calls(received)
    difference = compare([terms.stored(call) for call in expected], came, terms=terms)
    return FailedAssertion(expected, came, difference, fingerprints.parse_fingerprints(stored))
