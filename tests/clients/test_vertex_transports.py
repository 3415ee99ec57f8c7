"""A recording of Vertex AI over one transport replays over all others, of the Vertex SDK and of google-genai."""

import json
import os
import subprocess
from itertools import product
from pathlib import Path

import pytest
from warm_python import find_warm_python

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
"""The exceptions that each transport raises for status 429 and 400."""
CROSSINGS = list(product(TRANSPORTS, TRANSPORTS))


def run(mode, runs, environment):
    arguments = [
        *find_warm_python(),
        "-W",
        "ignore",
        str(APPLICATION),
        mode,
        *(f"{over}={cassette}" for over, cassette in runs),
    ]
    process = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=120)
    assert process.returncode == 0, process.stderr
    return [json.loads(line) for line in process.stdout.splitlines()]


@pytest.fixture(scope="module")
def outcomes(starts_server, tmp_path_factory):
    """The outcomes over each transport while recording, and over each transport from each cassette, offline."""
    folder = tmp_path_factory.mktemp("cassettes")
    cassettes = {over: folder / f"{over}.yaml" for over in TRANSPORTS}
    with StandIn(RULES) as standin:
        live = run("record", cassettes.items(), {**os.environ, **standin.environment})
    bare_environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    replayed = run("replay", [(over, cassettes[recorded]) for over, recorded in CROSSINGS], bare_environment)
    return dict(zip(TRANSPORTS, live, strict=True)), dict(zip(CROSSINGS, replayed, strict=True))


@pytest.mark.parametrize(("over", "recorded"), CROSSINGS)
def test_a_cassette_of_one_transport_replays_over_another(over, recorded, outcomes):
    live, replayed = outcomes
    assert replayed[over, recorded] == live[over]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_each_transport_has_the_expected_outcomes(transport, outcomes):
    live, (exhausted, refused) = outcomes[0][transport], TRANSPORTS[transport]
    models = ["Weather(location='Toronto', units='metric')", "Search(query='super bowl')"]
    assert live["whole"] == models
    assert live["streamed"] == models
    for kind in ("exhausted", "exhausted_stream"):
        name, message, details = live[kind]
        assert name == exhausted
        assert details == ["model"]
        assert message.endswith("Quota exceeded.")
    for kind in ("refused", "refused_stream"):
        name, message, details = live[kind]
        assert name == refused
        assert details == []
        assert message.endswith("No such thing.")
    assert live["text"] == ["Once upon a time there was a tape.", "STOP"]
    assert live["conversation"] == ["Once upon a time there was a tape.", "STOP"]
    assert "".join(live["text_of_a_stream"]) == "Once upon a time there was a tape."
    assert len(live["text_of_a_stream"]) > 2
