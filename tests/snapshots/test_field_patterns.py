"""Patterns of paths: which fields they match, and which strings are rejected."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multitrack.errors import BadOption
from multitrack.snapshots.expression_paths import join_path
from multitrack.snapshots.field_patterns import FieldPattern, split_path


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
def test_a_pattern_matches_fields(pattern, tool, path, matches):
    assert FieldPattern(pattern).matches(tool, path) is matches


@pytest.mark.parametrize("text", ["", "a.", "a..b", "a[", "a[]", "a]b", "a[0]b", "a['x]", 3])
def test_a_text_that_is_not_a_path_is_rejected(text):
    with pytest.raises(BadOption) as error_info:
        FieldPattern(text)
    assert str(error_info.value) == (
        f"{text!r} is not a path to a field; write a path such as 'Weather.location', '*.created_at' or 'stops[*].city'"
    )


@pytest.mark.slow
@given(st.lists(st.text().filter(lambda step: "*" not in step), min_size=1, max_size=4))
def test_a_path_matches_itself_and_no_longer_path(keys):
    path = ""
    for key in keys:
        path = join_path(path, key)
    assert split_path(path) == tuple(keys)
    assert FieldPattern(path).matches("Tool", path)
    assert not FieldPattern(path).matches("Tool", f"{path}.more")
