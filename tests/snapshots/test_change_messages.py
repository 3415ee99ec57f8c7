"""The messages for the most common changes, and their table in docs/snapshots.md.

``python tests/snapshots/test_change_messages.py`` writes the table.
"""

from __future__ import annotations

import html
from pathlib import Path

import pytest

from multitrack import assert_calls
from multitrack.snapshots.collected_calls import to_snapshot_calls
from multitrack.tool_call import ToolCall

PAGE = Path(__file__).parents[2] / "docs" / "snapshots.md"
BEGIN, END = "<!-- what changed: written by tests/snapshots/test_change_messages.py -->\n", "<!-- end -->\n"


def call(name, **arguments):
    return {"name": name, "arguments": arguments}


TORONTO = call("Weather", location="Toronto", units="metric")
DALLAS = call("Weather", location="Dallas", units="imperial")
SEARCH = call("GoogleSearch", query="who won the super bowl")
STOPS = [{"city": "Toronto", "nights": 2}, {"city": "Dallas", "nights": 1}]
TRIP = call("Trip", title="Round trip", stops=STOPS)
LETTER = "Dear all, we would like to have {} rooms for the nights from the first to the third of May. " * 2

# by the source of the change: the expected calls, the received ones, and the options
CHANGES = {
    "An argument has a different value": (
        [TORONTO, DALLAS, SEARCH],
        [SEARCH, TORONTO, call("Weather", location="Dallas", units="metric")],
        {},
    ),
    "A call was not expected": ([TORONTO, DALLAS], [TORONTO, SEARCH, DALLAS], {}),
    "A call is missing": ([TORONTO, DALLAS, SEARCH], [TORONTO, DALLAS], {}),
    "All calls are missing": ([SEARCH], [], {}),
    "The same call was received twice": ([TORONTO, DALLAS], [TORONTO, DALLAS, TORONTO], {}),
    "A call has entirely different arguments": ([TORONTO, SEARCH], [DALLAS, SEARCH], {}),
    "The order changed, with `ordered=True`": (
        [TORONTO, DALLAS, SEARCH],
        [SEARCH, TORONTO, DALLAS],
        {"ordered": True},
    ),
    "An expected call is missing, with `subset=True`": (
        [TORONTO, DALLAS],
        [TORONTO, SEARCH],
        {"subset": True},
    ),
    "The order changed, with `subsequence=True`": (
        [TORONTO, SEARCH],
        [SEARCH, DALLAS, TORONTO],
        {"subsequence": True},
    ),
    "A tool must not be called, with `never='GoogleSearch'`": (
        [TORONTO],
        [TORONTO, SEARCH],
        {"never": "GoogleSearch"},
    ),
    "A tool was renamed": ([TORONTO, SEARCH], [TORONTO, call("WebSearch", query="who won the super bowl")], {}),
    "A field was added, another removed": (
        [call("Weather", location="Toronto", units="metric")],
        [call("Weather", location="Toronto", days=3)],
        {},
    ),
    "A value has a different type": ([call("Forecast", days=3)], [call("Forecast", days="3")], {}),
    "A nested value changed": (
        [TRIP],
        [call("Trip", title="Round trip", stops=[STOPS[0], {"city": "Dallas", "nights": 3}])],
        {},
    ),
    "An item was inserted into a list": (
        [TRIP],
        [call("Trip", title="Round trip", stops=[STOPS[0], {"city": "Boston", "nights": 1}, STOPS[1]])],
        {},
    ),
    "A word in a long text changed": (
        [call("Mail", to="hotel@example.com", text=LETTER.format("two", "two"))],
        [call("Mail", to="hotel@example.com", text=LETTER.format("two", "three"))],
        {},
    ),
    "The arguments are truncated": (
        [TORONTO],
        [ToolCall("call_1", "Weather", '{"location": "Toronto", "un', 0)],
        {},
    ),
    "A value does not match, with `match={'*.created_at': str}`": (
        [call("Note", text="Call home", created_at="2024-05-01")],
        [call("Note", text="Call home", created_at=None)],
        {"match": {"*.created_at": str}},
    ),
}


def message(expected, actual, options) -> list[str]:
    with pytest.raises(AssertionError) as failed:
        assert_calls(actual, expected, **options)
    return str(failed.value).splitlines()[1:]


def table() -> str:
    rows = ["| what changed | message of the failing test |", "| --- | --- |"]
    for title, (expected, actual, options) in CHANGES.items():
        lines = [html.escape(line, quote=False).replace("|", "&#124;") for line in message(expected, actual, options)]
        rows.append(f"| {title} | <pre>{'<br>'.join(lines)}</pre> |")
    return "\n".join(rows) + "\n"


def test_the_page_shows_the_messages_of_failing_tests():
    page = PAGE.read_text(encoding="utf-8")
    assert page.partition(BEGIN)[2].partition(END)[0] == table()


@pytest.mark.parametrize("change", CHANGES)
def test_each_example_compares_different_calls(change):
    expected, actual, options = CHANGES[change]
    assert_calls(expected, expected, **options)
    assert to_snapshot_calls(actual) != to_snapshot_calls(expected)


if __name__ == "__main__":
    before, begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{begin}{table()}{END}{rest.partition(END)[2]}", encoding="utf-8")
