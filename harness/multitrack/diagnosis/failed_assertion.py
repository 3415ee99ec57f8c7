"""What a failed comparison compared, as calls."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from multitrack.diagnosis import fingerprints
from multitrack.diagnosis.fingerprints import ExchangeFingerprint
from multitrack.extraction import Extraction
from multitrack.snapshots.assertion import COMPARISON_ATTRIBUTE
from multitrack.snapshots.collected_calls import to_snapshot_calls
from multitrack.snapshots.comparison import CallComparison, compare_calls
from multitrack.snapshots.expressions import SnapshotCall
from multitrack.snapshots.parsing import parse_calls

if TYPE_CHECKING:
    from multitrack.snapshots.calls_snapshot import CallsSnapshot


@dataclass(frozen=True, slots=True)
class FailedAssertion:
    """The calls that were ``expected`` and those that ``came``, as they differ on the terms of the comparison.

    ``moments`` are those of the snapshot that was compared with; there are none where it was no snapshot, or one that
    was taken without a tape.
    """

    expected: Sequence[SnapshotCall]
    received: Sequence[SnapshotCall]
    difference: CallComparison
    fingerprints: Sequence[ExchangeFingerprint] = ()


def read_failed_assertion(error: BaseException) -> FailedAssertion | None:
    """What `assert_calls` compared when it raised ``error``; None where that is from elsewhere."""
    found = getattr(error, COMPARISON_ATTRIBUTE, None)
    return None if found is None else FailedAssertion(*found)


def compare_operands(left: object, right: object) -> FailedAssertion | None:
    """The two sides of an ``==`` that did not hold; None where they are no calls."""
    # who compares with a snapshot has imported it
    if "multitrack.snapshots.calls_snapshot" in sys.modules:
        from multitrack.snapshots.calls_snapshot import CallsSnapshot

        for side in (left, right):
            if isinstance(side, CallsSnapshot):
                return _with_snapshot(side)
    expected, came = (left, right) if isinstance(right, Extraction) else (right, left)
    if not all(isinstance(side, (list, tuple, Extraction)) for side in (expected, came)):
        return None
    try:
        calls = to_snapshot_calls(expected), to_snapshot_calls(came)
    except TypeError:
        return None
    return FailedAssertion(*calls, compare_calls(*calls))


def _with_snapshot(snapshot: CallsSnapshot) -> FailedAssertion | None:
    result: Any = snapshot.executions[snapshot.num_executions - 1]
    stored, received = result.recalled_data, result.asserted_data
    if stored is None or received is None:
        return None
    try:
        terms, expected = snapshot.extension.options, parse_calls(stored)
    except ValueError:  # the entry is damaged, which its own message tells
        return None
    came = parse_calls(received)
    difference = compare_calls([terms.replace_values(call) for call in expected], came, options=terms)
    return FailedAssertion(expected, came, difference, fingerprints.parse_fingerprints(stored))
