"""Convert a comparison of tool calls to data for the report about a run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import JsonValue

from multitrack.reporting.report_values import cut_text, to_json_value
from multitrack.reporting.run_report import ReportedCall, ReportedChange, ReportedComparison, ReportedPair
from multitrack.snapshots.comparison import CallComparison
from multitrack.snapshots.differences import ARGUMENTS, ID, TOOL, Absent, FieldChange
from multitrack.snapshots.expressions import Expression, Name, SnapshotCall, format_line

_PARTS: dict[str, Literal["tool", "id", "arguments"]] = {TOOL: "tool", ID: "id", ARGUMENTS: "arguments"}


def report_comparison(
    comparison: CallComparison, expected_in: Literal["snapshot", "test", "cassette"]
) -> ReportedComparison:
    """Convert a ``comparison`` to data for a report.

    The calls that differ come first, in the same order as in the message of a failed test.
    """
    return ReportedComparison(expected_in=expected_in, calls=list(_report_pairs(comparison)))


def _report_pairs(comparison: CallComparison) -> Iterator[ReportedPair]:
    for forbidden in comparison.forbidden:
        call = _report_call(forbidden.call)
        yield ReportedPair(status="forbidden", received=call, restriction=cut_text(forbidden.restriction))
    for changed in comparison.changed:
        yield ReportedPair(
            status="changed",
            expected=_report_call(changed.before),
            received=_report_call(changed.after),
            changes=list(map(_report_change, changed.fields)),
        )
    for moved in comparison.moved:
        call = _report_call(moved.call)
        yield ReportedPair(status="moved", expected=call, received=call)
    for removed in comparison.removed:
        yield ReportedPair(status="removed", expected=_report_call(removed.call))
    for added in comparison.added:
        yield ReportedPair(status="added", received=_report_call(added.call))
    for unchanged in comparison.unchanged:
        call = _report_call(unchanged.call)
        yield ReportedPair(status="unchanged", expected=call, received=call)
    for other in comparison.others:
        yield ReportedPair(status="accepted", received=_report_call(other.call))


def _report_call(call: SnapshotCall) -> ReportedCall:
    name = cut_text(call.name)
    if call.positional:
        argument = call.positional[0]
        text = argument if isinstance(argument, str) else format_line(argument)
        return ReportedCall(tool=name, arguments=None, text=cut_text(text))
    return ReportedCall(tool=name, arguments={cut_text(key): _to_json(value) for key, value in call.keywords})


def _report_change(change: FieldChange) -> ReportedChange:
    part = _PARTS.get(change.path)
    return ReportedChange(
        part=part or "argument",
        path="" if part else cut_text(change.path),
        change=(
            "added" if isinstance(change.old, Absent) else "removed" if isinstance(change.new, Absent) else "changed"
        ),
        old=None if isinstance(change.old, Absent) else _to_json(change.old),
        new=None if isinstance(change.new, Absent) else _to_json(change.new),
    )


def _to_json(node: Expression) -> JsonValue:
    """Return the value of an expression. If JSON cannot represent it, return its Python source."""
    match node:
        case None | bool() | int() | float() | str():
            return to_json_value(node)
        case Name():
            return cut_text(node.text)
        case list() | tuple():
            return [_to_json(item) for item in node]
        case dict() if all(isinstance(key, str) for key in node):
            return {cut_text(str(key)): _to_json(item) for key, item in node.items()}
        case SnapshotCall() if not node.positional and node.keywords:
            return {cut_text(key): _to_json(item) for key, item in node.keywords}
    return cut_text(format_line(node))
