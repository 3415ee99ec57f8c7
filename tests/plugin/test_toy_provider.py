"""A provider that Multitrack does not know, added as docs/architecture.md describes: its format, client and key.

The files in ``toy_provider`` are the whole provider. Each run is a separate process, so that the provider stays
unknown to the other tests.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from drifting_model import read_table
from local_provider import STREAM, ProviderAnswer

TOY = Path(__file__).parent / "toy_provider"
KEY = "toy-key-0123456789abcdef"
SECRETS = ("sk-proj-aaaabbbbccccddddeeeeffff", "sk-proj-1111222233334444555566667777")

CONFTEST = f"""
import sys

sys.path.insert(0, {str(TOY)!r})

import toy_credentials
import toy_format
"""
TESTS = """
from collections.abc import Iterable
from typing import Literal

import pytest
from pydantic import BaseModel
from toy_client import ExtractingToyClient
from toysdk import ToyClient


class Weather(BaseModel):
    place: str
    units: Literal["imperial", "metric"] = "metric"


class Search(BaseModel):
    query: str


BOTH = Iterable[Weather | Search]
client = ExtractingToyClient(ToyClient({url!r}))


def ask(question, **arguments):
    return client.create([{{"by": "user", "say": question}}], BOTH, **arguments)


@pytest.mark.cassette
def test_plan(calls_snapshot):
    assert ask("plan") == calls_snapshot


@pytest.mark.cassette
def test_objects_of_the_sdk(calls_snapshot):
    answer = client.sdk.talk(engine="toy-1", talk=[{{"by": "user", "say": "plan"}}])
    assert answer["acts"] == calls_snapshot(ids=False)


@pytest.mark.cassette
def test_stream():
    with ask("plan", stream=True) as stream:
        assert [*stream] == [Weather(place="Oslo"), Search(query="ferry")]
    assert stream.extraction.text == "Let me see."


@pytest.mark.cassette
def test_retry():
    extraction = ask("plan badly", max_retries=1)
    assert extraction == [Weather(place="Oslo"), Search(query="ferry")]
    assert len(extraction.attempts) == 1


@pytest.mark.cassette
def test_results():
    talk = [{{"by": "user", "say": "plan"}}]
    talk += ask("plan").tool_results(["rainy", "none"])
    assert client.create(talk, BOTH, allow_empty=True).text == "Take a coat."


@pytest.mark.cassette
def test_secrets():
    with ask("tell", stream=True, allow_empty=True) as stream:
        assert [*stream] == []
"""


ENCODING = f"""
import sys
from dataclasses import replace

sys.path.insert(0, {str(TOY)!r})

import toy_format
from multitrack import ToolCall
from multitrack.wires import WireAnswer, encode_answer, read_answer

answer = WireAnswer((ToolCall("t-1", "Weather", '{{"place":"Oslo"}}', 0),), text="Let me see, please.", model="toy-1")
for wire in ("toy", "toy.stream"):
    body = encode_answer(answer, wire)
    decoded = read_answer(body, wire)
    assert replace(decoded, finish_reason=None) == answer, (wire, decoded)
    assert encode_answer(decoded, wire, body) == body
    stamped = body.replace(b'"act"', b'"stamp":"s-1","act"')
    renamed = replace(decoded, calls=(ToolCall("t-1", "Climate", '{{"place":"Oslo"}}', 0),))
    encoded = encode_answer(renamed, wire, stamped)
    assert read_answer(encoded, wire) == renamed, wire
    assert b"s-1" in encoded, wire
"""


class ToyModel:
    """The provider's server. It uses each ticket and stamp once."""

    def __init__(self):
        self.units = "metric"
        self.count = 0

    def __call__(self, request):
        body = request.json
        self.count += 1
        question = body["talk"][0]["say"]
        if question == "tell":
            return self.stream(self.tell())
        turns = [message for message in body["talk"] if message["by"] == "model"]
        acts = [self.act("Weather", place="Oslo", units=self.units), self.act("Search", query="ferry")]
        if question == "plan badly":
            bad = self.act("Weather", place="Oslo", units="kelvin")
            acts = acts[:1] if turns else [bad, acts[1]]
        elif turns:
            return self.reply(say="Take a coat.")
        return self.stream(self.pieces(acts)) if body.get("pieces") else self.reply(say="Let me see.", acts=acts)

    def act(self, name, **arguments):
        self.count += 1
        return {"ticket": f"t-{self.count}", "act": name, "with": arguments, "stamp": f"s-{self.count}"}

    def reply(self, **fields):
        document = {"kind": "reply", "engine": "toy-1", "why": "done", **fields}
        return ProviderAnswer(json.dumps(document).encode())

    def pieces(self, acts):
        yield {"slot": 0, "say": "Let me "}
        texts = [json.dumps(act["with"]) for act in acts]
        for slot, act in enumerate(acts, start=1):
            yield {"slot": slot, **{key: value for key, value in act.items() if key != "with"}}
        for start in (0, 9):
            for slot, text in enumerate(texts, start=1):
                end = None if start else 9
                yield {"slot": slot, "with": text[start:end], "last": end is None}
        yield {"slot": 0, "say": "see."}

    def tell(self):
        """Yield the pieces of two strings alternately. Each string has a secret."""
        first, second = (f"It is {secret}, really." for secret in SECRETS)
        for start in range(0, max(len(first), len(second)), 7):
            yield {"slot": 0, "say": first[start : start + 7]}
            yield {"slot": 1, "say": second[start : start + 7]}

    def stream(self, pieces):
        documents = [{"kind": "piece", **piece} for piece in pieces]
        documents.append({"kind": "end", "engine": "toy-1", "why": "done"})
        return ProviderAnswer("".join(f"data: {json.dumps(each)}\n\n" for each in documents).encode(), headers=STREAM)


@pytest.fixture
def recorded(project, monkeypatch):
    """The project after a recording run."""
    project.provider.reply = project.model = ToyModel()
    project.write("conftest.py", CONFTEST)
    project.write("toysdk-1.2.dist-info/METADATA", "Metadata-Version: 2.1\nName: toysdk\nVersion: 1.2\n")
    project.write("test_trip.py", TESTS.format(url=project.provider.url))
    with monkeypatch.context() as patch:
        patch.setenv("TOY_KEY", KEY)
        run = project.run("--record", subprocess=True)
    assert run.counts == {"passed": 6}, run.out + run.err
    return project


def read_cassette(project, test):
    return project.cassette(f"test_trip/test_{test}").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_new_provider_replays_without_a_key_and_without_a_server(recorded):
    recorded.provider.stop()
    run = recorded.run(subprocess=True)
    assert run.counts == {"passed": 6}, run.out + run.err
    assert run.changed == set()


@pytest.mark.slow
def test_answers_of_a_new_provider_are_encoded():
    run = subprocess.run([sys.executable, "-c", ENCODING], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


@pytest.mark.slow
def test_a_client_without_a_key_raises_the_sdks_own_error_when_it_goes_live(recorded):
    run = recorded.run("--live", "-k", "test_plan", subprocess=True)
    assert run.code == 1
    assert "ToyError: there is no key; pass key=, or set TOY_KEY" in run.out


@pytest.mark.slow
def test_a_cassette_has_the_version_of_a_new_sdk(recorded):
    assert "toysdk: '1.2'" in read_cassette(recorded, "plan")


@pytest.mark.slow
def test_the_summary_of_a_cassette_has_the_calls_of_a_new_provider(recorded):
    heading = read_cassette(recorded, "stream").partition("version:")[0]
    assert "toy.stream toy-1 · 2 calls" in heading
    assert "Weather(place='Oslo', units='metric')" in heading


@pytest.mark.slow
def test_the_snapshot_of_the_sdks_objects_is_that_of_the_extraction(recorded):
    snapshots = (recorded.path / "__snapshots__" / "test_trip.calls").read_text(encoding="utf-8")
    assert snapshots.count("Weather(place='Oslo', units='metric')") == 2
    assert snapshots.count("Search(query='ferry')") == 2


@pytest.mark.slow
def test_a_request_of_a_new_provider_is_shown(recorded):
    code = f"import sys; sys.path.insert(0, {str(TOY)!r}); import toy_format; from multitrack import cli; cli.main()"
    path = recorded.cassette("test_trip/test_results")
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    shown = subprocess.run(
        [sys.executable, "-c", code, "show", "--request", str(path)],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    ).stdout
    assert "  request model: toy-1\n  request tools: Weather, Search\n  request user: plan\n" in shown
    assert "  request model: Let me see.\n    Weather(place='Oslo', units='metric')\n" in shown
    assert "  request tool: rainy\n" in shown


@pytest.mark.slow
def test_a_secret_is_redacted_although_it_is_split_over_the_pieces_of_a_new_provider(recorded):
    cassette = read_cassette(recorded, "secrets")
    pieces = [json.loads(line.split("data: ")[1]) for line in cassette.splitlines() if "data: {" in line]
    texts = ["".join(piece.get("say", "") for piece in pieces if piece.get("slot") == slot) for slot in (0, 1)]
    assert texts == ["It is __redacted__, really."] * 2
    assert KEY not in cassette


@pytest.mark.slow
def test_drift_of_a_new_provider_is_reported(recorded, monkeypatch):
    recorded.model.units = "imperial"
    monkeypatch.setenv("TOY_KEY", KEY)
    run = recorded.run("--calls-drift", "-k", "test_plan or test_results", subprocess=True)
    table = read_table(run)
    assert any("test_plan, request 1: arguments changed" in line for line in table)
    assert any("units" in line for line in table)


@pytest.mark.slow
def test_new_ids_of_a_new_provider_are_not_drift(recorded, monkeypatch):
    monkeypatch.setenv("TOY_KEY", KEY)
    run = recorded.run("--calls-drift", subprocess=True)
    assert run.counts == {"passed": 6}, run.out + run.err


@pytest.mark.slow
def test_a_changed_model_of_a_new_provider_is_a_miss_that_names_its_field(recorded):
    path = recorded.path / "test_trip.py"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("    query: str\n", "    query: str\n    limit: int = 1\n"), encoding="utf-8")
    run = recorded.run("-k", "test_plan", subprocess=True)
    assert "`Search.limit` is new" in run.out
