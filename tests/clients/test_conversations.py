"""A conversation with images and tool results, as the provider receives it over each of Google's transports."""

import os
import re
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest
from warm_python import find_warm_python

from multitrack.standin import Rule, ScriptedCall, StandIn

pytestmark = pytest.mark.slow

APPLICATION = Path(__file__).parent / "applications" / "conversation.py"
RULES = [Rule(prompt="Plan the trip", calls=[ScriptedCall("Weather", {"location": "Toronto"})])]
CONTENTS = [
    {
        "role": "user",
        "parts": [
            {"text": "Where was this?"},
            {"inlineData": {"mimeType": "image/png", "data": "+/8="}},
            {"fileData": {"mimeType": "image/webp", "fileUri": "gs://bucket/cat.webp"}},
        ],
    },
    {
        "role": "model",
        "parts": [
            {"functionCall": {"name": "Weather", "args": {"location": "Toronto"}}},
            {"functionCall": {"name": "Weather", "args": {"location": "Dallas"}}},
        ],
    },
    {
        "role": "user",
        "parts": [
            {"functionResponse": {"name": "Weather", "response": {"degrees": 3}}},
            {"functionResponse": {"name": "Weather", "response": {"output": "hot"}}},
        ],
    },
    {"role": "user", "parts": [{"text": "Plan the trip"}]},
]
# only some versions of the API have ids and thought signatures
OPTIONAL = ("id", "thoughtSignature")


def normalize(value):
    """Convert keys to camel case and base64 to the standard alphabet.

    google-genai writes some keys and strings in other forms.
    """
    match value:
        case dict():
            parts = {re.sub("_(.)", lambda found: found[1].upper(), key): normalize(value[key]) for key in value}
            return {key: item for key, item in parts.items() if key not in OPTIONAL}
        case list():
            return [normalize(item) for item in value]
        case "-_8=":
            return "+/8="
        case _:
            return value


def test_a_conversation_is_the_same_over_every_transport():
    with ExitStack() as stack:
        running = {}
        for kind in ("grpc", "rest", "gemini", "vertex"):
            standin = stack.enter_context(StandIn(RULES))
            connection = {"STANDIN_PROXY": standin.proxy_url, "STANDIN_AUTHORITY": str(standin.certificate_authority)}
            process = subprocess.Popen(
                [*find_warm_python(), "-W", "ignore", str(APPLICATION), kind],
                env={**os.environ, **standin.environment, **connection},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            running[kind] = (standin, process)
        for kind, (standin, process) in running.items():
            output, errors = process.communicate(timeout=120)
            assert process.returncode == 0, errors
            assert output == "Extraction([Weather(location='Toronto')])\n"
            [request] = standin.requests
            assert normalize(request.body["contents"]) == CONTENTS, kind
            assert [part["text"] for part in request.body["systemInstruction"]["parts"]] == [
                "You must always use tools"
            ], kind
