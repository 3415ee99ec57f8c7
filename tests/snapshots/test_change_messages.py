"""What a failing comparison says about the commonest changes, and the table of it in docs/snapshots.md.

``python tests/snapshots/test_change_messages.py`` writes the table anew.
"""

from __future__ import annotations

import html
from pathlib import Path

import pytest

from multitrack import assert_calls
from multitrack.snapshots.calls import calls_of
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

# what changed; what was expected; what came; the options
CHANGES = {
    "An argument has another value": (
        [TORONTO, DALLAS, SEARCH],
        [SEARCH, TORONTO, call("Weather", location="Dallas", units="metric")],
        {},
    ),
    "A call came that was not expected": ([TORONTO, DALLAS], [TORONTO, SEARCH, DALLAS], {}),
    "A call did not come": ([TORONTO, DALLAS, SEARCH], [TORONTO, DALLAS], {}),
    "No call came at all": ([SEARCH], [], {}),
    "The same call came twice": ([TORONTO, DALLAS], [TORONTO, DALLAS, TORONTO], {}),
    "A call asks for something else altogether": ([TORONTO, SEARCH], [DALLAS, SEARCH], {}),
    "The order is another one, with `ordered=True`": (
        [TORONTO, DALLAS, SEARCH],
        [SEARCH, TORONTO, DALLAS],
        {"ordered": True},
    ),
    "A tool has another name": ([TORONTO, SEARCH], [TORONTO, call("WebSearch", query="who won the super bowl")], {}),
    "A field came, another went": (
        [call("Weather", location="Toronto", units="metric")],
        [call("Weather", location="Toronto", days=3)],
        {},
    ),
    "A value is of another type": ([call("Forecast", days=3)], [call("Forecast", days="3")], {}),
    "Something within a nested value": (
        [TRIP],
        [call("Trip", title="Round trip", stops=[STOPS[0], {"city": "Dallas", "nights": 3}])],
        {},
    ),
    "An item was put into a list": (
        [TRIP],
        [call("Trip", title="Round trip", stops=[STOPS[0], {"city": "Boston", "nights": 1}, STOPS[1]])],
        {},
    ),
    "A word in a long text": (
        [call("Mail", to="hotel@example.com", text=LETTER.format("two", "two"))],
        [call("Mail", to="hotel@example.com", text=LETTER.format("two", "three"))],
        {},
    ),
    "The arguments are cut off": (
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
    rows = ["| what changed | what the failing test says |", "| --- | --- |"]
    for title, (expected, actual, options) in CHANGES.items():
        lines = [html.escape(line, quote=False).replace("|", "&#124;") for line in message(expected, actual, options)]
        rows.append(f"| {title} | <pre>{'<br>'.join(lines)}</pre> |")
    return "\n".join(rows) + "\n"


def test_the_page_says_what_a_failing_test_says():
    page = PAGE.read_text(encoding="utf-8")
    assert page.partition(BEGIN)[2].partition(END)[0] == table()


@pytest.mark.parametrize("change", CHANGES)
def test_each_side_is_the_same_as_itself(change):
    expected, actual, options = CHANGES[change]
    assert_calls(expected, expected, **options)
    assert calls_of(actual) != calls_of(expected)


if __name__ == "__main__":
    before, begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{begin}{table()}{END}{rest.partition(END)[2]}", encoding="utf-8")
