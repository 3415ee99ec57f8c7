"""The stand-in as Vertex AI, used by an unmodified application and with plain HTTP and gRPC."""

import json
import os
import subprocess
from contextlib import ExitStack
from pathlib import Path

import grpc
import httpx
import pytest
from warm_python import find_warm_python

from multitrack.standin import (
    GOOGLE_COOKIE,
    GOOGLE_ORGANIZATION,
    GOOGLE_PROJECT,
    STANDIN_HEADER,
    Rule,
    ScriptedCall,
    ScriptedError,
    StandIn,
)

APPLICATION = Path(__file__).parent / "applications" / "vertex_application.py"
EXAMPLES_SCRIPT = Path(__file__).parents[2] / "examples" / "standin.yaml"
HOST = "us-central1-aiplatform.googleapis.com"
MODEL = f"projects/{GOOGLE_PROJECT}/locations/us-central1/publishers/google/models/gemini-1.5-pro-preview-0409"
RETRY_INFO = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "3s"}
RULES = [
    Rule(prompt="Tell a tale", text="Once upon a time", delta_size=10),
    Rule(prompt="Too fast", times=1, error=ScriptedError(status=429, details=[RETRY_INFO])),
    Rule(prompt="Too fast", text="slowly"),
    Rule(prompt="Hang up", close=True),
    Rule(prompt="Break", text="Once upon a time", delta_size=10, error=ScriptedError(status=503), after=1),
    Rule(prompt="Call", calls=[ScriptedCall("Weather", {"zone": 3, "area": "Toronto"}), ScriptedCall("Bare", None)]),
]
CALLS = [
    ["Weather", {"location": "Toronto", "units": "metric"}],
    ["Weather", {"location": "Dallas", "units": "imperial"}],
    ["GoogleSearch", {"query": "who won the super bowl"}],
]


@pytest.fixture(scope="module")
def applications(starts_server):
    """For each transport, the output of the application and the requests received. Both run at the same time."""
    with ExitStack() as stack:
        running = {}
        for transport in ("grpc", "rest"):
            standin = stack.enter_context(StandIn(RULES, script=EXAMPLES_SCRIPT))
            process = subprocess.Popen(
                [*find_warm_python(), str(APPLICATION), transport],
                env={**os.environ, **standin.environment},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            running[transport] = (process, standin)
        results = {}
        for transport, (process, standin) in running.items():
            output, errors = process.communicate(timeout=60)
            assert process.returncode == 0, errors.decode()
            results[transport] = json.loads(output), standin.requests
        return results


@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_an_unmodified_application_gets_calls_text_and_streams(applications, transport):
    results, _ = applications[transport]

    assert results["calls"] == CALLS
    assert results["fallback"] == [
        ["Weather", {"location": "text", "units": "imperial"}],
        ["GoogleSearch", {"query": "text"}],
    ]
    assert results["stream"] == ["Once upon ", "a time"]


@pytest.mark.parametrize(("transport", "error"), [("grpc", "ResourceExhausted"), ("rest", "TooManyRequests")])
def test_an_unmodified_application_gets_an_error_with_details_and_then_an_answer(applications, transport, error):
    results, _ = applications[transport]

    assert results["limited"] == [error, "Resource exhausted. Please try again later.", 1]
    assert results["then"] == "slowly"


def test_an_unmodified_application_calls_asynchronously(applications):
    results, _ = applications["grpc"]

    assert results["asynchronous"] == [CALLS, ["Once upon ", "a time"]]


def test_a_closed_connection_is_unavailable_over_grpc(applications):
    results, _ = applications["grpc"]

    assert results["closed"] == ["ServiceUnavailable", "Socket closed", 0]


@pytest.mark.parametrize(
    ("transport", "kind", "url"),
    [
        ("grpc", "grpc", f"grpc://{HOST}/google.cloud.aiplatform.v1.PredictionService/GenerateContent"),
        ("rest", "http", f"https://{HOST}/v1/{MODEL}:generateContent?%24alt=json%3Benum-encoding%3Dint"),
    ],
)
def test_requests_are_logged_with_googles_host_names(applications, transport, kind, url):
    _, received = applications[transport]

    first = received[0]

    assert first.transport == kind
    assert first.method == "POST"
    assert first.url == url
    assert first.body["contents"][0]["parts"][0]["text"].startswith("What is the weather in toronto")
    assert {request.host for request in received} == {HOST}


def ask(prompt, **more):
    return {"contents": [{"role": "user", "parts": [{"text": prompt}]}], **more}


@pytest.fixture(scope="module")
def standin(starts_server):
    with StandIn(RULES) as standin:
        yield standin


def post(standin, method, body, version="v1", query=""):
    url = f"{standin.proxy_url}/{version}/{MODEL}:{method}{query}"
    return httpx.post(url, json=body, trust_env=False, timeout=30)


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_rest_answers_json_in_the_scripted_order(standin, version):
    answer = post(standin, "generateContent", ask("Call"), version)

    assert answer.headers["content-type"] == "application/json; charset=UTF-8"
    assert [part["functionCall"] for part in answer.json()["candidates"][0]["content"]["parts"]] == [
        {"name": "Weather", "args": {"zone": 3.0, "area": "Toronto"}},
        {"name": "Bare"},
    ]
    assert answer.text.index('"zone"') < answer.text.index('"area"')


def test_every_response_has_the_headers_of_the_standin_and_the_account(standin):
    for prompt, status in (("Tell a tale", 200), ("Break", 503)):
        answer = post(standin, "generateContent", ask(prompt))

        assert answer.status_code == status
        assert answer.headers[STANDIN_HEADER] == HOST
        assert answer.headers["x-goog-organization"] == GOOGLE_ORGANIZATION
        assert answer.headers["x-goog-user-project"] == GOOGLE_PROJECT
        assert GOOGLE_COOKIE in answer.headers["set-cookie"]


def test_rest_streams_an_array_or_events(standin):
    array = post(standin, "streamGenerateContent", ask("Tell a tale"))
    events = post(standin, "streamGenerateContent", ask("Tell a tale"), query="?alt=sse")

    def texts(parts):
        return [part["candidates"][0]["content"]["parts"][0]["text"] for part in parts]

    assert texts(array.json()) == ["Once upon ", "a time"]
    assert events.headers["content-type"] == "text/event-stream"
    lines = [line for line in events.text.split("\r\n\r\n") if line]
    assert texts(json.loads(line.removeprefix("data: ")) for line in lines) == ["Once upon ", "a time"]


def test_a_rest_stream_can_end_with_an_error(standin):
    answer = post(standin, "streamGenerateContent", ask("Break"))

    first, error = answer.json()

    assert answer.status_code == 200
    assert first["candidates"][0]["content"]["parts"] == [{"text": "Once upon "}]
    assert error == {
        "error": {"code": 503, "message": "The service is currently unavailable.", "status": "UNAVAILABLE"}
    }


def test_an_unknown_field_is_rejected(standin):
    answer = post(standin, "generateContent", ask("Call", surprise=1))

    assert answer.status_code == 400
    assert answer.json()["error"]["status"] == "INVALID_ARGUMENT"
    assert '"surprise"' in answer.json()["error"]["message"]


def test_an_unknown_type_in_a_schema_is_rejected(standin):
    tool = {"name": "A", "parameters": {"type": "object", "properties": {"x": {"type": "enum"}}}}
    answer = post(standin, "generateContent", ask("?", tools=[{"functionDeclarations": [tool]}]))

    assert answer.status_code == 400
    assert "enum" in answer.json()["error"]["message"]


def test_the_tool_configuration_is_respected(standin):
    tools = [{"functionDeclarations": [{"name": name, "parameters": {"type": "OBJECT"}} for name in "AB"]}]

    def called(choice):
        body = ask("?", tools=tools, toolConfig={"functionCallingConfig": choice})
        parts = post(standin, "generateContent", body).json()["candidates"][0]["content"]["parts"]
        return [part["functionCall"]["name"] for part in parts if "functionCall" in part]

    assert called({"mode": "AUTO"}) == ["A", "B"]
    assert called({"mode": "ANY", "allowedFunctionNames": ["B"]}) == ["B"]
    assert called({"mode": "NONE"}) == []


@pytest.mark.parametrize("write", [str.upper, str.lower], ids=["upper case", "lower case"])
def test_googles_schemas_get_valid_arguments(standin, write):
    parameters = {
        "type": write("object"),
        "properties": {
            "days": {"type": write("array"), "items": {"type": write("integer")}, "minItems": "2"},
            "unit": {"type": write("string"), "enum": ["imperial", "metric"]},
            "when": {"anyOf": [{"type": write("string"), "format": "date"}, {"type": write("integer")}]},
        },
        "required": ["days", "unit", "when"],
    }
    body = ask("?", tools=[{"functionDeclarations": [{"name": "Forecast", "parameters": parameters}]}])

    answer = post(standin, "generateContent", body).json()

    call = answer["candidates"][0]["content"]["parts"][0]["functionCall"]
    assert call == {
        "name": "Forecast",
        "args": {"days": [1, 2], "unit": "imperial", "when": "2025-06-15"},
    }


def test_grpc_metadata_names_the_standin_even_for_errors(standin):
    from google.cloud.aiplatform_v1beta1.types import prediction_service

    credentials = grpc.ssl_channel_credentials(standin.certificate_authority.read_bytes())
    method = "/google.cloud.aiplatform.v1beta1.PredictionService/GenerateContent"
    with grpc.secure_channel(f"localhost:{standin.grpc_port}", credentials) as channel:
        call = channel.unary_unary(
            method,
            request_serializer=prediction_service.GenerateContentRequest.serialize,
            response_deserializer=prediction_service.GenerateContentResponse.deserialize,
        )
        answer, finished = call.with_call(prediction_service.GenerateContentRequest(model=MODEL, **ask("Tell a tale")))
        with pytest.raises(grpc.RpcError) as failure:
            call(prediction_service.GenerateContentRequest(model=MODEL, **ask("Break")))

    assert answer.candidates[0].content.parts[0].text == "Once upon a time"
    assert failure.value.code() is grpc.StatusCode.UNAVAILABLE
    for metadata in (dict(finished.initial_metadata()), dict(failure.value.initial_metadata())):
        assert metadata[STANDIN_HEADER] == HOST
        assert metadata["x-goog-organization"] == GOOGLE_ORGANIZATION
        assert metadata["x-goog-user-project"] == GOOGLE_PROJECT
        assert GOOGLE_COOKIE in metadata["set-cookie"]


def test_the_error_for_an_unknown_grpc_method_lists_the_supported_ones(standin):
    credentials = grpc.ssl_channel_credentials(standin.certificate_authority.read_bytes())
    method = "/google.cloud.aiplatform.v1.PredictionService/Predict"
    with (
        grpc.secure_channel(f"localhost:{standin.grpc_port}", credentials) as channel,
        pytest.raises(grpc.RpcError) as failure,
    ):
        channel.unary_unary(method)(b"")

    assert failure.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert failure.value.details() == (
        f"the stand-in does not support {method}; it supports GenerateContent and StreamGenerateContent"
    )
    assert dict(failure.value.initial_metadata())[STANDIN_HEADER] == "aiplatform.googleapis.com"
    assert standin.requests[-1].path == method


def test_both_transports_have_the_same_ids(standin):
    from google.cloud.aiplatform_v1.types import prediction_service

    with StandIn(RULES) as other:
        credentials = grpc.ssl_channel_credentials(other.certificate_authority.read_bytes())
        method = "/google.cloud.aiplatform.v1.PredictionService/GenerateContent"
        with grpc.secure_channel(f"localhost:{other.grpc_port}", credentials) as channel:
            answer = channel.unary_unary(
                method,
                request_serializer=prediction_service.GenerateContentRequest.serialize,
                response_deserializer=prediction_service.GenerateContentResponse.deserialize,
            )(prediction_service.GenerateContentRequest(model=MODEL, **ask("Ids")))
    rest = post(standin, "generateContent", ask("Ids")).json()

    assert answer.response_id == rest["responseId"]
