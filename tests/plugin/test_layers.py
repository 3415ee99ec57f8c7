"""Which layer moved: the first line of a failure, for each of them."""

import json

import pytest
from local_provider import Answer, completion

TORONTO = ("Weather", {"location": "Toronto", "units": "metric"})
DALLAS = ("Weather", {"location": "Dallas", "units": "imperial"})
SEARCH = ("GoogleSearch", {"query": "who won the super bowl"})

TRIP = """
from collections.abc import Iterable

import multitrack
from app import client
from pydantic import BaseModel, Field, field_validator, model_validator


class Weather(BaseModel):
    location: str
    units: str


class GoogleSearch(BaseModel):
    query: str


def plan(prompt="plan", **options):
    return multitrack.from_openai(client).chat.completions.create(
        model="gpt-4o-mini",
        messages=[dict(role="user", content=prompt)],
        response_model=Iterable[Weather | GoogleSearch],
        **options,
    )
"""

SNAPSHOT = """
import trip

@pytest.mark.cassette
def test_plan(calls_snapshot):
    assert trip.plan() == calls_snapshot
"""

PLAIN = """
import trip
from trip import GoogleSearch, Weather

@pytest.mark.cassette
def test_plan():
    assert trip.plan() == [
        Weather(location="Toronto", units="metric"),
        Weather(location="Dallas", units="imperial"),
        GoogleSearch(query="who won the super bowl"),
    ]
"""

FIELDS = """
import trip

@pytest.mark.cassette
def test_plan():
    assert [weather.location for weather in trip.plan()[:2]] == ["Toronto", "Dallas"]
"""

SHOUTED = """
    @field_validator("location")
    def _shout(cls, value):
        return value.upper()
"""

NO_IMPERIAL = """
    @field_validator("units")
    def _known(cls, value):
        if value == "imperial":
            raise ValueError("nobody uses it")
        return value
"""


def calling(*calls):
    """A provider's answers, each with these calls."""

    def reply(request):
        tool_calls = [
            {
                "id": f"call_{id(request)}_{position}",
                "type": "function",
                "function": {"name": name, "arguments": json.dumps(arguments)},
            }
            for position, (name, arguments) in enumerate(calls)
        ]
        return Answer(completion(None, tool_calls=tool_calls))

    return reply


@pytest.fixture
def trip(project):
    project.provider.reply = calling(TORONTO, DALLAS, SEARCH)
    project.write("trip.py", TRIP)
    project.change = lambda name, old, new: changed(project.path / name, old, new)
    return project


def changed(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def with_validator(project, validator):
    project.change("trip.py", "    units: str\n", f"    units: str\n{validator}")


def recorded(project, test):
    project.test(test)
    run = project.record()
    assert run.counts in ({"passed": 1}, {"passed": 1, "snapshots": 1}), run.out
    again = project.run()
    assert (again.counts["passed"], again.changed) == (1, set())


def first_lines(run, count=1):
    """The first lines of the one failure of ``run``."""
    start = next(index for index, line in enumerate(run.lines) if line.startswith("____"))
    return run.lines[start + 1 : start + 1 + count]


@pytest.mark.parametrize("options", [(), ("-n", "1")], ids=["one process", "xdist"])
class TestEachLayer:
    """What one of them moved says, and that the line of the summary says it, too."""

    @pytest.fixture(autouse=True)
    def _project(self, trip, options):
        self.project = trip
        self.options = options

    def verdict(self, *flags, **kinds):
        run = self.project.run(*self.options, *flags, subprocess=bool(self.options))
        assert run.counts["failed"] == 1, run.out
        (line,) = first_lines(run)
        assert f"FAILED test_it.py::test_plan - {line}" in run.lines
        return line

    def test_the_request(self):
        recorded(self.project, SNAPSHOT)
        self.project.change("trip.py", 'prompt="plan"', 'prompt="another"')
        with_validator(self.project, SHOUTED)
        assert self.verdict() == (
            f"CassetteMiss: POST {self.project.provider.url}/v1/chat/completions "
            "(gpt-4o-mini; tools Weather, GoogleSearch) has no recording"
        )

    def test_the_reply_against_a_snapshot(self):
        recorded(self.project, SNAPSHOT)
        self.project.provider.reply = calling(TORONTO, ("Weather", {"location": "Dallas", "units": "metric"}))
        self.project.record()
        (self.project.path / "cassettes/test_it/test_plan.pending.yaml").rename(self.project.tape("test_it/test_plan"))
        assert self.verdict() == (
            "the reply changed: it was recorded again after the snapshot was taken: "
            "1 call changed (Weather), 1 call removed (GoogleSearch)"
        )

    def test_the_models_against_a_snapshot(self):
        recorded(self.project, SNAPSHOT)
        with_validator(self.project, SHOUTED)
        assert self.verdict() == (
            "the models or validators changed: Weather.location; "
            "same request and reply as when the snapshot was taken"
        )

    def test_the_models_against_a_plain_assertion(self):
        recorded(self.project, FIELDS)
        with_validator(self.project, SHOUTED)
        assert self.verdict() == (
            "the models or validators changed: Weather.location; same request and reply as when the tape was recorded"
        )

    def test_the_models_by_an_error(self):
        recorded(self.project, SNAPSHOT)
        with_validator(self.project, NO_IMPERIAL)
        assert self.verdict() == (
            "the models or validators changed: Weather.units: Value error, nobody uses it; "
            "same request and reply as when the tape was recorded"
        )

    def test_the_test_against_a_snapshot(self):
        recorded(self.project, SNAPSHOT)
        self.project.change("test_it.py", "trip.plan()", "trip.plan()[:2]")
        assert self.verdict() == "the test changed; same request, reply and models as when the snapshot was taken"

    def test_the_test_with_a_plain_assertion(self):
        recorded(self.project, PLAIN)
        self.project.change("test_it.py", "Dallas", "Austin")
        assert self.verdict() == "the test changed; same request, reply and models as when the tape was recorded"

    def test_the_test_by_an_error_of_its_own(self):
        recorded(self.project, SNAPSHOT)
        self.project.change("test_it.py", "trip.plan()", "trip.plan().nothing")
        assert self.verdict() == "the test changed; same request, reply and models as when the tape was recorded"
