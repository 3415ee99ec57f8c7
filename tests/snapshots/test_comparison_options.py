"""The options of ``calls_snapshot``: what is written, what passes, and what an update changes."""

from __future__ import annotations

import pytest
from snapshot_project import stored

from multitrack.snapshots.calls_file import format_entry
from multitrack.snapshots.parsing import parse_calls

MODELS = """
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
from dirty_equals import IsStr
from pydantic import BaseModel
from syrupy.matchers import path_type

from multitrack import ToolCall

class Stop(BaseModel):
    city: str
    nights: float = 1.0

class Trip(BaseModel):
    title: str
    stops: list[Stop] = []
    created_at: Any = datetime(2024, 5, 1)

TRIP = Trip(title="Round trip", stops=[Stop(city="Toronto"), Stop(city="Dallas")])

def trip(**changes):
    return TRIP.model_copy(update=changes)
"""
STOPS = "stops=[Stop(city='Toronto', nights=1.0), Stop(city='Dallas', nights=1.0)]"
PLAIN = f"Trip(title='Round trip', {STOPS}, created_at=datetime(2024, 5, 1, 0, 0))"


def entry(*calls: str) -> str:
    return stored(test_plan=format_entry(parse_calls("\n".join(calls))))


@pytest.fixture
def trips(project):
    project.write("models.py", MODELS)
    return project


def check(trips, value: str, options: str, *flags: str):
    trips.module(f"def test_plan(calls_snapshot):\n    assert {value} == calls_snapshot({options})")
    return trips.run(*flags)


@pytest.mark.parametrize(
    ("options", "written", "same", "other"),
    [
        ("ignore='created_at'", f"Trip(title='Round trip', {STOPS}, created_at=...)", "created_at=object()", "title=1"),
        (
            "match={'*.created_at': datetime}",
            f"Trip(title='Round trip', {STOPS}, created_at=datetime)",
            "created_at=datetime(1999, 1, 1)",
            "title=''",
        ),
        (
            "match={'title': IsStr(regex='Round.*'), '**.nights': int | float}",
            "Trip(title=IsStr(regex='Round.*'), stops=[Stop(city='Toronto', nights=int | float), "
            "Stop(city='Dallas', nights=int | float)], created_at=datetime(2024, 5, 1, 0, 0))",
            "title='Rounder'",
            "created_at=1",
        ),
        (
            "match=path_type({r'.*created_at': (date,)}, regex=True)",
            f"Trip(title='Round trip', {STOPS}, created_at=datetime)",
            "created_at=datetime(1999, 1, 1)",
            "title=''",
        ),
        ("tolerance=0.5", PLAIN, "stops=[Stop(city='Toronto', nights=1.5), Stop(city='Dallas', nights=.5)]", "title=1"),
        ("text='case'", PLAIN, "title='ROUND TRIP'", "title='ROUNDTRIP'"),
    ],
)  # fmt: skip
def test_what_an_option_writes_and_accepts(trips, options, written, same, other):
    assert check(trips, "[TRIP]", options, "--snapshot-update").summary == "1 snapshot generated."
    assert trips.file() == entry(written)
    for value in ("[TRIP]", f"[trip({same})]"):
        assert check(trips, value, options).outcomes == {"passed": 1}
        run = check(trips, value, options, "--snapshot-update")
        assert run.code == 0
        assert run.summary == "1 snapshot passed."
    assert trips.file() == entry(written)
    assert check(trips, f"[trip({other})]", options).outcomes == {"failed": 1}


@pytest.mark.parametrize(
    ("options", "written"),
    [
        ("ignore='*.created_at'", f"Trip(title='Round trip', {STOPS}, created_at=...)"),
        ("match={'*.created_at': datetime}", f"Trip(title='Round trip', {STOPS}, created_at=datetime)"),
    ],
)
def test_an_option_applies_to_an_older_snapshot_and_an_update_writes_it(trips, options, written):
    check(trips, "[TRIP]", "", "--snapshot-update")
    assert trips.file() == entry(PLAIN)
    later = "[trip(created_at=datetime(1999, 1, 1))]"
    assert check(trips, later, options).outcomes == {"passed": 1}
    assert trips.file() == entry(PLAIN)
    run = check(trips, later, options, "--snapshot-update")
    assert run.code == 0
    assert run.summary == "1 snapshot updated."
    assert trips.file() == entry(written)
    run = check(trips, later, "")
    assert run.outcomes == {"failed": 1}
    assert "created_at: was" in run.text


def test_an_update_keeps_numbers_and_texts_that_are_the_same(trips):
    check(trips, "[TRIP, trip(title='Other')]", "", "--snapshot-update")
    changed = (
        "[trip(title='New'), trip(title='ROUND TRIP', stops=[Stop(city='Toronto', nights=1.2), Stop(city='Dallas')])]"
    )
    run = check(trips, changed, "tolerance=0.5, text='case'", "--snapshot-update")
    assert run.code == 0
    assert run.summary == "1 snapshot updated."
    assert trips.file() == entry(PLAIN.replace("Round trip", "New"), PLAIN)


@pytest.mark.parametrize("flags", [(), ("--snapshot-update",), ("--rec",)])
def test_a_value_that_does_not_match_fails_and_is_never_written(trips, flags):
    options = "match={'*.created_at': datetime, 'title': IsStr(regex='R.*')}"
    run = check(trips, "[trip(created_at='then')]", options, *flags)
    assert run.code == 1
    assert run.outcomes == {"failed": 1}
    assert run.failure[1:-1] == [
        "[0] Trip.created_at: 'then' does not match datetime, so the snapshot cannot be updated",
        "added: Trip(",
        "    title=IsStr(regex='R.*'),",
        f"    {STOPS},",
        "    created_at='then',",
    ]
    assert trips.file() is None
    check(trips, "[TRIP]", options, "--snapshot-update")
    run = check(trips, "[trip(created_at='then', title='other')]", options, *flags)
    assert run.outcomes == {"failed": 1}
    assert run.failure[1:3] == [
        "[0] Trip.title: 'other' does not match IsStr(regex='R.*'), so the snapshot cannot be updated",
        "[0] Trip.created_at: 'then' does not match datetime, so the snapshot cannot be updated",
    ]
    assert "    created_at: was datetime, now 'then'" in run.failure
    assert "'then'" not in trips.file()


def test_a_value_that_a_match_function_rejects_fails_an_update_too(trips):
    run = check(trips, "[TRIP]", "match=path_type({'Trip.title': (int,)})", "--snapshot-update")
    assert run.code == 1
    assert run.outcomes == {"failed": 1}
    assert run.failure[1].startswith("[0] Trip.title: Round trip at 'Trip.title' of type <class 'str'> does not match")
    assert trips.file() is None


def test_ids_are_written_after_their_calls(trips):
    calls = "[ToolCall('call_2', 'f', '{\"x\": 2}', 0), ToolCall(\"it's\", 'f', '{\"x\": 1}', 1)]"
    assert check(trips, calls, "ids=True", "--snapshot-update").code == 0
    assert trips.file() == stored(test_plan="f(x=1) @ \"it's\"\nf(x=2) @ 'call_2'")
    assert check(trips, calls, "ids=True").outcomes == {"passed": 1}
    run = check(trips, calls.replace("call_2", "call_3"), "ids=True")
    assert run.failure[1:-1] == [
        "changed: f(x=2) @ 'call_2'",
        "    id of the call: was 'call_2', now 'call_3'",
        "1 call unchanged",
    ]
    assert check(trips, calls.replace("call_2", "call_3"), "").outcomes == {"passed": 1}
    assert check(trips, calls, "", "--snapshot-update").summary == "1 snapshot updated."
    assert trips.file() == stored(test_plan="f(x=1)\nf(x=2)")


def test_a_secret_in_the_result_of_a_match_function_is_redacted(trips):
    options = "match=lambda data, path: 'key sk-live-1' if path[-1][0] == 'title' else data"
    assert check(trips, "[trip(stops=[])]", options, "--snapshot-update").code == 0
    assert "title='key [secret]'" in trips.file()


def test_with_defaults_sets_options_for_every_comparison(trips):
    trips.module(
        "@pytest.fixture\ndef calls_snapshot(calls_snapshot):\n"
        "    return calls_snapshot.with_defaults(ignore='*.created_at').with_defaults(text='case')",
        "def test_plan(calls_snapshot):\n    assert [trip(stops=[])] == calls_snapshot\n"
        "    assert [trip(stops=[], title='x')] == calls_snapshot(name='x')\n"
        "    assert [trip(stops=[], title='x')] == calls_snapshot(ignore='stops', name='y')",
    )
    assert trips.run("--snapshot-update").summary == "3 snapshots generated."
    assert trips.file() == stored(
        **{
            "test_plan": "Trip(title='Round trip', stops=[], created_at=...)",
            "test_plan[x]": "Trip(title='x', stops=[], created_at=...)",
            "test_plan[y]": "Trip(title='x', stops=..., created_at=datetime(2024, 5, 1, 0, 0))",
        }
    )
    assert trips.run().summary == "3 snapshots passed."


def test_an_unknown_option_is_rejected(trips):
    run = check(trips, "[TRIP]", "exclude=None")
    assert run.outcomes == {"failed": 1}
    message = "calls_snapshot has no option 'exclude'; its options are ordered, subset, subsequence, only, never, ids, "
    assert run.failure == [f"        TypeError: {message}ignore, match, tolerance, text"]


@pytest.mark.parametrize("options", ["ignore='prices[0]'", "match={'prices[*]': float}", "tolerance={'prices[0]': .5}"])
def test_a_root_model_is_not_a_step_of_a_path(trips, options):
    trips.write(
        "models.py",
        "import pytest\nfrom pydantic import BaseModel, RootModel\n\nclass Prices(RootModel[list[float]]): ...\n\n"
        "class Offer(BaseModel):\n    prices: Prices\n",
    )
    assert check(trips, "[Offer(prices=[1, 2])]", "", "--snapshot-update").outcomes == {"passed": 1}
    assert trips.file() == entry("Offer(prices=Prices([1.0, 2.0]))")
    assert check(trips, "[Offer(prices=[1.5, 2])]", options).outcomes == {"passed": 1}
    assert check(trips, "[Offer(prices=[1.5, 2])]", "").failure[1:3] == [
        "changed: Offer(prices=Prices([1.0, 2.0]))",
        "    prices[0]: was 1.0, now 1.5",
    ]
