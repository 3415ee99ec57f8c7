"""What was recorded from Vertex AI over one transport answers over others, by the Vertex SDK and by google-genai."""

import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from multitrack.standin import Rule, ScriptedCall, ScriptedError, StandIn

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
        calls=[
            ScriptedCall("Weather", {"location": "Toronto", "units": "metric"}),
            ScriptedCall("Search", {"query": "super bowl"}),
        ],
    ),
    Rule(prompt="Tell a tale", text="Once upon a time there was a tape.", delta_size=8),
    Rule(prompt="Too much", error=ScriptedError(status=429, message="Quota exceeded.", details=[VIOLATION])),
    Rule(prompt="What is wrong", error=ScriptedError(status=400, message="No such thing.")),
]
TRANSPORTS = {
    "grpc": ("ResourceExhausted", "InvalidArgument"),
    "grpc_asyncio": ("ResourceExhausted", "InvalidArgument"),
    "rest": ("TooManyRequests", "BadRequest"),
    "genai": ("ClientError", "ClientError"),
    "genai_httpx": ("ClientError", "ClientError"),
    "genai_asyncio": ("ClientError", "ClientError"),
}
"""Each with the exceptions that it raises for a 429 and a 400."""
CROSSINGS = list(product(TRANSPORTS, TRANSPORTS))


def run(mode, runs, environment):
    arguments = [sys.executable, "-W", "ignore", str(APPLICATION), mode, *(f"{over}={tape}" for over, tape in runs)]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What came over each transport live, and over each from the tapes of all, with nobody to answer."""
    folder = tmp_path_factory.mktemp("tapes")
    tapes = {over: folder / f"{over}.yaml" for over in TRANSPORTS}
    with StandIn(RULES) as standin:
        live = run("record", tapes.items(), {**os.environ, **standin.environment})
    nothing = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    replayed = run("replay", [(over, tapes[recorded]) for over, recorded in CROSSINGS], nothing)
    return dict(zip(TRANSPORTS, live, strict=True)), dict(zip(CROSSINGS, replayed, strict=True))


@pytest.mark.parametrize(("over", "recorded"), CROSSINGS)
def test_a_tape_of_one_transport_answers_over_another(over, recorded, outcomes):
    live, replayed = outcomes
    assert replayed[over, recorded] == live[over]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_what_was_recorded_is_what_was_asked_for(transport, outcomes):
    live, (exhausted, refused) = outcomes[0][transport], TRANSPORTS[transport]
    assert (
        live["whole"]
        == live["streamed"]
        == ["Weather(location='Toronto', units='metric')", "Search(query='super bowl')"]
    )
    for kind in ("exhausted", "exhausted_stream"):
        name, message, details = live[kind]
        assert (name, details) == (exhausted, ["model"])
        assert message.endswith("Quota exceeded.")
    for kind in ("refused", "refused_stream"):
        name, message, details = live[kind]
        assert (name, details) == (refused, [])
        assert message.endswith("No such thing.")
    assert live["text"] == live["conversation"] == ["Once upon a time there was a tape.", "STOP"]
    assert "".join(live["text_of_a_stream"]) == "Once upon a time there was a tape."
    assert len(live["text_of_a_stream"]) > 2
