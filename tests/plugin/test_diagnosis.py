"""The first line of a failure says which layer changed: the request, the reply, the models or the test."""

import json
import re

import pytest
from local_provider import ProviderAnswer, completion

from multitrack.tape.file import storage

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


def reply_with(*calls):
    """Return a reply function for the provider that answers with these calls."""

    def reply(request):
        tool_calls = [
            {
                "id": f"call_{id(request)}_{position}",
                "type": "function",
                "function": {"name": name, "arguments": json.dumps(arguments)},
            }
            for position, (name, arguments) in enumerate(calls)
        ]
        return ProviderAnswer(completion(None, tool_calls=tool_calls))

    return reply


@pytest.fixture
def trip(project):
    project.provider.reply = reply_with(TORONTO, DALLAS, SEARCH)
    project.write("trip.py", TRIP)
    project.change = lambda name, old, new: replace_once(project.path / name, old, new)
    return project


def replace_once(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def with_validator(project, validator):
    project.change("trip.py", "    units: str\n", f"    units: str\n{validator}")


def record_test(project, test):
    project.write_test(test)
    run = project.record()
    assert run.counts in ({"passed": 1}, {"passed": 1, "snapshots": 1}), run.out
    again = project.run()
    assert again.counts["passed"] == 1
    assert again.changed == set()


def first_line(run):
    """Return the first line of the only failure of ``run``, after the line where xdist names the worker."""
    assert run.counts["failed"] == 1, run.out
    start = next(index for index, line in enumerate(run.lines) if line.startswith("____"))
    return next(line for line in run.lines[start + 1 :] if not line.startswith("[gw"))


def accept(project, name="test_it/test_plan"):
    [pending] = storage.find_pending(project.cassette(name))
    assert storage.accept_pending(pending, lambda cassette: cassette).accepted == 1


METRIC = [TORONTO, ("Weather", {"location": "Dallas", "units": "metric"}), SEARCH]


also_under_xdist = pytest.mark.parametrize("options", [(), ("-n", "1")], ids=["one process", "xdist"])


class TestEachLayer:
    """The diagnosis of each layer is in the failure and in the short summary."""

    @pytest.fixture
    def options(self):
        return ()

    @pytest.fixture(autouse=True)
    def _project(self, trip, options):
        self.project = trip
        self.options = options

    def diagnosis(self):
        run = self.project.run(*self.options)
        line = first_line(run)
        assert f"FAILED test_it.py::test_plan - {line}" in run.lines
        return line

    @also_under_xdist
    def test_the_request(self):
        record_test(self.project, SNAPSHOT)
        self.project.change("trip.py", 'prompt="plan"', 'prompt="another"')
        with_validator(self.project, SHOUTED)
        assert self.diagnosis() == (
            f"CassetteMiss: POST {self.project.provider.url}/v1/chat/completions "
            "(gpt-4o-mini; tools Weather, GoogleSearch) has no recording"
        )

    def test_the_reply_against_a_snapshot(self):
        record_test(self.project, SNAPSHOT)
        self.project.provider.reply = reply_with(TORONTO, ("Weather", {"location": "Dallas", "units": "metric"}))
        self.project.record()
        accept(self.project)
        assert self.diagnosis() == (
            "the reply changed: it was recorded again after the snapshot was taken: "
            "1 call changed (Weather), 1 call removed (GoogleSearch)"
        )

    @also_under_xdist
    def test_the_models_against_a_snapshot(self):
        record_test(self.project, SNAPSHOT)
        with_validator(self.project, SHOUTED)
        assert self.diagnosis() == (
            "the models or validators changed: Weather.location; same request and reply as when the snapshot was taken"
        )

    def test_the_models_against_a_plain_assertion(self):
        record_test(self.project, FIELDS)
        with_validator(self.project, SHOUTED)
        assert self.diagnosis() == (
            "the models or validators changed: Weather.location; "
            "same request and reply as when the cassette was recorded"
        )

    def test_the_models_by_an_error(self):
        record_test(self.project, SNAPSHOT)
        with_validator(self.project, NO_IMPERIAL)
        assert self.diagnosis() == (
            "the models or validators changed: Weather.units: Value error, nobody uses it; "
            "same request and reply as when the cassette was recorded"
        )

    def test_the_test_against_a_snapshot(self):
        record_test(self.project, SNAPSHOT)
        self.project.change("test_it.py", "trip.plan()", "trip.plan()[:2]")
        assert self.diagnosis() == "the test changed; same request, reply and models as when the snapshot was taken"

    def test_the_test_after_its_request_was_rebound(self):
        record_test(self.project, SNAPSHOT)
        self.project.change("trip.py", 'prompt="plan"', 'prompt="another"')
        assert self.project.run("--calls-rebind").counts["passed"] == 1
        self.project.change("test_it.py", "trip.plan()", "trip.plan()[:2]")
        assert self.diagnosis() == (
            "the test changed; same reply and models as when the snapshot was taken; 1 request rebound"
        )

    def test_the_test_with_a_plain_assertion(self):
        record_test(self.project, PLAIN)
        self.project.change("test_it.py", "Dallas", "Austin")
        assert self.diagnosis() == "the test changed; same request, reply and models as when the cassette was recorded"

    @also_under_xdist
    def test_the_test_by_an_error_of_its_own(self):
        record_test(self.project, SNAPSHOT)
        self.project.change("test_it.py", "trip.plan()", "trip.plan().nothing")
        assert self.diagnosis() == "the test changed; same request, reply and models as when the cassette was recorded"


@pytest.mark.parametrize(
    ("test", "afterwards"),
    [
        (
            SNAPSHOT,
            "the reply changed: it was recorded again after the snapshot was taken: 1 call changed (Weather)",
        ),
        (PLAIN, "the reply or the test changed; the test received exactly the recorded calls"),
    ],
)
def test_a_new_recording_is_compared_with_the_one_before(trip, test, afterwards):
    record_test(trip, test)
    trip.provider.reply = reply_with(*METRIC)
    assert first_line(trip.record()) == (
        "the reply changed: the provider now answers the recorded request differently: 1 call changed (Weather)"
    )
    accept(trip)
    assert first_line(trip.run()) == afterwards


def test_a_new_recording_with_the_same_reply(trip):
    record_test(trip, PLAIN)
    trip.change("test_it.py", "Dallas", "Austin")
    assert first_line(trip.record()) == (
        "the test changed; same request, reply and models as when the cassette was recorded"
    )


def test_a_changed_request_that_was_recorded_again(trip):
    record_test(trip, SNAPSHOT)
    trip.change("trip.py", 'prompt="plan"', 'prompt="another"')
    trip.provider.reply = reply_with(*METRIC)
    trip.record()
    accept(trip)
    assert first_line(trip.run()) == "the request changed and was recorded again after the snapshot was taken"


def test_more_and_fewer_requests(trip):
    record_test(trip, SNAPSHOT)
    trip.change("test_it.py", "    assert trip.plan()", "    ask('x')\n    assert trip.plan()[:1]")
    trip.record("--record-missing")
    accept(trip)
    assert (
        first_line(trip.run())
        == "the number of requests changed after the snapshot was taken: the test now sends 1 more"
    )
    trip.record("--record", "--snapshot-update")
    trip.change("test_it.py", "    ask('x')\n    assert trip.plan()[:1]", "    assert trip.plan()")
    assert (
        first_line(trip.run())
        == "the number of requests changed after the snapshot was taken: the test now sends 1 fewer"
    )


def test_a_changed_request_is_the_cause_under_record_missing(trip):
    record_test(trip, PLAIN)
    trip.change("trip.py", 'prompt="plan"', 'prompt="another"')
    trip.provider.reply = reply_with(*METRIC)
    assert first_line(trip.record("--record-missing")) == (
        "the request changed and was recorded again after the cassette was recorded"
    )


def test_a_live_reply_is_the_cause_under_record_missing(trip):
    record_test(trip, SNAPSHOT)
    trip.cassette("test_it/test_plan").unlink()
    trip.provider.reply = reply_with(*METRIC)
    assert first_line(trip.record("--record-missing")) == (
        "the reply changed: the provider now answers the recorded request differently: 1 call changed (Weather)"
    )


def test_a_replayed_reply_is_not_called_live_under_record_missing(trip):
    record_test(trip, SNAPSHOT)
    trip.provider.reply = reply_with(*METRIC)
    trip.record()
    accept(trip)
    assert first_line(trip.record("--record-missing")) == (
        "the reply changed: it was recorded again after the snapshot was taken: 1 call changed (Weather)"
    )


TURNS = """
import trip

@pytest.mark.cassette
def test_plan(calls_snapshot):
    first = trip.plan()
    assert trip.plan(f"and {first[1].units}") == calls_snapshot
"""


def test_a_changed_reply_explains_a_changed_next_request(trip):
    record_test(trip, TURNS)
    trip.provider.reply = reply_with(*METRIC)
    trip.record()
    accept(trip)
    assert first_line(trip.run()) == (
        "the reply changed: it was recorded again after the snapshot was taken: 1 call changed (Weather)"
    )


def test_an_unknown_cause_names_the_possible_layers(trip):
    record_test(trip, FIELDS)
    trip.provider.reply = reply_with(DALLAS, TORONTO)
    trip.record()
    accept(trip)
    assert first_line(trip.run()) == "the request did not change; the reply, the models or the test changed"


def test_a_reply_that_was_never_valid(trip):
    with_validator(trip, NO_IMPERIAL)
    trip.write_test(SNAPSHOT)
    trip.record()
    accept(trip)
    assert first_line(trip.run()) == (
        "the request did not change; the reply, the models or the test changed: Weather.units: "
        "Value error, nobody uses it"
    )


ASSERTED = """
import trip
from multitrack.snapshots.assertion import assert_calls

@pytest.mark.cassette
def test_plan():
    weather = dict(name="Weather", arguments=dict(location="Dallas", units="imperial"))
    assert_calls(trip.plan()[1:2], [weather])
"""


def test_a_failed_assert_calls_is_diagnosed(trip):
    record_test(trip, ASSERTED)
    trip.provider.reply = reply_with(*METRIC)
    trip.record()
    accept(trip)
    assert (
        first_line(trip.run()) == "the request did not change; the reply, the models or the test changed: Weather.units"
    )
    trip.provider.reply = reply_with(TORONTO, DALLAS, SEARCH)
    trip.record()
    with_validator(trip, SHOUTED)
    assert first_line(trip.run()) == (
        "the models or validators changed: Weather.location; same request and reply as when the cassette was recorded"
    )


def test_nested_fields_are_named_by_their_own_class(trip):
    trip.change("trip.py", "    units: str\n", "    units: 'Units'\n\n\nclass Units(BaseModel):\n    name: str\n")
    trip.provider.reply = reply_with(("Weather", {"location": "Rome", "units": {"name": "metric"}}))
    record_test(trip, SNAPSHOT)
    trip.change(
        "trip.py",
        "    name: str\n",
        "    name: str\n" + NO_IMPERIAL.replace("units", "name").replace("imperial", "metric"),
    )
    assert first_line(trip.run()).startswith(
        "the models or validators changed: Units.name: Value error, nobody uses it; same request and reply"
    )


def test_several_changed_fields_are_listed(trip):
    record_test(trip, SNAPSHOT)
    with_validator(trip, SHOUTED.replace('"location"', '"location", "units"'))
    assert first_line(trip.run()) == (
        "the models or validators changed: Weather.location, Weather.units; "
        "same request and reply as when the snapshot was taken"
    )


def test_a_value_that_differs_in_each_run_is_ignored(trip):
    trip.change("trip.py", "import multitrack\n", "from uuid import UUID, uuid4\n\nimport multitrack\n")
    trip.change("trip.py", "    units: str\n", "    units: str\n    key: UUID = Field(default_factory=uuid4)\n")
    record_test(trip, FIELDS)
    assert "?" in trip.cassette("test_it/test_plan").read_text()
    trip.change("test_it.py", "Dallas", "Austin")
    assert first_line(trip.run()) == "the request did not change; the reply, the models or the test changed"


BY_HAND = """
from pydantic import BaseModel, field_validator
from app import client

class Weather(BaseModel):
    location: str
    units: str

    @field_validator("location")
    def _place(cls, value):
        return value

@pytest.mark.cassette
def test_plan(calls_snapshot):
    tools = [{"type": "function", "function": {"name": "Weather", "parameters": Weather.model_json_schema()}}]
    messages = [dict(role="user", content="plan")]
    answer = client.chat.completions.create(model="gpt-4o-mini", messages=messages, tools=tools)
    calls = answer.choices[0].message.tool_calls
    assert [Weather.model_validate_json(call.function.arguments) for call in calls] == calls_snapshot
"""


def test_a_changed_model_of_another_client(trip):
    trip.provider.reply = reply_with(TORONTO, DALLAS)
    record_test(trip, BY_HAND)
    trip.change("test_it.py", "return value", "return value.upper()")
    assert first_line(trip.run()) == (
        "the models or validators changed: Weather.location; the recorded reply has the expected calls"
    )


def test_models_of_other_clients_named_in_pyproject(trip):
    trip.write("pyproject.toml", "[tool.multitrack.models]\ntools = {Weather = 'test_it:Weather'}")
    trip.provider.reply = reply_with(TORONTO, DALLAS)
    record_test(trip, BY_HAND)
    trip.change("test_it.py", "calls] == ", "calls[1:]] == ")
    assert first_line(trip.run()) == ("the test changed; same request, reply and models as when the snapshot was taken")
    trip.change("test_it.py", "return value", "return value.upper()")
    assert first_line(trip.run()).startswith("the models or validators changed: Weather.location; same request and")


def test_a_failed_fixture_is_diagnosed(trip):
    record_test(trip, SNAPSHOT.replace("    assert trip", "    found = trip").replace("== calls_snapshot", ""))
    trip.write_test(
        """
        import trip

        @pytest.fixture
        def found():
            return trip.plan()

        @pytest.mark.cassette
        def test_plan(found):
            pass
        """
    )
    with_validator(trip, NO_IMPERIAL)
    run = trip.run()
    assert run.counts == {"errors": 1}
    assert "ERROR test_it.py::test_plan - the models or validators changed: Weather.units: " in run.out


@pytest.mark.parametrize("style", ["auto", "long", "short", "line", "native", "no"])
def test_every_traceback_style_shows_the_diagnosis(trip, style):
    record_test(trip, PLAIN)
    trip.change("test_it.py", "Dallas", "Austin")
    line = "the test changed; same request, reply and models as when the cassette was recorded"
    run = trip.run(f"--tb={style}", "--junit-xml=report.xml")
    assert f"FAILED test_it.py::test_plan - {line}" in run.lines
    assert line in (trip.path / "report.xml").read_text()
    if style != "no":
        assert sum(line in shown for shown in run.lines) >= 2


def test_no_diagnosis_without_a_recording(trip):
    failing = SNAPSHOT.replace("trip.plan() == calls_snapshot", "0, 'its own'")
    trip.write_test(failing)
    assert first_line(trip.run()) == ""
    trip.write_test(failing.replace("assert 0", "assert not trip.plan()"))
    assert first_line(trip.record("--live")) == ""
    assert first_line(trip.record()) == ""


def test_an_expected_failure_stays_xfailed(trip):
    record_test(trip, SNAPSHOT)
    trip.change("test_it.py", "@pytest.mark.cassette", "@pytest.mark.xfail(strict=True)\n@pytest.mark.cassette")
    trip.change("test_it.py", "trip.plan()", "trip.plan()[1:]")
    assert trip.run().counts == {"xfailed": 1}


def test_the_message_of_a_validator_is_redacted(trip):
    record_test(trip, SNAPSHOT)
    secret = "sk-proj-inner0123456789abcdefghij"
    with_validator(trip, NO_IMPERIAL.replace("nobody uses it", secret))
    run = trip.run()
    assert secret not in first_line(run)
    assert first_line(run).startswith("the models or validators changed: Weather.units: Value error, ")


def test_cassette_and_snapshot_store_fingerprints(trip):
    record_test(trip, SNAPSHOT)
    tape = trip.cassette("test_it/test_plan").read_text()
    assert "  models: {Weather: 'trip:Weather', GoogleSearch: 'trip:GoogleSearch'}\n  results: [" in tape
    snapshot = (trip.path / "__snapshots__/test_it.calls").read_text().splitlines()
    assert snapshot[:5] == [
        "# serializer version: 1",
        "# name: test_plan",
        "  GoogleSearch(query='who won the super bowl')",
        "  Weather(location='Dallas', units='imperial')",
        "  Weather(location='Toronto', units='metric')",
    ]
    assert re.fullmatch(r"  # request \w{8}, reply \w{8}, models \w{8}", snapshot[5])
    assert snapshot[6:] == ["# ---"]


def test_recording_updates_the_fingerprints_of_a_snapshot(trip):
    record_test(trip, SNAPSHOT)
    file = trip.path / "__snapshots__/test_it.calls"
    before = file.read_text().splitlines()
    trip.provider.reply = reply_with(SEARCH, DALLAS, TORONTO)
    trip.record()
    after = file.read_text().splitlines()
    assert [*after[:5], after[6]] == [*before[:5], before[6]]
    assert after[5].split(",")[0] == before[5].split(",")[0]
    assert after[5] != before[5]
    trip.change("test_it.py", "trip.plan()", "trip.plan()[1:]")
    assert first_line(trip.run()).startswith("the test changed; same request, reply and models")


def test_a_snapshot_without_fingerprints_uses_those_of_the_cassette(trip):
    record_test(trip, SNAPSHOT)
    file = trip.path / "__snapshots__/test_it.calls"
    file.write_text("".join(line for line in file.read_text().splitlines(True) if "# request" not in line))
    with_validator(trip, SHOUTED)
    assert first_line(trip.run()) == (
        "the models or validators changed: Weather.location; same request and reply as when the cassette was recorded"
    )


def test_vcrpy_loads_the_cassette(trip):
    record_test(trip, SNAPSHOT)
    from vcr.serialize import deserialize
    from vcr.serializers import yamlserializer

    requests, responses, *_ = deserialize(trip.cassette("test_it/test_plan").read_text(), yamlserializer)
    assert [request.method for request in requests] == ["POST"]
    assert [response["status"]["code"] for response in responses] == [200]
