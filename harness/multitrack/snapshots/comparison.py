"""What changed between the calls that were expected and those that came.

Parallel calls are a set that happened side by side, so calls are paired by what they are, not by where they stand. A
call that has no partner was added or removed. Comparing reads values and gives values; nothing is written.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from multitrack.snapshots.differences import Differences, FieldChange
from multitrack.snapshots.literals import Call
from multitrack.snapshots.pairing import pair_calls
from multitrack.snapshots.terms import Terms

_EXACT, _IN_ORDER = Terms(), Terms(ordered=True)


@dataclass(frozen=True, slots=True)
class Unchanged:
    """A call that came as expected. ``old`` and ``new`` are its positions, from 0."""

    call: Call
    old: int
    new: int


@dataclass(frozen=True, slots=True)
class Changed:
    """A call that came with other arguments; ``moved`` too, where the order counts."""

    before: Call
    after: Call
    old: int
    new: int
    fields: tuple[FieldChange, ...]
    moved: bool = False


@dataclass(frozen=True, slots=True)
class Added:
    """A call that came and was not expected."""

    call: Call
    new: int


@dataclass(frozen=True, slots=True)
class Removed:
    """A call that was expected and did not come."""

    call: Call
    old: int


@dataclass(frozen=True, slots=True)
class Moved:
    """A call that came as expected, but elsewhere in the order."""

    call: Call
    old: int
    new: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that `compare` found. Each call, expected or actual, is in exactly one entry."""

    unchanged: tuple[Unchanged, ...] = ()
    changed: tuple[Changed, ...] = ()
    added: tuple[Added, ...] = ()
    removed: tuple[Removed, ...] = ()
    moved: tuple[Moved, ...] = ()

    @property
    def same(self) -> bool:
        """Whether the calls came as expected."""
        return not (self.changed or self.added or self.removed or self.moved)


def compare(
    expected: Sequence[Call],
    actual: Sequence[Call],
    *,
    ordered: bool = False,
    terms: Terms | None = None,
    values: Sequence[Mapping[str, object]] = (),
) -> Comparison:
    """Pair the expected with the actual calls and say what differs, on the given terms; ``ordered`` is short for one.

    ``values``: for each actual call what was found at each path, if the expected ones hold matchers.
    """
    terms = terms or (_IN_ORDER if ordered else _EXACT)
    before, after = [terms.counted(call) for call in expected], [terms.counted(call) for call in actual]
    pairs = pair_calls([terms.seen(call) for call in before], [terms.seen(call) for call in after], terms, values)
    moved = _out_of_order(pairs) if terms.ordered else set()
    unchanged, changed, moves = [], [], []
    for old, new in sorted(pairs.items()):
        found = Differences(terms, after[new].name, values[new] if values else {}).between(before[old], after[new])
        if fields := tuple(found):
            changed.append(Changed(expected[old], actual[new], old, new, fields, old in moved))
        elif old in moved:
            moves.append(Moved(actual[new], old, new))
        else:
            unchanged.append(Unchanged(actual[new], old, new))
    taken = set(pairs.values())
    return Comparison(
        unchanged=tuple(unchanged),
        changed=tuple(changed),
        added=tuple(Added(call, new) for new, call in enumerate(actual) if new not in taken),
        removed=tuple(Removed(call, old) for old, call in enumerate(expected) if old not in pairs),
        moved=tuple(moves),
    )


def _out_of_order(pairs: dict[int, int]) -> set[int]:
    """The fewest expected positions whose removal leaves the actual ones in order: all but a longest ascent."""
    tails: list[int] = []
    before: dict[int, int | None] = {}
    old_at: list[int] = []
    for old, new in sorted(pairs.items()):
        place = bisect_left(tails, new)
        tails[place:] = [new, *tails[place + 1 :]]
        old_at[place:] = [old, *old_at[place + 1 :]]
        before[old] = old_at[place - 1] if place else None
    kept: set[int] = set()
    step = old_at[-1] if old_at else None
    while step is not None:
        kept.add(step)
        step = before[step]
    return set(pairs) - kept
