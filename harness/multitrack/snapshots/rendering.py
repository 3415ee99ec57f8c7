"""Render a comparison as the lines that pytest shows when a test fails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from multitrack.snapshots.comparison import CallComparison, ChangedCall, MovedCall
from multitrack.snapshots.differences import ARGUMENTS, ID, TOOL, Absent, FieldChange
from multitrack.snapshots.expressions import (
    WIDTH,
    Expression,
    SnapshotCall,
    canonical_text,
    format_line,
    format_wrapped,
)
from multitrack.snapshots.matchers import MatcherNode
from multitrack.text_difference import CONTEXT, count_hidden_ends
from multitrack.wording import count_noun

_FIELD_NAMES = {TOOL: "tool", ID: "id of the call", ARGUMENTS: "arguments"}


def render_comparison(comparison: CallComparison) -> list[str]:
    """Return the lines for each call that differs, in the order of the calls, and one line for all unchanged calls.

    If additional calls are accepted, a last line lists their tools::

        changed: Weather(location='Dallas', units='imperial')
            units: was 'imperial', now 'metric'
        2 calls unchanged
        1 other call received: GoogleSearch
    """
    lines: list[str] = []
    if comparison.removed and comparison == CallComparison(removed=comparison.removed):
        lines.append("no calls received")
    for forbidden in comparison.forbidden:
        lines += [*f"not allowed: {format_wrapped(forbidden.call)}".splitlines(), f"    {forbidden.restriction}"]
    for changed in comparison.changed:
        lines += _render_changed(changed)
    for moved in comparison.moved:
        lines += [f"moved: {_shorten(moved.call)}", f"    {_render_positions(moved)}"]
    if comparison.removed or comparison.added:
        expected, received = _count_calls(comparison)
        lines += _render_unpaired("removed", [entry.call for entry in comparison.removed], expected, received)
        lines += _render_unpaired("added", [entry.call for entry in comparison.added], expected, received)
    if comparison.unchanged:
        lines.append(f"{count_noun(len(comparison.unchanged), 'call')} unchanged")
    if comparison.others:
        tools = ", ".join(dict.fromkeys(entry.call.name for entry in comparison.others))
        lines.append(f"{count_noun(len(comparison.others), 'other call')} received: {tools}")
    return lines


def _count_calls(comparison: CallComparison) -> tuple[Counter[str], Counter[str]]:
    """Return how often each call was expected, and how often it was received."""
    both = [entry.call for entry in comparison.unchanged] + [entry.call for entry in comparison.moved]
    expected = [*both, *(entry.before for entry in comparison.changed), *(entry.call for entry in comparison.removed)]
    received = [*both, *(entry.after for entry in comparison.changed), *(entry.call for entry in comparison.added)]
    return Counter(map(canonical_text, expected)), Counter(map(canonical_text, received))


def _render_unpaired(
    label: str, calls: list[SnapshotCall], expected: Counter[str], received: Counter[str]
) -> Iterator[str]:
    """Yield the lines for calls that were either expected or received, but not both.

    Equal calls share one entry.
    """
    for key, call in {canonical_text(call): call for call in calls}.items():
        yield from f"{label}: {format_wrapped(call)}".splitlines()
        if expected[key] and received[key]:
            yield f"    expected {_format_times(expected[key])}, received {_format_times(received[key])}"
        elif expected[key] + received[key] > 1:
            yield f"    {_format_times(expected[key] + received[key])}"


def _format_times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _render_changed(entry: ChangedCall) -> Iterator[str]:
    yield f"changed: {_shorten(entry.before)}"
    for change in entry.fields:
        yield from _render_field(change)
    if entry.is_moved:
        yield f"    {_render_positions(entry)}"


def _render_field(change: FieldChange) -> list[str]:
    name = _FIELD_NAMES.get(change.path, change.path)
    if isinstance(change.new, Absent):
        return [f"    {name}: removed, was {'' if isinstance(change.old, Absent) else format_line(change.old)}"]
    if isinstance(change.old, Absent):
        return [f"    {name}: added, {format_line(change.new)}"]
    old, new = _format_pair(change.old, change.new)
    before, after = ("expected", "received") if isinstance(change.old, MatcherNode) else ("was", "now")
    if change.path == ARGUMENTS:
        old, new = _label_unparsed(change.old, old), _label_unparsed(change.new, new)
    line = f"    {name}: {before} {old}, {after} {new}"
    if len(line) <= WIDTH:
        return [line]
    return [f"    {name}:", f"        {before} {old}", f"        {after} {new}"]


def _label_unparsed(arguments: Expression, text: str) -> str:
    return f"not a JSON object: {text}" if isinstance(arguments, str) else text


def _format_pair(old: Expression, new: Expression) -> tuple[str, str]:
    """Format two values in a way that shows where they differ."""
    if isinstance(old, str) and isinstance(new, str):
        return _format_texts(old, new)
    look_alike = type(old) is not type(new) and (str(old) == str(new) or old == new)
    if look_alike:
        return f"{format_line(old)} ({type(old).__name__})", f"{format_line(new)} ({type(new).__name__})"
    return format_line(old), format_line(new)


def _format_texts(old: str, new: str) -> tuple[str, str]:
    """Shorten two strings: leave out a long common beginning and a long common end."""
    if max(len(old), len(new)) <= WIDTH:
        return repr(old), repr(new)
    start, end = count_hidden_ends(old, new)
    if start + end < CONTEXT:
        return repr(old), repr(new)

    def excerpt(text: str) -> str:
        return f"{'...' if start else ''}{text[start : len(text) - end]!r}{'...' if end else ''}"

    return excerpt(old), excerpt(new)


def _render_positions(entry: ChangedCall | MovedCall) -> str:
    return f"was call {entry.old + 1}, now call {entry.new + 1}"


def _shorten(call: SnapshotCall) -> str:
    text = str(call)
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."
