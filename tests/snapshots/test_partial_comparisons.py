"""``assert_calls`` and ``calls_snapshot`` with ``subset``, ``subsequence``, ``only`` and ``never``."""

from __future__ import annotations

import pytest
from pydantic import BaseModel
from snapshot_project import DALLAS as DALLAS_LINE
from snapshot_project import SEARCH as SEARCH_LINE
from snapshot_project import TORONTO as TORONTO_LINE
from snapshot_project import stored

from multitrack import assert_calls, errors


class Weather(BaseModel):
    location: str
    hours: float = 1.0


class Clock(BaseModel):
    location: str


TORONTO, DALLAS = Weather(location="Toronto"), Weather(location="Dallas")
NOON = Clock(location="Toronto")


def message(received, expected=None, **options):
    with pytest.raises(AssertionError) as failed:
        assert_calls(received, expected, **options)
    return str(failed.value).splitlines()[1:]


def test_a_subset_accepts_other_calls_in_any_order():
    assert_calls([NOON, DALLAS, TORONTO], [TORONTO, NOON], subset=True)


def test_a_subset_requires_each_expected_call():
    assert message([NOON, Clock(location="Dallas")], [NOON, TORONTO], subset=True) == [
        "removed: Weather(location='Toronto', hours=1.0)",
        "1 call unchanged",
        "1 other call received: Clock",
    ]


def test_a_subset_requires_as_many_equal_calls_as_expected():
    assert_calls([TORONTO, NOON, TORONTO], [TORONTO, TORONTO], subset=True)
    assert message([TORONTO, NOON], [TORONTO, TORONTO], subset=True)[:2] == [
        "removed: Weather(location='Toronto', hours=1.0)",
        "    expected 2 times, received once",
    ]


def test_a_subset_pairs_a_changed_call():
    received = [NOON, Weather(location="Toronto", hours=2)]
    assert message(received, [TORONTO], subset=True) == [
        "changed: Weather(location='Toronto', hours=1.0)",
        "    hours: was 1.0, now 2.0",
        "1 other call received: Clock",
    ]


def test_a_subset_respects_tolerances_and_matchers():
    received = [DALLAS, NOON, Weather(location="Toronto", hours=1.004)]
    assert_calls(received, [TORONTO], subset=True, tolerance=0.01)
    assert_calls(received, [{"name": "Weather", "arguments": {"location": str, "hours": 1.0}}], subset=True)


def test_a_subsequence_accepts_calls_before_between_and_after():
    assert_calls([DALLAS, TORONTO, DALLAS, NOON, DALLAS], [TORONTO, NOON], subsequence=True)


def test_a_subsequence_finds_the_equal_call_that_is_in_order():
    assert_calls([NOON, TORONTO, NOON], [TORONTO, NOON], subsequence=True)
    received = [NOON, Weather(location="Toronto", hours=1.004), NOON]
    assert_calls(received, [TORONTO, NOON], subsequence=True, tolerance=0.01)


def test_a_subsequence_reports_the_call_that_is_out_of_order():
    assert message([NOON, DALLAS, TORONTO], [TORONTO, NOON], subsequence=True) == [
        "moved: Weather(location='Toronto', hours=1.0)",
        "    was call 1, now call 3",
        "1 call unchanged",
        "1 other call received: Weather",
    ]


def test_a_subsequence_is_an_ordered_subset():
    assert_calls([NOON, TORONTO, NOON], [TORONTO, NOON], ordered=True, subset=True)


def test_other_tools_are_not_allowed():
    assert_calls([TORONTO, DALLAS], only=Weather)
    assert message([TORONTO, NOON], only="Weather") == [
        "not allowed: Clock(location='Toronto')",
        "    only='Weather'",
        "1 other call received: Weather",
    ]


def test_no_tool_is_allowed():
    assert_calls([], only=[])
    assert message([NOON], only=[]) == ["not allowed: Clock(location='Toronto')", "    only=[]"]


def test_a_tool_must_not_be_called():
    assert_calls([TORONTO], never=["Clock", "DeleteFile"])
    assert message([TORONTO, NOON], [TORONTO], never=[Clock, "DeleteFile"]) == [
        "not allowed: Clock(location='Toronto')",
        "    never=['Clock', 'DeleteFile']",
        "1 call unchanged",
    ]


def test_an_expected_call_may_be_forbidden_too():
    assert message([NOON], [NOON], never=Clock) == [
        "not allowed: Clock(location='Toronto')",
        "    never='Clock'",
        "1 call unchanged",
    ]


def test_without_expected_calls_a_tool_must_be_named():
    with pytest.raises(errors.BadOption, match=r"^assert_calls: pass the expected calls, or use only= or never=$"):
        assert_calls([TORONTO])


@pytest.mark.parametrize("value", [5, [None, 5]])
def test_a_tool_is_named_by_its_name_or_its_class(value):
    with pytest.raises(errors.BadOption, match="pass the name or the class of a tool, or a list of these"):
        assert_calls([TORONTO], never=value)


@pytest.mark.slow
def test_a_snapshot_of_a_subset(project):
    test = "def test_plan(calls_snapshot):\n    assert [TORONTO, %s, SEARCH] == calls_snapshot(subset=True)"
    project.module(test % "DALLAS")
    assert project.run().failure[2:5] == [f"added: {line}" for line in (SEARCH_LINE, DALLAS_LINE, TORONTO_LINE)]
    project.run("--snapshot-update")
    assert project.file() == stored(test_plan="\n".join([SEARCH_LINE, DALLAS_LINE, TORONTO_LINE]))

    # the test requires only two of the calls
    project.write("__snapshots__/test_trip.calls", stored(test_plan=f"{DALLAS_LINE}\n{SEARCH_LINE}"))
    assert project.run().outcomes == {"passed": 1}
    project.run("--snapshot-update")
    assert project.file() == stored(test_plan=f"{DALLAS_LINE}\n{SEARCH_LINE}")

    # an update replaces the changed call and adds no other
    project.module(test % "DALLAS.model_copy(update={'units': 'metric'})")
    assert project.run().failure[1:] == [
        "changed: Weather(location='Dallas', units='imperial')",
        "    units: was 'imperial', now 'metric'",
        "1 call unchanged",
        "1 other call received: Weather",
        "to accept: pytest --snapshot-update test_trip.py::test_plan",
    ]
    project.run("--snapshot-update")
    changed = DALLAS_LINE.replace("imperial", "metric")
    assert project.file() == stored(test_plan=f"{SEARCH_LINE}\n{changed}")


@pytest.mark.slow
def test_a_forbidden_call_is_never_written(project):
    project.module("def test_plan(calls_snapshot):\n    assert [TORONTO, SEARCH] == calls_snapshot(never=GoogleSearch)")
    run = project.run("--snapshot-update")
    assert run.failure[1:] == [
        "never='GoogleSearch' forbids a received call, so the snapshot cannot be updated",
        f"not allowed: {SEARCH_LINE}",
        "    never='GoogleSearch'",
        f"added: {TORONTO_LINE}",
    ]
    assert project.file() is None
