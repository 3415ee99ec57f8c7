"""Google's generated clients, proto-plus messages and api_core's retries, over the seam."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.api_core import exceptions, retry

from multitrack.errors import CassetteMiss
from multitrack.tape.deck import playing

MODEL = "projects/p/locations/us-central1/publishers/google/models/gemini-1.5-pro"


@pytest.fixture(scope="module")
def aiplatform():
    from google.cloud import aiplatform_v1beta1

    return aiplatform_v1beta1


@pytest.fixture
def vertex(aiplatform, authority, talk_failure):
    """A server that speaks a little of Vertex's `PredictionService`, over TLS."""
    reply = aiplatform.GenerateContentResponse

    class Vertex:
        hits = 0

        def answer(self, call, context):
            self.hits += 1
            text = call.contents[0].parts[0].text
            if text == "fail":
                talk_failure(context)
            arguments = {"location": text, "days": 3, "hours": [1.5, 2], "deep": {"none": None}}
            call = {"function_call": {"name": "Weather", "args": arguments}}
            return reply(
                candidates=[{"content": {"role": "model", "parts": [call]}, "finish_reason": "STOP"}],
                usage_metadata={"total_token_count": 7},
            )

        def stream(self, call, context):
            for _ in range(2):
                yield self.answer(call, context)

    served = Vertex()
    request = aiplatform.GenerateContentRequest
    handlers = {
        "GenerateContent": grpc.unary_unary_rpc_method_handler(served.answer, request.deserialize, reply.serialize),
        "StreamGenerateContent": grpc.unary_stream_rpc_method_handler(
            served.stream, request.deserialize, reply.serialize
        ),
    }
    certificate = authority.issue_cert("localhost")
    pair = (certificate.private_key_pem.bytes(), b"".join(pem.bytes() for pem in certificate.cert_chain_pems))
    threads = ThreadPoolExecutor(8)
    server = grpc.server(threads, options=[("grpc.so_reuseport", 0)])
    service = "google.cloud.aiplatform.v1beta1.PredictionService"
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    served.port = server.add_secure_port("localhost:0", grpc.ssl_server_credentials([pair]))
    server.start()
    served.stop = lambda: (server.stop(0).wait(), threads.shutdown())
    yield served
    served.stop()


@pytest.fixture
def client(aiplatform, vertex, authority):
    transport_class = aiplatform.PredictionServiceClient.get_transport_class("grpc")
    credentials = grpc.ssl_channel_credentials(authority.cert_pem.bytes())
    with grpc.secure_channel(f"localhost:{vertex.port}", credentials) as channel:
        yield aiplatform.PredictionServiceClient(transport=transport_class(channel=channel))


def asked(text):
    return {"model": MODEL, "contents": [{"role": "user", "parts": [{"text": text}]}]}


def record_then_replay(action, vertex, router):
    with playing(router):
        live = action()
    hits = vertex.hits
    vertex.stop()
    router.mode = "replay"
    with playing(router):
        replayed = action()
    assert vertex.hits == hits
    return live, replayed


def test_a_generated_answer_is_replayed(client, vertex, router, aiplatform):
    live, replayed = record_then_replay(lambda: client.generate_content(asked("Toronto")), vertex, router)
    assert replayed == live
    assert type(replayed) is aiplatform.GenerateContentResponse
    assert dict(replayed.candidates[0].content.parts[0].function_call.args)["days"] == 3.0
    request = router.requests[0]
    service = "google.cloud.aiplatform.v1beta1.PredictionService"
    assert request.url == f"grpc://localhost:{vertex.port}/{service}/GenerateContent"
    assert json.loads(request.body) == asked("Toronto")
    assert request.header("x-goog-request-params") == f"model={MODEL}"
    body = json.loads(router.responses[0].body)
    assert body["candidates"][0]["finishReason"] == "STOP"
    assert body["usageMetadata"] == {"totalTokenCount": 7}


def test_a_generated_stream_is_replayed(client, vertex, router):
    def watched():
        stream = client.stream_generate_content(asked("Toronto"))
        return [type(chunk).to_dict(chunk) for chunk in stream], stream.code()

    live, replayed = record_then_replay(watched, vertex, router)
    assert replayed == live
    assert len(replayed[0]) == 2
    assert len(json.loads(router.responses[0].body)) == 2


@pytest.mark.parametrize("method", ["generate_content", "stream_generate_content"])
def test_an_exhausted_quota_has_its_name_and_details(method, client, vertex, router):
    def failure():
        with pytest.raises(exceptions.ResourceExhausted) as caught:
            getattr(client, method)(asked("fail"))
        violation = caught.value.details[0].violations[0]
        return caught.value.message, caught.value.grpc_status_code, violation.subject, violation.description

    live, replayed = record_then_replay(failure, vertex, router)
    assert replayed == live
    assert replayed[2:] == ("model", "10 per minute")


def test_retries_see_each_recorded_attempt(client, router):
    again = retry.Retry(predicate=retry.if_exception_type(exceptions.ResourceExhausted), initial=0.01, timeout=0.2)

    def attempts():
        before = len(router.requests)
        with pytest.raises(exceptions.RetryError) as caught:
            client.generate_content(asked("fail"), retry=again)
        assert isinstance(caught.value.cause, exceptions.ResourceExhausted)
        return len(router.requests) - before

    with playing(router):
        recorded = attempts()
    assert recorded > 1
    # more attempts fit into the same time on replay: the recording must last
    for answers in router.answers.values():
        answers.extend(list(answers) * 50)
    router.mode = "replay"
    with playing(router):
        assert attempts() > 1


def test_a_miss_passes_every_layer_at_once(client, vertex, router):
    router.mode = "replay"
    anything = retry.Retry(predicate=retry.if_exception_type(Exception), initial=0.1, timeout=5)
    started = time.monotonic()
    with playing(router):
        for method in (client.generate_content, client.stream_generate_content):
            with pytest.raises(CassetteMiss, match="nothing recorded for POST grpc://"):
                method(asked("unseen"), retry=anything)
    assert time.monotonic() - started < 0.1
    assert len(router.requests) == 2
    assert vertex.hits == 0


def test_a_client_works_live_before_and_after_a_tape(client, vertex, router):
    assert client.generate_content(asked("before")).usage_metadata.total_token_count == 7
    with playing(router):
        client.generate_content(asked("recorded"))
    router.mode = "replay"
    with playing(router):
        client.generate_content(asked("recorded"))
    assert client.generate_content(asked("after")).usage_metadata.total_token_count == 7
    assert vertex.hits == 3
    assert len(router.requests) == 2
