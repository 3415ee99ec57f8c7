"""``assert_calls``: the comparison without files, its options, and matchers in the expected calls."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Optional
from unittest.mock import ANY

import pytest
from dirty_equals import AnyThing, IsInt, IsNow, IsStr
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from syrupy.matchers import path_type

from multitrack import ToolCall, assert_calls, errors
from multitrack.extraction import Extraction
from multitrack.snapshots.conversion import to_expression
from multitrack.snapshots.expressions import canonical_text, format_line
from multitrack.snapshots.matchers import Matcher
from multitrack.snapshots.parsing import parse_expression


class Units(Enum):
    METRIC = "metric"
    IMPERIAL = "imperial"


class Weather(BaseModel):
    location: str
    units: Units = Units.METRIC


class Stop(BaseModel):
    city: str
    nights: float = 1


class Trip(BaseModel):
    title: str
    stops: list[Stop] = []
    created_at: Any = None


TORONTO, DALLAS = Weather(location="Toronto"), Weather(location="Dallas", units=Units.IMPERIAL)
TRIP = Trip(title="Round trip", stops=[Stop(city="Toronto", nights=2.04)], created_at=datetime(2024, 5, 1))


def trip(**changes: Any) -> Trip:
    return TRIP.model_copy(update=changes)


def difference(actual, expected, **options) -> list[str]:
    with pytest.raises(AssertionError) as found:
        assert_calls(actual, expected, **options)
    first, *lines = str(found.value).splitlines()
    assert first == "the calls differ from the expected ones"
    return lines


def test_the_order_is_only_compared_with_ordered():
    assert_calls([TORONTO, DALLAS], [DALLAS, TORONTO])
    assert difference([TORONTO, DALLAS], [DALLAS, TORONTO], ordered=True) == [
        "moved: Weather(location='Dallas', units=Units.IMPERIAL)",
        "    was call 1, now call 2",
        "1 call unchanged",
    ]


def test_the_message_has_the_lines_of_a_snapshot():
    assert difference([TORONTO, Weather(location="Dallas")], [DALLAS, TORONTO]) == [
        "changed: Weather(location='Dallas', units=Units.IMPERIAL)",
        "    units: was Units.IMPERIAL, now Units.METRIC",
        "1 call unchanged",
    ]


def test_an_extraction_a_generator_and_other_kinds_of_calls_are_accepted():
    call = ToolCall("call_1", "Weather", '{"location": "Toronto"}', 0)
    assert_calls(Extraction([TORONTO, DALLAS]), (model for model in (DALLAS, TORONTO)))
    assert_calls([call], [{"name": "Weather", "arguments": {"location": "Toronto"}}])


@pytest.mark.parametrize(
    ("actual", "options"),
    [
        (trip(created_at=1), {"ignore": "*.created_at"}),
        (trip(created_at=object()), {"ignore": ["nothing.here", "created_at"]}),
        (trip(stops=[Stop(city="Dallas", nights=2.04)]), {"ignore": "stops[*].city"}),
        (trip(created_at=datetime(1999, 1, 1)), {"match": {"*.created_at": date}}),
        (trip(created_at=None), {"match": {"Trip.created_at": datetime | None}}),
        (trip(created_at=None), {"match": {"Trip.created_at": Optional[datetime]}}),  # noqa: UP045
        (trip(created_at=None), {"match": {"Trip.created_at": (datetime, type(None))}}),
        (trip(title="Round the world"), {"match": {"**.title": IsStr(regex="Round .*")}}),
        (trip(title="Round the world"), {"match": {"title": ANY}}),
        (trip(created_at=datetime(1999, 1, 1)), {"match": path_type({"Trip.created_at": (datetime,)})}),
        (trip(stops=[Stop(city="Toronto", nights=2)]), {"tolerance": 0.04}),
        (trip(stops=[Stop(city="Toronto", nights=2)]), {"tolerance": {"stops[*].nights": Decimal("0.04")}}),
        (trip(title=" round\n TRIP "), {"text": ("case", "space")}),
        (trip(title="\uff32ound trip"), {"text": {"Trip.title": "unicode"}}),
        (trip(title="Round-trip"), {"text": lambda text: text.replace("-", " ")}),
    ],
)
def test_calls_that_are_the_same_with_an_option_differ_without_it(actual, options):
    assert_calls([TORONTO, actual], [TRIP, TORONTO], **options)
    if type(actual.created_at) is not object:
        assert difference([TORONTO, actual], [TRIP, TORONTO])


@pytest.mark.parametrize(
    ("actual", "options", "lines"),
    [
        (trip(created_at="then"), {"match": {"*.created_at": datetime}}, ["created_at: was datetime, now 'then'"]),
        (trip(created_at=True), {"match": {"*.created_at": int}}, ["created_at: was int, now True"]),
        (trip(title="x"), {"match": {"title": IsStr(min_length=5)}}, ["title: was IsStr(min_length=5), now 'x'"]),
        (trip(title="round"), {"text": "case"}, ["title: was 'Round trip', now 'round'"]),
        (
            trip(stops=[Stop(city="Toronto", nights=2.1)]),
            {"tolerance": {"**.nights": 0.05}},
            ["stops[0].nights: was 2.04, now 2.1"],
        ),
    ],
)
def test_differences_that_an_option_does_not_cover_are_reported(actual, options, lines):
    _, *found = difference([actual], [TRIP], **options)
    assert found == [f"    {line}" for line in lines]


def test_a_value_that_a_match_function_rejects_fails_even_if_nothing_differs():
    assert difference([TRIP], [TRIP], match=path_type({"Trip.title": (int,)})) == [
        "[0] Trip.title: Round trip at 'Trip.title' of type <class 'str'> does not match any of the expected types: "
        "(<class 'int'>,)",
        "1 call unchanged",
    ]


def test_expected_calls_may_contain_matchers():
    expected = [
        Trip.model_construct(title=IsStr, stops=[{"city": str, "nights": IsInt(ge=1)}], created_at=...),
        {"name": "Weather", "arguments": {"location": IsStr(regex="T.*"), "units": Units}},
    ]
    received = [TORONTO, trip(stops=[{"city": "Dallas", "nights": 1}])]
    for _ in range(2):  # the repr of a dirty-equals object changes after it was equal to something
        assert_calls(received, expected)
        assert difference([DALLAS, received[1]], expected) == [
            "changed: Weather(location=IsStr(regex='T.*'), units=Units)",
            "    location: expected IsStr(regex='T.*'), received 'Dallas'",
            "1 call unchanged",
        ]


def test_calls_are_paired_by_matchers():
    received = [{"name": "f", "args": {"n": n, "x": x}} for n, x in [(1, "a"), (2, "b"), (3, "c")]]
    expected = [{"name": "f", "args": {"n": IsInt(ge=n), "x": str}} for n in (3, 2, 1)]
    assert_calls(received, expected)
    assert len(difference(received, [*expected[:2], expected[0]])) == 3


def test_calls_with_a_tolerance_are_paired_so_that_most_are_the_same():
    def of(*numbers):
        return [{"name": "f", "args": {"n": number}} for number in numbers]

    assert_calls(of(1.0, 1.1, 1.2), of(1.1, 1.0, 1.3), tolerance=0.1)
    assert_calls(of(1, 2.0, 3), of(3.0, 2, 1.0), tolerance=0)
    assert difference(of(True, 1), of(1, 1), tolerance=1) == [
        "changed: f(n=1)",
        "    n: was 1 (int), now True (bool)",
        "1 call unchanged",
    ]
    assert_calls([trip(created_at=Decimal("1.10"))], [trip(created_at=Decimal("1.1"))], tolerance=0)
    assert difference([trip(created_at=float("nan"))], [trip(created_at=1)], tolerance=9)


def test_an_ignored_field_may_be_absent_but_an_ignored_item_may_not():
    def of(arguments):
        return [{"name": "f", "arguments": arguments}]

    assert_calls(of({"a": 1, "b": 2}), of({"a": 1}), ignore="b")
    assert_calls(of({"a": [1, 2]}), of({"a": [3, 4]}), ignore="a[*]")
    assert difference(of({"a": [1, 2]}), of({"a": [1]}), ignore="a[*]")


def test_ids_are_only_compared_with_ids():
    def of(*ids):
        return [ToolCall(id_, "f", '{"x": 1}', index) for index, id_ in enumerate(ids)]

    assert_calls(of("a", "b"), of("c", "d"))
    assert_calls(of("a", "b"), of("b", "a"), ids=True)
    assert difference(of("a", "b"), of("b", "c"), ids=True) == [
        "changed: f(x=1) @ 'c'",
        "    id of the call: was 'c', now 'a'",
        "1 call unchanged",
    ]
    models = [TORONTO, DALLAS]
    calls = [ToolCall("a", "Weather", None, 0), ToolCall("no", "Weather", None, 1), ToolCall("b", "Weather", None, 2)]
    bad = errors.InvalidArguments("bad", call=calls[1])
    extraction = Extraction(models, calls=calls, errors=[bad])
    named = [
        {"id": "b", "name": "Weather", "arguments": DALLAS.model_dump()},
        {"call_id": "a", "id": "fc_1", "name": "Weather", "arguments": TORONTO.model_dump()},
    ]
    assert_calls(extraction, named, ids=True)
    with pytest.raises(
        TypeError, match=r"^\[0\]: ids=True requires an id, but this Weather has none; compare extraction.calls$"
    ):
        assert_calls(models, named, ids=True)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"exclude": 1},
            TypeError,
            "assert_calls has no option 'exclude'; its options are ordered, subset, subsequence, only, never, ids, "
            "ignore, match, tolerance, text",
        ),
        (
            {"ignore": "a["},
            errors.BadOption,
            "'a[' is not a path to a field; write a path such as 'Weather.location', '*.created_at' or 'stops[*].city'",
        ),
        ({"ignore": 3}, errors.BadOption, "ignore=3: pass a string or several strings"),
        (
            {"match": datetime(2024, 1, 1)},
            errors.BadOption,
            "match=datetime.datetime(2024, 1, 1, 0, 0): pass a mapping of paths, such as {'*.created_at': datetime}",
        ),
        (
            {"tolerance": -1},
            errors.BadOption,
            "tolerance=-1: pass zero or a positive number, or a mapping of paths to numbers",
        ),
        (
            {"text": "upper"},
            errors.BadOption,
            "text='upper': pass 'case', 'space', 'unicode', a function, or several of these",
        ),
    ],
)
def test_invalid_options_are_rejected(options, error, message):
    with pytest.raises(error) as error_info:
        assert_calls([], [], **options)
    assert str(error_info.value) == message


def test_the_message_for_a_value_that_cannot_be_compared_has_its_path():
    with pytest.raises(TypeError, match=r"^\[1\]\.created_at: builtins\.object cannot be written in a snapshot$"):
        assert_calls([TORONTO, trip(created_at=object())], [])


@pytest.mark.slow
def test_assert_calls_requires_neither_pytest_nor_syrupy():
    program = (
        "import sys; sys.modules['syrupy'] = sys.modules['pytest'] = sys.modules['filelock'] = None\n"
        "from multitrack import assert_calls; assert_calls([], [])"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    ("matcher", "text"),
    [
        (str, "str"),
        (datetime | None, "datetime | None"),
        (type(None), "NoneType"),
        (Units, "Units"),
        (IsStr, "IsStr"),
        (IsStr(regex="a+"), "IsStr(regex='a+')"),
        (IsInt(ge=1) | IsStr, "IsInt(ge=1) | IsStr"),
        (IsStr & ~IsStr(regex="x"), None),
        (IsNow(tz=UTC), None),
        (pytest.approx(0.3), "ApproxScalar('0.3 ± 3.0e-07')"),
        (AnyThing(), "..."),
        (ANY, "..."),
        ("metric", "'metric'"),
    ],
)
def test_the_text_of_a_matcher_can_be_parsed(matcher, text):
    node = Matcher(matcher).expression
    assert text is None or format_line(node) == text
    assert canonical_text(parse_expression(format_line(node))) == canonical_text(node)


names, numbers = st.sampled_from(["f", "g"]), st.integers(0, 3)
arguments = st.fixed_dictionaries({"a": numbers, "b": st.sampled_from(["x", "X", " x"])}, optional={"c": numbers})
calls = st.lists(st.builds(lambda name, args: {"name": name, "args": args}, names, arguments), max_size=5)


def passes(actual, expected, **options) -> bool:
    try:
        assert_calls(actual, expected, **options)
    except AssertionError:
        return False
    return True


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(calls, calls, st.permutations(range(5)), st.booleans())
def test_calls_that_are_the_same_stay_the_same_with_more_options_and_in_any_order(one, other, order, ordered):
    more_options = [{"tolerance": 1}, {"text": ("case", "space")}, {"ignore": "c"}, {"match": {"a": int}}]
    assert passes(one, one, ordered=ordered)
    assert passes([one[place] for place in order if place < len(one)], one)
    if passes(one, other, ordered=ordered):
        assert all(passes(one, other, ordered=ordered, **options) for options in more_options)
    for options in more_options:
        assert passes(one, other, **options) == passes(other, one, **options)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.integers() | st.text() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_any_value_matches_itself(value):
    assert Matcher(value).fits(value)
    assert value is None or canonical_text(Matcher(value).expression) == canonical_text(to_expression(value))
