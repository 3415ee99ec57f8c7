"""Format the tool calls and values in a report as text."""

from __future__ import annotations

import json
from collections.abc import Iterator

from pydantic import JsonValue

from multitrack.reporting.run_report import ReportedCall, ReportedChange, ReportedPair, RunTotals
from multitrack.wording import count_noun

_PARTS = {"tool": "tool", "id": "id of the call", "arguments": "arguments"}


def format_call(call: ReportedCall) -> str:
    """Return a call such as ``Weather(location='Toronto')``."""
    if call.arguments is None:
        return f"{call.tool}({call.text or ''})"
    return f"{call.tool}({', '.join(f'{name}={format_value(value)}' for name, value in call.arguments.items())})"


def format_value(value: JsonValue) -> str:
    """Return the Python literal for a value."""
    return repr(value)


def format_json_value(value: JsonValue) -> str:
    """Return a value as JSON."""
    return json.dumps(value, ensure_ascii=False)


def name_field(change: ReportedChange) -> str:
    """Return the name of the field that changed."""
    return _PARTS.get(change.part, change.path)


def describe_pair(pair: ReportedPair) -> Iterator[str]:
    """Yield one line for the call and one line for each of its changed fields."""
    call = pair.expected or pair.received
    yield f"{pair.status}: {format_call(call) if call is not None else ''}"
    for change in pair.changes:
        name = name_field(change)
        if change.change == "added":
            yield f"    {name}: added, {format_value(change.new)}"
        elif change.change == "removed":
            yield f"    {name}: removed, was {format_value(change.old)}"
        else:
            yield f"    {name}: was {format_value(change.old)}, now {format_value(change.new)}"


def describe_saved(totals: RunTotals) -> str:
    """Return what the replay saved, such as "12 requests, 3,400 tokens and 5.2 seconds". Empty if it saved nothing."""
    parts = [count_noun(totals.replayed, "request")] if totals.replayed else []
    if totals.tokens_saved:
        parts.append(f"{totals.tokens_saved:,} tokens")
    if totals.seconds_saved >= 0.1:
        parts.append(f"{totals.seconds_saved:.1f} seconds")
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
