"""Streams and later turns in every wire format: gates, breaks and clients that disconnect."""

import json
import time
from contextlib import contextmanager
from threading import Timer

import grpc
import httpx
import pytest

from multitrack.standin import Rule, ScriptedCall, ScriptedError, StandIn, stream_gates

CALLS = [ScriptedCall("First", {"number": 1}, gate="first"), ScriptedCall("Second", {"number": 2}, gate="second")]
RULES = [
    Rule(prompt="Gated calls", calls=CALLS, delta_size=4),
    Rule(prompt="Gated end", calls=[ScriptedCall("First", {"number": 1})], gate="end"),
    Rule(prompt="Gated text", text="Once upon a time", gate="end"),
    Rule(prompt="Closed", calls=[ScriptedCall("First"), ScriptedCall("Second")], close=True, after_calls=1),
    Rule(prompt="Closed at the end", calls=[ScriptedCall("First"), ScriptedCall("Second")], close=True, after_calls=2),
    Rule(
        prompt="Failed",
        calls=[ScriptedCall("First"), ScriptedCall("Second", gate="second")],
        error=ScriptedError(status=503, message="Overloaded"),
        after_calls=1,
    ),
    Rule(prompt="Cut up", calls=[ScriptedCall("First"), ScriptedCall("Second", gate="second")], chunk_size=7),
    Rule(prompt="Again", turn=0, calls=[ScriptedCall("First", {"number": 0}), ScriptedCall("Second", {"number": 2})]),
    Rule(prompt="Again", turn=1, contains="too small", calls=[ScriptedCall("First", {"number": 1})]),
    Rule(prompt="Again", turn=2, text="Done"),
]
GENERATE = "/v1beta/models/gemini-2.0-flash"
GRPC = "/google.cloud.aiplatform.v1.PredictionService/"


def chat(prompt, *more, **options):
    return {"model": "m", "messages": [{"role": "user", "content": prompt}, *more], **options}


def responses(prompt, *more, **options):
    return {"model": "m", "input": [{"role": "user", "content": prompt}, *more], **options}


def gemini(prompt, *more):
    return {"contents": [{"role": "user", "parts": [{"text": prompt}]}, *more]}


HTTP = {
    "chat": ("/v1/chat/completions", lambda prompt: chat(prompt, stream=True)),
    "responses": ("/v1/responses", lambda prompt: responses(prompt, stream=True)),
    "gemini events": (f"{GENERATE}:streamGenerateContent?alt=sse", gemini),
    "gemini array": (f"{GENERATE}:streamGenerateContent", gemini),
}


@pytest.fixture(scope="module")
def standin(starts_server):
    with StandIn(RULES) as standin:
        yield standin


@pytest.fixture(params=[*HTTP, "gemini grpc"])
def wire(request):
    return request.param


@contextmanager
def open_stream(standin, wire, prompt):
    """Yield an iterator over the bytes of the streamed answer to ``prompt``."""
    if wire == "gemini grpc":
        with open_channel(standin) as grpc_channel:
            yield iter(build_method(grpc_channel.unary_stream, "StreamGenerateContent")(gemini(prompt)))
        return
    path, body = HTTP[wire]
    url = f"{standin.proxy_url}{path}"
    with httpx.stream("POST", url, json=body(prompt), timeout=20, trust_env=False) as answer:
        assert answer.status_code == 200
        yield answer.iter_raw()


def open_channel(standin):
    credentials = grpc.ssl_channel_credentials(standin.certificate_authority.read_bytes())
    return grpc.secure_channel(f"localhost:{standin.grpc_port}", credentials)


def build_method(kind, method):
    from google.cloud.aiplatform_v1.types import prediction_service
    from google.protobuf.json_format import ParseDict

    def serialize(body):
        return ParseDict(body, prediction_service.GenerateContentRequest.pb()()).SerializeToString()

    return kind(GRPC + method, request_serializer=serialize)


def wait_for_texts(pieces, *texts):
    """Read the stream, and yield the number of each of the ``texts`` when it arrives."""
    arrived = b""
    for number, text in enumerate(texts):
        while text not in arrived:
            arrived += next(pieces)
        yield number


def read_until_break(standin, wire, prompt):
    """Return the bytes of an answer that breaks off, and the error of the transport or None."""
    arrived = b""
    try:
        with open_stream(standin, wire, prompt) as pieces:
            for piece in pieces:
                arrived += piece
    except (httpx.RemoteProtocolError, grpc.RpcError) as error:
        return arrived, error
    return arrived, None


def open_later(standin, gate):
    """Open the gate after 0.15 seconds. The returned list is empty before that and has the gate's name after it."""
    opened = []

    def open_it():
        opened.append(gate)
        standin.open(gate)

    Timer(0.15, open_it).start()
    return opened


def test_a_call_waits_at_its_gate(standin, wire):
    with open_stream(standin, wire, "Gated calls") as pieces:
        arrived = wait_for_texts(pieces, b"First", b"Second")
        first = open_later(standin, "first")
        next(arrived)
        assert first == ["first"]
        second = open_later(standin, "second")
        next(arrived)
        assert second == ["second"]


@pytest.mark.parametrize("prompt", ["Gated end", "Gated text"])
def test_the_end_of_a_stream_waits_at_the_gate_of_the_answer(standin, wire, prompt):
    # Over gRPC the end is field 3 of the candidate, finish_reason, with the value STOP.
    ends = {"chat": b"[DONE]", "responses": b"response.completed", "gemini grpc": b"\x18\x01"}
    with open_stream(standin, wire, prompt) as pieces:
        opened = open_later(standin, "end")
        for _ in wait_for_texts(pieces, ends.get(wire, b'"STOP"')):
            assert opened == ["end"]


def test_a_stream_with_small_chunks_waits_at_the_same_call(standin):
    with open_stream(standin, "chat", "Cut up") as pieces:
        opened = open_later(standin, "second")
        arrived = b""
        for piece in pieces:
            assert len(piece) <= 7
            arrived += piece
            assert opened or b"Second" not in arrived
    assert arrived.endswith(b"data: [DONE]\n\n")


def test_an_answer_that_is_not_streamed_waits_at_all_of_its_gates(standin):
    first, second = open_later(standin, "first"), open_later(standin, "second")
    answer = httpx.post(f"{standin.openai_base_url}/chat/completions", json=chat("Gated calls"), trust_env=False)
    assert first == ["first"]
    assert second == ["second"]
    assert len(answer.json()["choices"][0]["message"]["tool_calls"]) == 2


def test_a_gate_can_be_opened_before_the_request(standin, wire):
    standin.open("end")
    with open_stream(standin, wire, "Gated text") as pieces:
        assert b"Once" in b"".join(pieces)


def test_a_gate_that_is_not_opened_breaks_off_the_answer(standin, wire, monkeypatch):
    monkeypatch.setattr(stream_gates, "TIMEOUT_SECONDS", 0.1)
    arrived, error = read_until_break(standin, wire, "Gated end")
    assert b"First" in arrived
    assert error is not None


@pytest.mark.parametrize(("prompt", "held_back"), [("Closed", b"Second"), ("Closed at the end", b"STOP")])
def test_a_connection_can_be_closed_between_calls(standin, wire, prompt, held_back):
    arrived, error = read_until_break(standin, wire, prompt)
    assert error is not None
    assert b"First" in arrived
    assert held_back not in arrived
    assert b"[DONE]" not in arrived


def test_an_error_between_calls_waits_at_the_gate_of_the_call_it_replaces(standin, wire):
    opened = open_later(standin, "second")
    arrived, error = read_until_break(standin, wire, "Failed")
    assert opened
    assert b"First" in arrived
    assert b"Second" not in arrived
    if wire == "gemini grpc":
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert error.details() == "Overloaded"
    else:
        assert error is None
        assert b"Overloaded" in arrived


def test_each_wire_format_has_its_own_error_format(standin):
    def last(wire):
        standin.open("second")
        with open_stream(standin, wire, "Failed") as pieces:
            return b"".join(pieces).decode().strip().split("\n\n")[-1]

    assert json.loads(last("chat").removeprefix("data: ")) == {
        "error": {"message": "Overloaded", "type": "server_error", "param": None, "code": None}
    }
    name, data = last("responses").split("\n")
    assert name == "event: error"
    event = json.loads(data.removeprefix("data: "))
    assert event == {
        "type": "error",
        "sequence_number": event["sequence_number"],
        "code": None,
        "message": "Overloaded",
        "param": None,
    }
    error = {"error": {"code": 503, "message": "Overloaded", "status": "UNAVAILABLE"}}
    assert json.loads(last("gemini events").split("\r\n\r\n")[-1].removeprefix("data: ")) == error
    assert json.loads(last("gemini array"))[-1] == error


def test_a_client_that_disconnects_early_is_logged_as_abandoned(standin, wire):
    before = len(standin.abandoned)
    with open_stream(standin, wire, "Gated end") as pieces:
        for _ in wait_for_texts(pieces, b"First"):
            pass
        assert len(standin.abandoned) == before
        disconnected = time.monotonic()
    while len(standin.abandoned) == before:
        assert time.monotonic() < disconnected + 5
        time.sleep(0.005)
    assert standin.abandoned[-1] == standin.requests[-1]


def test_a_client_that_reads_to_the_end_is_not_logged_as_abandoned(standin, wire):
    before = standin.abandoned
    standin.open("end")
    with open_stream(standin, wire, "Gated text") as pieces:
        list(pieces)
    assert standin.abandoned == before


def build_ask(standin, path):
    def ask(body):
        answer = httpx.post(f"{standin.proxy_url}{path}", json=body, trust_env=False)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return ask


def test_a_later_turn_of_a_chat_gets_its_own_answer(standin):
    ask = build_ask(standin, "/v1/chat/completions")
    messages = []
    for result in ("too small", "accepted"):
        message = ask(chat("Again", *messages))["choices"][0]["message"]
        messages.append(message)
        messages += [{"role": "tool", "tool_call_id": call["id"], "content": result} for call in message["tool_calls"]]
    assert [len(message.get("tool_calls", ())) for message in messages if message["role"] == "assistant"] == [2, 1]
    assert ask(chat("Again", *messages))["choices"][0]["message"]["content"] == "Done"


@pytest.mark.parametrize("stored", [True, False])
def test_a_later_turn_of_responses_gets_its_own_answer(standin, stored):
    ask = build_ask(standin, "/v1/responses")
    response = ask(responses("Again", store=stored))
    messages = []
    for result, calls in (("too small", 2), ("accepted", 1)):
        assert len(response["output"]) == calls
        outputs = [
            {"type": "function_call_output", "call_id": item["call_id"], "output": result}
            for item in response["output"]
        ]
        messages += [*response["output"], *outputs]
        if stored:
            response = ask({"model": "m", "input": outputs, "previous_response_id": response["id"]})
        else:
            response = ask(responses("Again", *messages, store=False))
    assert response["output"][0]["content"][0]["text"] == "Done"


@pytest.mark.parametrize("model", ["gemini-2.0-flash", "gemini-3-pro"])
def test_a_later_turn_of_gemini_gets_its_own_answer(standin, model):
    ask = build_ask(standin, f"/v1beta/models/{model}:generateContent")
    messages = []
    for result in ("too small", "accepted"):
        content = ask(gemini("Again", *messages))["candidates"][0]["content"]
        names = [part["functionCall"]["name"] for part in content["parts"]]
        results = [{"functionResponse": {"name": name, "response": {"error": result}}} for name in names]
        messages += [content, {"role": "user", "parts": results}]
    assert [len(content["parts"]) for content in messages] == [2, 2, 1, 1]
    assert ask(gemini("Again", *messages))["candidates"][0]["content"]["parts"] == [{"text": "Done"}]


def test_a_later_turn_over_grpc_gets_its_own_answer(standin):
    from google.cloud.aiplatform_v1.types import prediction_service

    with open_channel(standin) as grpc_channel:
        ask = build_method(grpc_channel.unary_unary, "GenerateContent")
        first = prediction_service.GenerateContentResponse.deserialize(ask(gemini("Again")))
        calls = [part.function_call for part in first.candidates[0].content.parts]
        said = {"role": "model", "parts": [{"functionCall": {"name": call.name}} for call in calls]}
        results = [{"functionResponse": {"name": call.name, "response": {"error": "too small"}}} for call in calls]
        second = prediction_service.GenerateContentResponse.deserialize(
            ask(gemini("Again", said, {"role": "user", "parts": results}))
        )
    assert [call.name for call in calls] == ["First", "Second"]
    assert [dict(part.function_call.args) for part in second.candidates[0].content.parts] == [{"number": 1}]
