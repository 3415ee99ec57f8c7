"""A Vertex AI call that cassetter recorded, replayed over each transport."""

import grpc
import pytest
import requests
from google.cloud.aiplatform_v1 import types

from multitrack.tape.use_cassette import use_cassette

MODEL = "projects/trip-7/locations/us-central1/publishers/google/models/gemini-2.5-flash"
METHOD = "/google.cloud.aiplatform.v1.PredictionService/GenerateContent"
REQUEST = types.GenerateContentRequest(model=MODEL, contents=[{"role": "user", "parts": [{"text": "Where?"}]}])
RESPONSE = types.GenerateContentResponse(candidates=[{"content": {"role": "model", "parts": [{"text": "There."}]}}])


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "vertex.yaml"
    path.write_text(f"""\
version: 1
interactions: []
grpc_interactions:
- request:
    method: {METHOD}
    metadata: {{}}
    body: {{type: binary, content: {types.GenerateContentRequest.serialize(REQUEST).hex()}}}
  response:
    status_code: 0
    status_message: OK
    metadata: {{}}
    body: {{type: binary, content: {types.GenerateContentResponse.serialize(RESPONSE).hex()}}}
""")
    return path


def test_a_recorded_call_replays_over_grpc(path):
    with use_cassette(path), grpc.insecure_channel("127.0.0.1:1") as channel:
        generate = channel.unary_unary(
            METHOD, types.GenerateContentRequest.serialize, types.GenerateContentResponse.deserialize
        )
        assert generate(REQUEST) == RESPONSE


def test_a_recorded_call_replays_over_rest(path):
    url = f"https://us-central1-aiplatform.googleapis.com/v1/{MODEL}:generateContent"
    with use_cassette(path):
        response = requests.post(url, json={"contents": [{"role": "user", "parts": [{"text": "Where?"}]}]}, timeout=5)
    assert response.json()["candidates"][0]["content"]["parts"] == [{"text": "There."}]
