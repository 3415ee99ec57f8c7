"""Compare the expected tool calls with the received ones.

Parallel calls can arrive in any order, so calls are paired by their content, not by their positions. An expected call
without a partner was removed, and a received call without a partner was added.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from multitrack.snapshots.comparison_options import ComparisonOptions
from multitrack.snapshots.differences import CallDiffer, FieldChange
from multitrack.snapshots.expressions import SnapshotCall
from multitrack.snapshots.pairing import pair_calls

_DEFAULT_OPTIONS, _ORDERED = ComparisonOptions(), ComparisonOptions(ordered=True)


@dataclass(frozen=True, slots=True)
class UnchangedCall:
    """A call that was received as expected.

    ``old`` is its position among the expected calls, and ``new`` among the received calls, from 0.
    """

    call: SnapshotCall
    old: int
    new: int


@dataclass(frozen=True, slots=True)
class ChangedCall:
    """A call that was received with different arguments. ``is_moved`` can only be true if the order is compared."""

    before: SnapshotCall
    after: SnapshotCall
    old: int
    new: int
    fields: tuple[FieldChange, ...]
    is_moved: bool = False


@dataclass(frozen=True, slots=True)
class AddedCall:
    """A call that was received but not expected."""

    call: SnapshotCall
    new: int


@dataclass(frozen=True, slots=True)
class RemovedCall:
    """A call that was expected but not received."""

    call: SnapshotCall
    old: int


@dataclass(frozen=True, slots=True)
class MovedCall:
    """A call that was received with the expected arguments, but at a different place in the order."""

    call: SnapshotCall
    old: int
    new: int


@dataclass(frozen=True, slots=True)
class ForbiddenCall:
    """A call to a tool that must not be called. ``restriction`` is the name of the option that forbids the call."""

    call: SnapshotCall
    new: int
    restriction: str


@dataclass(frozen=True, slots=True)
class CallComparison:
    """The result of ``compare_calls``.

    Each expected or received call appears in one of the lists. If a test expects a call but also forbids its tool,
    the call appears in two: in ``forbidden``, and in ``unchanged``, ``changed`` or ``moved``.

    Attributes:
        unchanged: The calls that were received as expected.
        changed: The calls that were received with different arguments.
        added: The calls that were received but not expected.
        removed: The calls that were expected but not received.
        moved: The calls that were received at a different place in the order.
        forbidden: The calls to tools that must not be called.
        others: The additional calls that the ``subset`` option accepts. These calls are not differences.
    """

    unchanged: tuple[UnchangedCall, ...] = ()
    changed: tuple[ChangedCall, ...] = ()
    added: tuple[AddedCall, ...] = ()
    removed: tuple[RemovedCall, ...] = ()
    moved: tuple[MovedCall, ...] = ()
    forbidden: tuple[ForbiddenCall, ...] = ()
    others: tuple[AddedCall, ...] = ()

    @property
    def is_same(self) -> bool:
        """True if the calls were received as expected."""
        return not (self.changed or self.added or self.removed or self.moved or self.forbidden)


def compare_calls(
    expected: Sequence[SnapshotCall],
    received: Sequence[SnapshotCall],
    *,
    ordered: bool = False,
    options: ComparisonOptions | None = None,
    values: Sequence[Mapping[str, object]] = (),
) -> CallComparison:
    """Pair the expected with the received calls and find the differences.

    Args:
        expected: The expected calls.
        received: The received calls.
        ordered: Whether the order matters. Ignored if ``options`` is given.
        options: The options of the comparison.
        values: For each received call, a mapping from paths to Python values. Required if expected calls contain
            matchers.
    """
    options = options or (_ORDERED if ordered else _DEFAULT_OPTIONS)
    before = [options.drop_ignored(call) for call in expected]
    after = [options.drop_ignored(call) for call in received]
    pairs = pair_calls(
        [options.normalize(call) for call in before], [options.normalize(call) for call in after], options, values
    )
    moved = _find_moved(pairs) if options.ordered else set()
    unchanged_calls, changed_calls, moved_calls = [], [], []
    for old, new in sorted(pairs.items()):
        differ = CallDiffer(options, after[new].name, values[new] if values else {})
        if changes := tuple(differ.find_changes(before[old], after[new])):
            changed_calls.append(ChangedCall(expected[old], received[new], old, new, changes, old in moved))
        elif old in moved:
            moved_calls.append(MovedCall(received[new], old, new))
        else:
            unchanged_calls.append(UnchangedCall(received[new], old, new))
    forbidden = [
        ForbiddenCall(call, new, restriction)
        for new, call in enumerate(received)
        if (restriction := options.find_restriction(call.name))
    ]
    known = {*pairs.values(), *(entry.new for entry in forbidden)}
    additional = tuple(AddedCall(call, new) for new, call in enumerate(received) if new not in known)
    return CallComparison(
        unchanged=tuple(unchanged_calls),
        changed=tuple(changed_calls),
        added=() if options.subset else additional,
        removed=tuple(RemovedCall(call, old) for old, call in enumerate(expected) if old not in pairs),
        moved=tuple(moved_calls),
        forbidden=tuple(forbidden),
        others=additional if options.subset else (),
    )


def _find_moved(pairs: dict[int, int]) -> set[int]:
    """Return the expected positions of the calls that moved: the smallest set whose removal leaves all others in order.

    The calls that did not move form a longest increasing subsequence of the received positions.
    """
    tails: list[int] = []
    predecessors: dict[int, int | None] = {}
    old_of_tails: list[int] = []
    for old, new in sorted(pairs.items()):
        length = bisect_left(tails, new)
        tails[length:] = [new, *tails[length + 1 :]]
        old_of_tails[length:] = [old, *old_of_tails[length + 1 :]]
        predecessors[old] = old_of_tails[length - 1] if length else None
    in_order: set[int] = set()
    step = old_of_tails[-1] if old_of_tails else None
    while step is not None:
        in_order.add(step)
        step = predecessors[step]
    return set(pairs) - in_order
