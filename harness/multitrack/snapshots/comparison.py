"""What changed between the calls that were expected and those that came.

Parallel calls are a set that happened side by side, so calls are paired by what they are, not by where they
stand: equal calls first; then calls of one tool, such that the fewest arguments differ in all; then calls of two
tools with the same arguments, which is a renamed tool. A call that has no partner was added or removed. Comparing
reads values and gives values; nothing is written.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

from multitrack.snapshots.assignment import assign
from multitrack.snapshots.literals import Call, Name, Plain, canonical, child_path

# Two calls of one tool that agree in no argument, and whose texts share less than this part of their
# character triples, are one call removed and another added: field by field, they would read as noise.
_ALIKE = 0.3


class Absent(Enum):
    """Stands for the value of a field that one of two calls does not have."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT
_Key: TypeAlias = Callable[[Call], str]


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that differs: its path in the call (``stops[1].city``; empty for the tool itself), old and new."""

    path: str
    old: Plain | Absent
    new: Plain | Absent


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


def compare(expected: Sequence[Call], actual: Sequence[Call], *, ordered: bool = False) -> Comparison:
    """Pair the expected with the actual calls and say what differs. Order counts only if ``ordered``."""
    pairs = _Pairing(expected, actual).pairs
    moved = _out_of_order(pairs) if ordered else set()
    unchanged, changed, moves = [], [], []
    for old, new in sorted(pairs.items()):
        fields = _differences(expected[old], actual[new])
        if fields:
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


class _Pairing:
    """Which expected call belongs to which actual one: ``pairs`` maps positions, old to new."""

    def __init__(self, expected: Sequence[Call], actual: Sequence[Call]) -> None:
        self.expected, self.actual = expected, actual
        self.pairs: dict[int, int] = {}
        self._pair_equal(canonical)
        self._pair_similar()
        self._pair_equal(_arguments)

    def _open(self) -> tuple[list[int], list[int]]:
        taken = set(self.pairs.values())
        return (
            [old for old in range(len(self.expected)) if old not in self.pairs],
            [new for new in range(len(self.actual)) if new not in taken],
        )

    def _pair_equal(self, key: _Key) -> None:
        olds, news = self._open()
        waiting: defaultdict[str, list[int]] = defaultdict(list)
        for new in reversed(news):
            waiting[key(self.actual[new])].append(new)
        for old in olds:
            text = key(self.expected[old])
            if text and waiting[text]:
                self.pairs[old] = waiting[text].pop()

    def _pair_similar(self) -> None:
        tools: defaultdict[str, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
        olds, news = self._open()
        for old in olds:
            tools[self.expected[old].name][0].append(old)
        for new in news:
            tools[self.actual[new].name][1].append(new)
        traits = _Traits()
        for rows, columns in tools.values():
            if not rows or not columns:
                continue
            before = [traits.of(self.expected[old]) for old in rows]
            after = [traits.of(self.actual[new]) for new in columns]
            costs = [
                [one.distance(other) + 1e-6 * abs(i - j) for j, other in enumerate(after)]
                for i, one in enumerate(before)
            ]
            for row, column in enumerate(assign(costs)):
                if column is not None and before[row].is_like(after[column]):
                    self.pairs[rows[row]] = columns[column]


@dataclass(frozen=True, slots=True)
class _Trait:
    """A call as three sets of bits: its paths, its values at their paths, the character triples of its values."""

    paths: int
    values: int
    triples: int

    def distance(self, other: _Trait) -> float:
        """How many fields differ, and below one: how far their texts do."""
        differing = (self.paths | other.paths).bit_count() - (self.values & other.values).bit_count()
        return differing + 0.99 * (1 - self.likeness(other))

    def likeness(self, other: _Trait) -> float:
        either = (self.triples | other.triples).bit_count()
        return (self.triples & other.triples).bit_count() / either if either else 1.0

    def is_like(self, other: _Trait) -> bool:
        return (
            (self.paths | other.paths).bit_count() < 2
            or bool(self.values & other.values)
            or self.likeness(other) >= _ALIKE
        )


class _Traits:
    """Numbers each path, value and triple that it meets, so that comparing two calls is counting bits."""

    def __init__(self) -> None:
        self.bits: dict[tuple[str, ...], int] = {}

    def of(self, call: Call) -> _Trait:
        paths = values = triples = 0
        for path, value in _leaves(call, ""):
            paths |= self._bit(path)
            values |= self._bit(path, value)
            for start in range(max(1, len(value) - 2)):
                triples |= self._bit("", "", value[start : start + 3].lower())
        return _Trait(paths, values, triples)

    def _bit(self, *trait: str) -> int:
        return 1 << self.bits.setdefault(trait, len(self.bits))


def _leaves(node: Plain, path: str) -> Iterator[tuple[str, str]]:
    children = _children(node)
    if not children:
        yield path, canonical(node)
    for key, child in children.items():
        yield from _leaves(child, _join(path, key))


def _children(node: Plain) -> dict[str | int, Plain]:
    if isinstance(node, Call):
        return {**dict(enumerate(node.positional)), **dict(node.keywords)}
    if isinstance(node, dict) and all(isinstance(key, str) for key in node):
        return {str(key): value for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return dict(enumerate(node))
    return {}


def _join(path: str, key: str | int) -> str:
    return f"{path}[{key}]" if isinstance(key, int) else child_path(path, key)


def _arguments(call: Call) -> str:
    return canonical(Call("", call.positional, call.keywords)) if call.positional or call.keywords else ""


def _differences(old: Call, new: Call) -> tuple[FieldChange, ...]:
    tool = [FieldChange("", Name(old.name), Name(new.name))] if old.name != new.name else []
    return (*tool, *_child_differences(old, new, ""))


def _child_differences(old: Plain, new: Plain, path: str) -> Iterator[FieldChange]:
    before, after = _children(old), _children(new)
    for key in before | after:
        was: Plain | Absent = before.get(key, ABSENT)
        now: Plain | Absent = after.get(key, ABSENT)
        if was is ABSENT or now is ABSENT:
            yield FieldChange(_join(path, key), was, now)
        elif canonical(was) != canonical(now):
            yield from _value_differences(was, now, _join(path, key))


def _value_differences(old: Plain, new: Plain, path: str) -> Iterator[FieldChange]:
    if _are_alike(old, new):
        yield from _child_differences(old, new, path)
    else:
        yield FieldChange(path, old, new)


def _are_alike(old: Plain, new: Plain) -> bool:
    """Whether the difference of two values is better told by their parts."""
    if type(old) is not type(new) or not _children(old) or not _children(new):
        return False
    if isinstance(old, Call) and isinstance(new, Call):
        # the parts of a date or a decimal mean nothing alone
        return old.name == new.name and not old.positional and not new.positional
    if isinstance(old, (list, tuple)) and isinstance(new, (list, tuple)):
        return len(old) == len(new)
    return True


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
