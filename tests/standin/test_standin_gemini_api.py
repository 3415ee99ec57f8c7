"""The Gemini API: the wire format of Vertex AI under other paths."""

import httpx
import pytest

from multitrack.standin import Rule, ScriptedCall, StandIn
from multitrack.standin.identity import STANDIN_HEADER

pytestmark = pytest.mark.slow

QUESTION = {"contents": [{"role": "user", "parts": [{"text": "Call"}]}]}


@pytest.mark.parametrize("version", ["v1beta", "v1"])
@pytest.mark.parametrize("model", ["models/gemini-2.0-flash", "tunedModels/mine"])
def test_its_paths_are_served_with_its_host_name(version, model):
    with StandIn([Rule(prompt="Call", calls=[ScriptedCall("Weather", {"location": "Toronto"})])]) as standin:
        url = f"{standin.proxy_url}/{version}/{model}:generateContent"
        answer = httpx.post(url, json=QUESTION, trust_env=False, timeout=30)

    assert answer.headers[STANDIN_HEADER] == "generativelanguage.googleapis.com"
    assert answer.json()["modelVersion"] == model.rpartition("/")[2]
    [part] = answer.json()["candidates"][0]["content"]["parts"]
    assert part == {"functionCall": {"name": "Weather", "args": {"location": "Toronto"}}}
