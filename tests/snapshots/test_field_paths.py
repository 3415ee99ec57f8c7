"""Patterns of paths: which fields they stand for, and what is no pattern."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multitrack.errors import BadOption
from multitrack.snapshots.fieldpaths import FieldPath, steps_of
from multitrack.snapshots.literals import child_path


@pytest.mark.parametrize(
    ("pattern", "tool", "path", "matches"),
    [
        ("Weather.location", "Weather", "location", True),
        ("Weather.location", "Forecast", "location", False),
        ("location", "Forecast", "location", True),
        ("location", "Trip", "start.location", False),
        ("*.created_at", "Event", "created_at", True),
        ("*.created_at", "Event", "meta.created_at", True),
        ("*.created_at", "Event", "meta.more.created_at", False),
        ("**.created_at", "Event", "meta[0].more.created_at", True),
        ("*.*_at", "Event", "created_at", True),
        ("stops[*].city", "Trip", "stops[11].city", True),
        ("stops[1].city", "Trip", "stops[11].city", False),
        ("Trip.stops[*]", "Trip", "stops[0]", True),
        ("Trip.stops[*]", "Trip", "stops[0].city", False),
        ("prices[*]", "Trip", "prices.EUR", True),
        ("prices['per night']", "Trip", "prices['per night']", True),
        ("prices['a.b']", "Trip", "prices['a.b']", True),
        ("multi_tool_use.parallel.x", "multi_tool_use.parallel", "x", True),
        ("get-weather.city", "get-weather", "city", True),
    ],
)
def test_the_fields_that_a_pattern_stands_for(pattern, tool, path, matches):
    assert FieldPath(pattern).matches(tool, path) is matches


@pytest.mark.parametrize("text", ["", "a.", "a..b", "a[", "a[]", "a]b", "a[0]b", "a['x]", 3])
def test_what_is_no_path_is_refused(text):
    with pytest.raises(BadOption) as refused:
        FieldPath(text)
    assert str(refused.value) == (
        f"{text!r} is no path to a field; paths look like 'Weather.location', '*.created_at', 'stops[*].city'"
    )


@pytest.mark.slow
@given(st.lists(st.text().filter(lambda step: "*" not in step), min_size=1, max_size=4))
def test_the_path_of_any_keys_stands_for_itself_and_for_nothing_longer(keys):
    path = ""
    for key in keys:
        path = child_path(path, key)
    assert steps_of(path) == tuple(keys)
    assert FieldPath(path).matches("Tool", path)
    assert not FieldPath(path).matches("Tool", f"{path}.more")
