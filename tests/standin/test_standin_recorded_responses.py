"""Recorded responses, sent again by the stand-in."""

import json
from urllib.parse import urlsplit

import httpx
import openai
import pytest
from corpora import OPENLLMETRY, load_corpus

from multitrack.standin import GOOGLE_COOKIE, OPENAI_COOKIE, STANDIN_HEADER, Rule, ScriptError, StandIn

URL = "https://api.openai.com/v1/chat/completions"


def build_record(body, answer, **more):
    return {
        "method": "POST",
        "uri": URL,
        "status": 200,
        "request_body": body,
        "response_headers": {"content-type": "application/json"},
        "response_body": answer,
        **more,
    }


def write_records(path, *records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return path


def post(standin, body, path="/v1/chat/completions"):
    return httpx.post(f"{standin.proxy_url}{path}", json=body, trust_env=False)


@pytest.mark.slow
def test_equal_requests_get_recorded_responses_in_file_order_and_then_rules(tmp_path):
    body = {"model": "m", "messages": [{"role": "user", "content": "Go"}]}
    answers = write_records(
        tmp_path / "answers.jsonl", build_record(body, "1"), build_record({"other": 1}, "2"), build_record(body, "3")
    )

    with StandIn([Rule(body=4)], answers=answers) as standin:
        received = [post(standin, dict(reversed(body.items()))).text for _ in range(3)]

    assert received == ["1", "3", "4"]


@pytest.mark.slow
def test_recorded_errors_and_streams_are_replayed(tmp_path):
    events = "data: {}\r\n\r\ndata: [DONE]\n\n"
    answers = write_records(
        tmp_path / "answers.jsonl",
        build_record({"n": 1}, '{"error": {}}', status=404),
        build_record({"n": 2}, events, response_headers={"content-type": "text/event-stream"}),
    )

    with StandIn(answers=answers) as standin:
        error, stream = post(standin, {"n": 1}), post(standin, {"n": 2})

    assert error.status_code == 404
    assert error.json() == {"error": {}}
    assert stream.text == events
    assert stream.headers["transfer-encoding"] == "chunked"


@pytest.mark.slow
def test_the_host_of_a_recorded_response_is_served_and_named(tmp_path):
    uri = "https://api.groq.com/openai/v1/chat/completions"
    path = write_records(tmp_path / "answers.jsonl", build_record({"n": 1}, "{}", uri=uri))

    with (
        StandIn(answers=path) as standin,
        httpx.Client(proxy=standin.proxy_url, verify=trust_context(standin)) as client,
    ):
        answer = client.post(uri, json={"n": 1})

    assert answer.headers[STANDIN_HEADER] == "api.groq.com"
    assert OPENAI_COOKIE in answer.headers["set-cookie"]


def trust_context(standin):
    import ssl

    return ssl.create_default_context(cafile=str(standin.certificate_authority))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "{}\n",
            "line 1: missing method, uri, status, request_body, response_headers, response_body; each line requires ",
        ),
        ("\n{\n", "line 2: not valid JSON: "),
    ],
)
def test_a_file_with_mistakes_is_rejected(tmp_path, text, message):
    path = tmp_path / "answers.jsonl"
    path.write_text(text, "utf-8")

    with pytest.raises(ScriptError) as failure:
        StandIn(answers=path)

    assert str(failure.value).startswith(f"{path}, {message}")


def test_a_missing_file_is_rejected(tmp_path):
    with pytest.raises(ScriptError, match=r"none\.jsonl: cannot read the recorded responses: "):
        StandIn(answers=tmp_path / "none.jsonl")


@pytest.mark.slow
def test_recorded_responses_are_replayed_over_grpc(tmp_path):
    import grpc
    from google.cloud.aiplatform_v1.types import prediction_service

    method = "/google.cloud.aiplatform.v1.PredictionService/GenerateContent"
    model = "projects/p/locations/europe-west4/publishers/google/models/gemini"
    uri = f"grpc://europe-west4-aiplatform.googleapis.com{method}"
    answer = {"candidates": [{"content": {"role": "model", "parts": [{"text": "Recorded"}]}}]}
    error = {"error": {"code": 404, "message": "No such model", "status": "NOT_FOUND"}}
    path = write_records(
        tmp_path / "answers.jsonl",
        build_record({"model": model}, json.dumps(answer), uri=uri),
        build_record({"model": model}, json.dumps(error), uri=uri, status=404),
    )

    with StandIn(answers=path) as standin:
        credentials = grpc.ssl_channel_credentials(standin.certificate_authority.read_bytes())
        with grpc.secure_channel(f"127.0.0.1:{standin.grpc_port}", credentials) as channel:
            call = channel.unary_unary(
                method,
                request_serializer=prediction_service.GenerateContentRequest.serialize,
                response_deserializer=prediction_service.GenerateContentResponse.deserialize,
            )
            request = prediction_service.GenerateContentRequest(model=model)
            played, finished = call.with_call(request)
            with pytest.raises(grpc.RpcError) as failure:
                call(request)

    assert played.candidates[0].content.parts[0].text == "Recorded"
    metadata = dict(finished.initial_metadata())
    assert metadata[STANDIN_HEADER] == "europe-west4-aiplatform.googleapis.com"
    assert GOOGLE_COOKIE in metadata["set-cookie"]
    assert failure.value.code() is grpc.StatusCode.NOT_FOUND
    assert failure.value.details() == "No such model"


@pytest.mark.slow
def test_the_whole_corpus_is_replayed_unchanged():
    with StandIn(answers=OPENLLMETRY) as standin, httpx.Client(trust_env=False) as client:
        for each in load_corpus(OPENLLMETRY):
            url = urlsplit(each["uri"])
            content = None if each["request_body"] is None else json.dumps(each["request_body"])
            answer = client.request(each["method"], f"{standin.proxy_url}{url.path}?{url.query}", content=content)
            assert answer.status_code == each["status"], each["id"]
            assert answer.content.decode() == each["response_body"], each["id"]
            assert answer.headers[STANDIN_HEADER] == url.hostname


@pytest.mark.slow
def test_the_real_sdk_reads_a_recorded_stream():
    recorded = next(
        each
        for each in load_corpus(OPENLLMETRY)
        if each["wire"] == "openai.chat.stream" and len(each["expected"]) == 1 and each["uri"] == URL
    )

    with (
        StandIn(answers=OPENLLMETRY) as standin,
        openai.OpenAI(base_url=standin.openai_base_url, api_key="any") as client,
    ):
        chunks = list(client.chat.completions.create(**recorded["request_body"]))

    parts = [part for chunk in chunks for choice in chunk.choices for part in choice.delta.tool_calls or ()]
    assert parts[0].function.name == recorded["expected"][0]["name"]
    assert json.loads("".join(part.function.arguments or "" for part in parts)) == recorded["expected"][0]["arguments"]
