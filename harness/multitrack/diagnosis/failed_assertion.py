"""Find the tool calls that a failed assertion compared."""

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
    """The two sides of a failed assertion, and how they differ.

    Args:
        expected: The expected calls.
        received: The calls that were received.
        difference: The result of comparing them, with the assertion's options.
        fingerprints: The fingerprints in the snapshot. Empty if the calls were not compared with a snapshot, or if
            the snapshot was written without a cassette.
        is_snapshot: Whether the calls were compared with a snapshot.
    """

    expected: Sequence[SnapshotCall]
    received: Sequence[SnapshotCall]
    difference: CallComparison
    fingerprints: Sequence[ExchangeFingerprint] = ()
    is_snapshot: bool = False


def read_failed_assertion(error: BaseException) -> FailedAssertion | None:
    """Return what ``assert_calls`` compared when it raised ``error``. None if ``error`` was raised elsewhere."""
    found = getattr(error, COMPARISON_ATTRIBUTE, None)
    return None if found is None else FailedAssertion(*found)


def compare_operands(left: object, right: object) -> FailedAssertion | None:
    """Compare the two sides of a failed ``==``. None if they are not tool calls."""
    # if a side is a snapshot, its module is imported
    if "multitrack.snapshots.calls_snapshot" in sys.modules:
        from multitrack.snapshots.calls_snapshot import CallsSnapshot

        for side in (left, right):
            if isinstance(side, CallsSnapshot):
                return _read_snapshot(side)
    expected, received = (left, right) if isinstance(right, Extraction) else (right, left)
    if not all(isinstance(side, (list, tuple, Extraction)) for side in (expected, received)):
        return None
    try:
        calls = to_snapshot_calls(expected), to_snapshot_calls(received)
    except TypeError:
        return None
    return FailedAssertion(*calls, compare_calls(*calls))


def lacks_snapshot(left: object, right: object) -> bool:
    """Return whether one side of a failed ``==`` is a snapshot that has not been stored yet."""
    if "multitrack.snapshots.calls_snapshot" not in sys.modules:
        return False
    from multitrack.snapshots.calls_snapshot import CallsSnapshot

    return any(isinstance(side, CallsSnapshot) and side.is_missing for side in (left, right))


def _read_snapshot(snapshot: CallsSnapshot) -> FailedAssertion | None:
    result: Any = snapshot.executions[snapshot.num_executions - 1]
    stored, asserted = result.recalled_data, result.asserted_data
    if stored is None or asserted is None:
        return None
    try:
        options, expected = snapshot.extension.options, parse_calls(stored)
    except ValueError:  # the entry is damaged, which the snapshot reports itself
        return None
    received = parse_calls(asserted)
    difference = compare_calls([options.replace_values(call) for call in expected], received, options=options)
    return FailedAssertion(expected, received, difference, fingerprints.parse_fingerprints(stored), is_snapshot=True)
