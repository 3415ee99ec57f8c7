"""What was recorded from Vertex AI over one transport answers over the others: gRPC, REST, google-genai."""

import json
import os
import subprocess
import sys
from itertools import permutations
from pathlib import Path

import pytest

from multitrack.standin import Call, Error, Rule, StandIn

pytest.importorskip("vertexai")
pytest.importorskip("google.genai")

APPLICATION = Path(__file__).parent / "applications" / "vertex_transports.py"
VIOLATION = {
    "@type": "type.googleapis.com/google.rpc.QuotaFailure",
    "violations": [{"subject": "model", "description": "10 per minute"}],
}
RULES = [
    Rule(
        prompt="Plan the trip",
        calls=[Call("Weather", {"location": "Toronto", "units": "metric"}), Call("Search", {"query": "super bowl"})],
    ),
    Rule(prompt="Tell a tale", text="Once upon a time there was a tape.", delta_size=8),
    Rule(prompt="Too much", error=Error(status=429, message="Quota exceeded.", details=[VIOLATION])),
]
ACTIONS = ["whole", "streamed", "exhausted", "exhausted_stream", "text", "text_of_a_stream"]
TRANSPORTS = {"grpc": "ResourceExhausted", "rest": "TooManyRequests", "genai": "ClientError"}
"""Each with the exception that it raises for a 429."""
CROSSINGS = list(permutations(TRANSPORTS, 2))


def run(mode, runs, environment):
    arguments = [sys.executable, "-W", "ignore", str(APPLICATION), mode, *(f"{over}={tape}" for over, tape in runs)]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What came over each transport live, and over each from the tapes of the others, with nobody to answer."""
    folder = tmp_path_factory.mktemp("tapes")
    tapes = {over: folder / f"{over}.yaml" for over in TRANSPORTS}
    with StandIn(RULES) as standin:
        live = run("record", tapes.items(), {**os.environ, **standin.environment})
    nothing = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    replayed = run("replay", [(over, tapes[recorded]) for over, recorded in CROSSINGS], nothing)
    return dict(zip(TRANSPORTS, live, strict=True)), dict(zip(CROSSINGS, replayed, strict=True))


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize(("over", "recorded"), CROSSINGS)
def test_a_tape_of_one_transport_answers_over_another(over, recorded, action, outcomes):
    live, replayed = outcomes
    assert replayed[over, recorded][action] == live[over][action]


def test_what_was_recorded_is_what_was_asked_for(outcomes):
    live, _ = outcomes
    plan = ["Weather(location='Toronto', units='metric')", "Search(query='super bowl')"]
    for transport, error in TRANSPORTS.items():
        assert live[transport]["whole"] == live[transport]["streamed"] == plan
        assert live[transport]["exhausted"][0] == live[transport]["exhausted_stream"][0] == error
        assert live[transport]["exhausted"][1].endswith("Quota exceeded.")
        assert live[transport]["exhausted"][2] == "model"
    for found in live.values():
        assert found["text"] == ["Once upon a time there was a tape.", "STOP"]
        assert "".join(found["text_of_a_stream"]) == "Once upon a time there was a tape."
        assert len(found["text_of_a_stream"]) > 2
