"""A comparison as the lines that a person reads when a test fails."""

from __future__ import annotations

from collections.abc import Iterator

from multitrack.snapshots.comparison import Changed, Comparison, Moved
from multitrack.snapshots.differences import ABSENT, Absent, FieldChange
from multitrack.snapshots.literals import WIDTH, Call, Plain, one_line, wrapped


def render(comparison: Comparison) -> list[str]:
    """What differs first, call by call in the order of the calls; the unchanged ones folded into a last line.

    ::

        changed: Weather(location='Dallas', units='imperial')
            units: was 'imperial', now 'metric'
        added: GoogleSearch(query='who won the super bowl')
        2 calls unchanged
    """
    lines: list[str] = []
    for changed in comparison.changed:
        lines += _changed(changed)
    for moved in comparison.moved:
        lines += [f"moved: {_headline(moved.call)}", f"    {_places(moved)}"]
    for removed in comparison.removed:
        lines += f"removed: {wrapped(removed.call)}".splitlines()
    for added in comparison.added:
        lines += f"added: {wrapped(added.call)}".splitlines()
    count = len(comparison.unchanged)
    if count:
        lines.append(f"{count} call{'s' if count > 1 else ''} unchanged")
    return lines


def _changed(entry: Changed) -> Iterator[str]:
    yield f"changed: {_headline(entry.before)}"
    for field in entry.fields:
        yield from _field(field)
    if entry.moved:
        yield f"    {_places(entry)}"


def _field(change: FieldChange) -> list[str]:
    name = change.path or "tool"
    if change.old is ABSENT:
        return [f"    {name}: new, {_value(change.new)}"]
    if change.new is ABSENT:
        return [f"    {name}: gone, was {_value(change.old)}"]
    line = f"    {name}: was {_value(change.old)}, now {_value(change.new)}"
    if len(line) <= WIDTH:
        return [line]
    return [f"    {name}:", f"        was {_value(change.old)}", f"        now {_value(change.new)}"]


def _value(value: Plain | Absent) -> str:
    return "" if isinstance(value, Absent) else one_line(value)


def _places(entry: Changed | Moved) -> str:
    return f"was call {entry.old + 1}, now call {entry.new + 1}"


def _headline(call: Call) -> str:
    text = str(call)
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."
