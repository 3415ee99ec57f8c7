"""Values are written as a person would write them, and parsed again without eval."""

from __future__ import annotations

import ast
import dataclasses
from collections import OrderedDict, defaultdict, deque, namedtuple
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag, IntEnum
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any, Generic, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, HttpUrl, RootModel, SecretStr, TypeAdapter

from multitrack.snapshots.conversion import UnwritableValue, to_call, to_expression
from multitrack.snapshots.expressions import WIDTH, Name, SnapshotCall, canonical_text, format_line, format_wrapped
from multitrack.snapshots.parsing import UnreadableCalls, parse_calls


class Units(Enum):
    METRIC = "metric"
    IMPERIAL = "imperial"


class Level(IntEnum):
    LOW = 1


class Right(Flag):
    READ = 1
    WRITE = 2


Odd = Enum("Odd", {"two words": 2})


class Place(BaseModel):
    model_config = ConfigDict(frozen=True)

    name: str
    at: tuple[float, float] = (0.0, 0.0)


class Cities(RootModel[list[str]]):
    pass


class Nested(RootModel[Any]):
    pass


@dataclasses.dataclass(frozen=True)
class Leg:
    start: str
    end: str


class Anything(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True, ser_json_inf_nan="constants")

    payload: Any


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")

    query: str


Kind = TypeVar("Kind")


class Box(BaseModel, Generic[Kind]):
    item: Kind


class Text(str):
    pass


Pair = namedtuple("Pair", "left right")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"),
        (True, "True"),
        (-3, "-3"),
        (1.0, "1.0"),
        (-0.0, "-0.0"),
        (1e100, "1e+100"),
        (float("inf"), "float('inf')"),
        (float("nan"), "float('nan')"),
        ("it's", '"it\'s"'),
        ("line\nline\u2028\ud800", r"'line\nline\u2028\ud800'"),
        (b"\x00\xff", r"b'\x00\xff'"),
        ([1, [2]], "[1, [2]]"),
        ((1,), "(1,)"),
        ((), "()"),
        ({"b": 1, "a": {2: ()}}, "{'b': 1, 'a': {2: ()}}"),
        ({3, 1, 2}, "{1, 2, 3}"),
        (set(), "set()"),
        (frozenset({"b", "a"}), "frozenset({'a', 'b'})"),
        (frozenset(), "frozenset()"),
        (Units.METRIC, "Units.METRIC"),
        (Level.LOW, "Level.LOW"),
        (Right.READ | Right.WRITE, "Right(3)"),
        (Odd["two words"], "Odd(2)"),
        (date(2024, 5, 1), "date(2024, 5, 1)"),
        (datetime(2024, 5, 1, 12, 30), "datetime(2024, 5, 1, 12, 30)"),
        (datetime(2024, 5, 1, 0, 0, 0, 7, UTC), "datetime(2024, 5, 1, 0, 0, 0, 7, tzinfo=timezone.utc)"),
        (
            TypeAdapter(datetime).validate_python("2024-05-01T12:00:05+02:00"),
            "datetime(2024, 5, 1, 12, 0, 5, tzinfo=timezone(timedelta(seconds=7200)))",
        ),
        (
            datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1),
            "datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo('Europe/Berlin'), fold=1)",
        ),
        (time(9, 0), "time(9, 0)"),
        (timedelta(days=-1, seconds=30), "timedelta(days=-1, seconds=30)"),
        (timedelta(), "timedelta(0)"),
        (Decimal("1.10"), "Decimal('1.10')"),
        (
            UUID("12345678123456781234567812345678"),
            "UUID('12345678-1234-5678-1234-567812345678')",
        ),
        (Path("a") / "b", "Path('a/b')"),
        (IPv4Address("127.0.0.1"), "IPv4Address('127.0.0.1')"),
        (TypeAdapter(HttpUrl).validate_python("https://a.example"), "HttpUrl('https://a.example/')"),
        (Text("x"), "Text('x')"),
        (OrderedDict(a=1), "OrderedDict({'a': 1})"),
        (defaultdict(int, a=1), "{'a': 1}"),
        (Pair(1, 2), "Pair(left=1, right=2)"),
        (Leg("a", "b"), "Leg(start='a', end='b')"),
        (Place(name="x"), "Place(name='x', at=(0.0, 0.0))"),
        (Cities(["Toronto"]), "Cities(['Toronto'])"),
        (Open(query="x", **{"not-a-name": 1}), "Open(query='x', **{'not-a-name': 1})"),
        (Box[int](item=1), "Box[int](item=1)"),
    ],
    # the order of a set differs between processes, but the ids must not
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_value_is_written_as_a_person_would_and_parsed_again(value, text):
    assert format_line(to_expression(value)) == text
    (read,) = parse_calls(f"f({text})")
    assert format_line(read) == f"f({text})"
    assert canonical_text(read) == canonical_text(SnapshotCall("f", (to_expression(value),)))


@pytest.mark.parametrize("name", ["get-weather", "multi tool", "class", "None", "a.b(c)", "naïve ", "ﬁnd", "1"])
def test_a_tool_name_that_is_not_an_identifier_is_quoted(name):
    call = SnapshotCall(name, (), (("from", 1), ("ﬁeld", 2), ("city", 3)))
    assert str(call) == f"{name!r}(city=3, **{{'from': 1, 'ﬁeld': 2}})"
    (read,) = parse_calls(str(call))
    assert read.name == name
    assert dict(read.keywords) == {"city": 3, "from": 1, "ﬁeld": 2}


def test_a_dotted_tool_name_is_not_quoted():
    assert str(SnapshotCall("multi_tool_use.parallel")) == "multi_tool_use.parallel()"


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (object(), "payload: builtins.object cannot be written in a snapshot"),
        ({"inner": [1, object()]}, "payload.inner[1]: builtins.object cannot be written in a snapshot"),
        ({"a b": {2: object()}}, "payload['a b'][2]: builtins.object cannot be written in a snapshot"),
        (SecretStr("x"), "payload: pydantic.types.SecretStr cannot be written in a snapshot"),
        (deque([1]), "payload: collections.deque cannot be written in a snapshot"),
        (int, "payload: builtins.type cannot be written in a snapshot"),
        (3j, "payload: builtins.complex cannot be written in a snapshot"),
        ({Place(name="a", at=(1, 2)): {"x": lambda: 0}}, "payload[Place(name='a', at=(1.0, 2.0))].x: "),
        (10**5000, "payload: Exceeds the limit (4300 digits) for integer string conversion"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_that_cannot_be_written_is_rejected_with_its_path(payload, message):
    with pytest.raises(UnwritableValue) as error_info:
        to_call(Anything(payload=payload))
    assert str(error_info.value).startswith(message)
    assert isinstance(error_info.value, TypeError)


def test_a_value_that_contains_itself_is_rejected():
    loop: list[Any] = [1]
    loop.append({"again": loop})
    with pytest.raises(UnwritableValue, match=r"^\[2\]\[1\]\.again: the list contains itself$"):
        to_expression(loop, path="[2]")


def test_a_value_may_contain_another_one_twice():
    twice = [1]
    assert format_line(to_expression([twice, twice])) == "[[1], [1]]"


def test_values_are_rejected_if_they_are_nested_too_deeply_for_the_parser():
    deep: Any = 1
    for _ in range(90):
        deep = [deep]
    parse_calls(format_wrapped(SnapshotCall("f", (), (("x", {"y": to_expression(deep)}),))))
    with pytest.raises(UnwritableValue, match=r"nested more than 90 levels deep$"):
        to_expression([deep])


def test_every_text_is_redacted():
    value = {"key-1": ["key-1", b"a key-1 \xff", Text("key-1")], "url": HttpUrl("https://a.example/key-1")}
    written = format_line(to_expression(value, redact_text=lambda text: text.replace("key-1", "[key]")))
    assert written == (
        r"{'[key]': ['[key]', b'a [key] \xff', Text('[key]')], 'url': HttpUrl('https://a.example/[key]')}"
    )


def test_a_long_call_has_one_argument_per_line():
    call = SnapshotCall(
        "Plan", (), (("title", "x"), ("stops", [{"city": "Toronto", "why": "y" * 80}, {"city": "Dallas"}]))
    )
    assert format_wrapped(call) == (
        "Plan(\n"
        "    title='x',\n"
        "    stops=[\n"
        "        {\n"
        "            'city': 'Toronto',\n"
        f"            'why': '{'y' * 80}',\n"
        "        },\n"
        "        {'city': 'Dallas'},\n"
        "    ],\n"
        ")"
    )
    assert parse_calls(format_wrapped(call)) == (call,)


@pytest.mark.parametrize("extra", [0, 1])
def test_only_a_line_longer_than_the_width_is_wrapped(extra):
    call = SnapshotCall("f", ("x" * (WIDTH - len("f('')") + extra),))
    assert ("\n" in format_wrapped(call)) is bool(extra)


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({2, 1}, {1, 2}, True),
        ([1, 2], [2, 1], False),
        (1, 1.0, False),
        (1, True, False),
        ((1,), [1], False),
        ("1", 1, False),
        (Decimal("1.0"), Decimal("1.00"), False),
    ],
)
def test_values_are_equal_if_only_the_order_of_their_keys_differs(one, other, equal):
    assert (canonical_text(to_expression(one)) == canonical_text(to_expression(other))) is equal


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("f(1)\nx = 2", "line 2: not a call expression: x = 2"),
        ("f(1)\n\n'a'", "line 3: not a call expression: 'a'"),
        ("f(", "line 1: '(' was never closed"),
        ("f(x[0])", "line 1: not a literal: x[0]"),
        ("f(1 + 1)", "line 1: not a literal: 1 + 1"),
        ("f(*[1])", "line 1: not a literal: *[1]"),
        ("f(**g())", "line 1: not a literal: **g()"),
        ("f({**{}})", "line 1: not a literal: {**{}}"),
        ("f({[]: 1})", "line 1: cannot be a key: []"),
        ("f(__import__('os').system('x'))(1)", None),
        ("(lambda: 0)(1)", None),
        ("3(1)", "line 1: not a call expression: 3(1)"),
    ],
)
def test_a_text_that_is_not_a_list_of_calls_is_rejected_and_not_executed(text, message):
    if message is None:
        # a callee of this form is parsed as a name, and nothing else
        assert parse_calls(text)[0].name == ast.unparse(ast.parse(text, mode="eval").body.func)
        return
    with pytest.raises(UnreadableCalls) as error_info:
        parse_calls(text)
    assert str(error_info.value) == message


def test_comments_between_calls_are_ignored():
    assert parse_calls("# no calls") == ()
    assert [str(call) for call in parse_calls("f()\n# or\ng(\n  x=1,  # why\n)")] == ["f()", "g(x=1)"]


zones = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
hashable = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
    st.decimals(allow_nan=False),
    st.uuids(),
    st.dates(),
    st.times(),
    st.datetimes(timezones=st.none() | st.just(UTC) | zones),
    st.timedeltas(),
    st.sampled_from([*Units, *Level, Right.READ, Right.READ | Right.WRITE, Odd["two words"]]),
    st.builds(Place, name=st.text()),
    st.builds(Leg, start=st.text(), end=st.text()),
    st.builds(Pair, st.text(), st.booleans()),
    st.ip_addresses(),
    st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"])).map(Path),
)
keys = st.text(min_size=1).filter(lambda name: name != "query" and not name.startswith("model_"))
values = st.recursive(
    hashable,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=3).map(tuple),
        st.sets(hashable, max_size=3),
        st.frozensets(hashable, max_size=3),
        st.dictionaries(hashable, inner, max_size=4),
        st.builds(Anything, payload=inner),
        st.builds(Cities, st.lists(st.text(), max_size=3)),
        st.builds(Nested, inner),
        st.builds(Box[Any], item=inner),
        st.builds(lambda extra: Open(query="x", **extra), st.dictionaries(keys, inner, max_size=2)),
        st.lists(hashable, max_size=3).map(OrderedDict.fromkeys),
    ),
    max_leaves=12,
)
NAMESPACE = {
    "Box": Box,
    "Any": Any,
    "Path": Path,
    **{
        kind.__name__: kind
        for kind in (
            date, datetime, time, timedelta, timezone, Decimal, UUID, IPv4Address, IPv6Address, OrderedDict,
            Units, Level, Right, Odd, Place, Leg, Pair, Anything, Cities, Nested, Open,
        )
    },
}  # fmt: skip


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(values)
def test_round_trip(value):
    call = to_call(Anything(payload=value))
    for text in (format_line(call), format_wrapped(call), format_wrapped(call, width=20)):
        (read,) = parse_calls(text)
        assert format_line(read) == format_line(call)
        assert canonical_text(read) == canonical_text(call)
    # the text in the file is the Python expression for the value
    assert eval(format_line(call), dict(NAMESPACE)) == Anything(payload=value)


trees = st.recursive(
    st.one_of(st.just(...), st.sampled_from([Name("date"), Name("int | None"), Name("IsStr & ~IsInt")]), st.text()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(st.text(min_size=1), st.dictionaries(st.text(min_size=1), trees, max_size=3), st.none() | st.text())
def test_round_trip_of_placeholders_and_ids(name, keywords, id_):
    call = SnapshotCall(name, (), tuple(keywords.items()), id_)
    for text in (format_line(call), format_wrapped(call, width=20)):
        (read,) = parse_calls(text)
        assert canonical_text(read) == canonical_text(call)
        assert read.id == id_


@pytest.mark.parametrize("text", ["f() @ 1", "f() @ g()", "f(x=g() @ 'a')", "'a' @ f()", "f(x=1 | 2)[0]"])
def test_only_a_tool_call_has_an_id(text):
    with pytest.raises(UnreadableCalls):
        parse_calls(text)
