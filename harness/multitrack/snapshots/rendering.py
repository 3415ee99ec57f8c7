"""A comparison as the lines that a person reads when a test fails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import takewhile

from multitrack.snapshots.comparison import Changed, Comparison, Moved
from multitrack.snapshots.differences import ARGUMENTS, ID, TOOL, Absent, FieldChange
from multitrack.snapshots.literals import WIDTH, Call, Plain, canonical, one_line, wrapped
from multitrack.snapshots.matchers import Expected

_NAMES = {TOOL: "tool", ID: "id of the call", ARGUMENTS: "arguments"}

# characters of a long text that are shown on either side of what changed in it
_AROUND = 20


def render(comparison: Comparison) -> list[str]:
    """What differs first, call by call in the order of the calls; the unchanged ones folded into a last line.

    ::

        changed: Weather(location='Dallas', units='imperial')
            units: was 'imperial', now 'metric'
        added: GoogleSearch(query='who won the super bowl')
        2 calls unchanged
    """
    lines: list[str] = []
    if comparison.removed and not (comparison.unchanged or comparison.changed or comparison.moved or comparison.added):
        lines.append("no calls came")
    for changed in comparison.changed:
        lines += _changed(changed)
    for moved in comparison.moved:
        lines += [f"moved: {_headline(moved.call)}", f"    {_places(moved)}"]
    if comparison.removed or comparison.added:
        expected, came = _counted(comparison)
        lines += _alone("removed", [entry.call for entry in comparison.removed], expected, came)
        lines += _alone("added", [entry.call for entry in comparison.added], expected, came)
    count = len(comparison.unchanged)
    if count:
        lines.append(f"{count} call{'s' if count > 1 else ''} unchanged")
    return lines


def _counted(comparison: Comparison) -> tuple[Counter[str], Counter[str]]:
    """How often each call was expected, and how often it came."""
    both = [entry.call for entry in comparison.unchanged] + [entry.call for entry in comparison.moved]
    expected = [*both, *(entry.before for entry in comparison.changed), *(entry.call for entry in comparison.removed)]
    came = [*both, *(entry.after for entry in comparison.changed), *(entry.call for entry in comparison.added)]
    return Counter(map(canonical, expected)), Counter(map(canonical, came))


def _alone(what: str, calls: list[Call], expected: Counter[str], came: Counter[str]) -> Iterator[str]:
    """Calls without a partner; those that are equal once."""
    for key, call in {canonical(call): call for call in calls}.items():
        yield from f"{what}: {wrapped(call)}".splitlines()
        if expected[key] and came[key]:
            yield f"    expected {_times(expected[key])}, came {_times(came[key])}"
        elif expected[key] + came[key] > 1:
            yield f"    {_times(expected[key] + came[key])}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _changed(entry: Changed) -> Iterator[str]:
    yield f"changed: {_headline(entry.before)}"
    for field in entry.fields:
        yield from _field(field)
    if entry.moved:
        yield f"    {_places(entry)}"


def _field(change: FieldChange) -> list[str]:
    name = _NAMES.get(change.path, change.path)
    if isinstance(change.old, Absent):
        return [f"    {name}: new, {_value(change.new)}"]
    if isinstance(change.new, Absent):
        return [f"    {name}: gone, was {_value(change.old)}"]
    old, new = _values(change.old, change.new)
    before, after = ("expected", "came") if isinstance(change.old, Expected) else ("was", "now")
    if change.path == ARGUMENTS:
        old, new = _readable(change.old, old), _readable(change.new, new)
    line = f"    {name}: {before} {old}, {after} {new}"
    if len(line) <= WIDTH:
        return [line]
    return [f"    {name}:", f"        {before} {old}", f"        {after} {new}"]


def _readable(arguments: Plain | Absent, shown: str) -> str:
    return f"no JSON object: {shown}" if isinstance(arguments, str) else shown


def _value(value: Plain | Absent) -> str:
    return "" if isinstance(value, Absent) else one_line(value)


def _values(old: Plain, new: Plain) -> tuple[str, str]:
    """Both values, so that one sees where they differ."""
    if isinstance(old, str) and isinstance(new, str):
        return _texts(old, new)
    alike = type(old) is not type(new) and (str(old) == str(new) or old == new)
    if alike:
        return f"{one_line(old)} ({type(old).__name__})", f"{one_line(new)} ({type(new).__name__})"
    return one_line(old), one_line(new)


def _texts(old: str, new: str) -> tuple[str, str]:
    """Two texts, without the long beginning and the long end that they share."""
    start = _shared(old, new)
    end = _shared(old[start:][::-1], new[start:][::-1])
    if max(len(old), len(new)) <= WIDTH or start + end < _AROUND:
        return repr(old), repr(new)

    def excerpt(text: str) -> str:
        return f"{'...' if start else ''}{text[start : len(text) - end]!r}{'...' if end else ''}"

    return excerpt(old), excerpt(new)


def _shared(old: str, new: str) -> int:
    """How much of the beginning of both need not be shown."""
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False))
    return max(sum(1 for _ in alike) - _AROUND, 0)


def _places(entry: Changed | Moved) -> str:
    return f"was call {entry.old + 1}, now call {entry.new + 1}"


def _headline(call: Call) -> str:
    text = str(call)
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."
