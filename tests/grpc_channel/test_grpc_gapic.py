"""Google's generated clients, sync and async, with proto-plus messages and the wrappers of api_core."""

from __future__ import annotations

import asyncio
import gc
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import grpc
import pytest
from google.api_core import exceptions, retry

from multitrack.errors import CassetteMiss
from multitrack.tape.active import activate
from multitrack.tape.chunks import Chunks
from multitrack.tape.file import storage
from multitrack.tape.use_cassette import use_cassette

ENDPOINT = "projects/p/locations/us-central1/endpoints/e"
MODEL = "projects/p/locations/us-central1/publishers/google/models/gemini-1.5-pro"


@pytest.fixture(scope="module")
def aiplatform():
    from google.cloud import aiplatform_v1beta1

    return aiplatform_v1beta1


@pytest.fixture
def vertex(starts_server, aiplatform, authority, talk_failure):
    """A server with some methods of Vertex's ``PredictionService``, over TLS."""
    reply = aiplatform.GenerateContentResponse

    class VertexServer:
        hits = 0

        def generate(self, call, context):
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
                yield self.generate(call, context)

        def talk(self, calls, context):
            self.hits += 1
            for call in calls:
                if call.inputs[0].string_val[0] == "fail":
                    talk_failure(context)
                yield aiplatform.StreamDirectPredictResponse(outputs=call.inputs)

    server_methods = VertexServer()
    request = aiplatform.GenerateContentRequest
    handlers = {
        "GenerateContent": grpc.unary_unary_rpc_method_handler(
            server_methods.generate, request.deserialize, reply.serialize
        ),
        "StreamGenerateContent": grpc.unary_stream_rpc_method_handler(
            server_methods.stream, request.deserialize, reply.serialize
        ),
        "StreamDirectPredict": grpc.stream_stream_rpc_method_handler(
            server_methods.talk,
            aiplatform.StreamDirectPredictRequest.deserialize,
            aiplatform.StreamDirectPredictResponse.serialize,
        ),
    }
    certificate = authority.issue_cert("localhost")
    pair = (certificate.private_key_pem.bytes(), b"".join(pem.bytes() for pem in certificate.cert_chain_pems))
    threads = ThreadPoolExecutor(8)
    server = grpc.server(threads, options=[("grpc.so_reuseport", 0)])
    service = "google.cloud.aiplatform.v1beta1.PredictionService"
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    server_methods.port = server.add_secure_port("localhost:0", grpc.ssl_server_credentials([pair]))
    server.start()
    server_methods.stop = lambda: (server.stop(0).wait(), threads.shutdown())
    yield server_methods
    server_methods.stop()


class SyncClient:
    """Calls the methods of a client, and returns all responses."""

    retry = retry.Retry

    def __init__(self, aiplatform, target, credentials, interceptors):
        transport_class = aiplatform.PredictionServiceClient.get_transport_class("grpc")
        self._channel = grpc.secure_channel(target, credentials)
        channel = grpc.intercept_channel(self._channel, *interceptors)
        self._client = aiplatform.PredictionServiceClient(transport=transport_class(channel=channel))

    def generate(self, text, **options):
        return self._client.generate_content(create_content(text), **options)

    def stream(self, text, **options):
        stream = self._client.stream_generate_content(create_content(text), **options)
        return list(stream), stream.code()

    def talk(self, texts, **options):
        return list(self._client.stream_direct_predict(iter(inputs(texts)), **options))

    def close(self):
        self._channel.close()


class AsyncClient:
    """Does the same as ``SyncClient`` with the asyncio client and its own event loop."""

    retry = retry.AsyncRetry

    def __init__(self, aiplatform, target, credentials, interceptors):
        self._runner = asyncio.Runner()
        self._runner.run(self._open(aiplatform, target, credentials, interceptors))

    async def _open(self, aiplatform, target, credentials, interceptors):
        transport_class = aiplatform.PredictionServiceAsyncClient.get_transport_class("grpc_asyncio")
        self._channel = grpc.aio.secure_channel(target, credentials, interceptors=interceptors)
        self._client = aiplatform.PredictionServiceAsyncClient(transport=transport_class(channel=self._channel))

    def generate(self, text, **options):
        return self._runner.run(self._client.generate_content(create_content(text), **options))

    def stream(self, text, **options):
        return self._runner.run(self._stream(text, options))

    async def _stream(self, text, options):
        stream = await self._client.stream_generate_content(create_content(text), **options)
        return [chunk async for chunk in stream], await stream.code()

    def talk(self, texts, **options):
        return self._runner.run(self._talk(texts, options))

    async def _talk(self, texts, options):
        async def calls():
            for call in inputs(texts):
                yield call

        return [said async for said in await self._client.stream_direct_predict(calls(), **options)]

    def close(self):
        self._runner.run(self._channel.close())
        self._runner.close()


class SigningInterceptor(grpc.UnaryUnaryClientInterceptor):
    def __init__(self):
        self.codes = []

    def intercept_unary_unary(self, continuation, client_call_details, request):
        call = continuation(client_call_details, request)
        self.codes.append(call.code())
        return call


class AsyncSigningInterceptor(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self):
        self.codes = []

    async def intercept_unary_unary(self, continuation, client_call_details, request):
        metadata = grpc.aio.Metadata(*client_call_details.metadata, ("x-signature", "s"))
        call = await continuation(client_call_details._replace(metadata=metadata), request)
        self.codes.append(await call.code())
        return call


class AsyncIteratorInterceptor(grpc.aio.UnaryStreamClientInterceptor):
    """Returns its own iterator instead of the call."""

    async def intercept_unary_stream(self, continuation, client_call_details, request):
        call = await continuation(client_call_details, request)

        async def iterate():
            async for response in call:
                yield response

        return iterate()


@pytest.fixture(params=[SyncClient, AsyncClient], ids=["sync", "async"])
def clients(request, aiplatform, vertex, authority):
    """A function that creates clients with gRPC interceptors."""
    created = []

    def make(*interceptors):
        credentials = grpc.ssl_channel_credentials(authority.cert_pem.bytes())
        created.append(request.param(aiplatform, f"localhost:{vertex.port}", credentials, interceptors))
        return created[-1]

    yield make
    for client in created:
        client.close()


@pytest.fixture
def client(clients):
    return clients()


def create_content(text):
    return {"model": MODEL, "contents": [{"role": "user", "parts": [{"text": text}]}]}


def inputs(texts):
    return [{"endpoint": ENDPOINT, "inputs": [{"dtype": "STRING", "string_val": [text]}]} for text in texts]


def record_then_replay(action, vertex, router):
    with activate(router):
        live = action()
    hits = vertex.hits
    vertex.stop()
    router.mode = "replay"
    with activate(router):
        replayed = action()
    assert vertex.hits == hits
    return live, replayed


def test_a_generated_response_is_replayed(client, vertex, router, aiplatform):
    live, replayed = record_then_replay(lambda: client.generate("Toronto"), vertex, router)
    assert replayed == live
    assert type(replayed) is aiplatform.GenerateContentResponse
    assert dict(replayed.candidates[0].content.parts[0].function_call.args)["days"] == 3.0
    request = router.requests[0]
    service = "google.cloud.aiplatform.v1beta1.PredictionService"
    assert request.url == f"grpc://localhost:{vertex.port}/{service}/GenerateContent"
    assert json.loads(request.body) == create_content("Toronto")
    assert request.header("x-goog-request-params") == f"model={MODEL}"
    body = json.loads(router.responses[0].body)
    assert body["candidates"][0]["finishReason"] == "STOP"
    assert body["usageMetadata"] == {"totalTokenCount": 7}


def test_a_generated_stream_is_replayed(client, vertex, router):
    live, replayed = record_then_replay(lambda: client.stream("Toronto"), vertex, router)
    assert replayed == live
    assert len(replayed[0]) == 2
    assert replayed[1] is grpc.StatusCode.OK
    assert len(json.loads(router.responses[0].body)) == 2


def test_a_bidirectional_call_is_replayed(client, vertex, router, aiplatform):
    live, replayed = record_then_replay(lambda: client.talk(["a", "b"]), vertex, router)
    assert replayed == live
    assert [said.outputs[0].string_val[0] for said in replayed] == ["a", "b"]
    assert type(replayed[0]) is aiplatform.StreamDirectPredictResponse
    sent = json.loads(router.requests[0].with_sent_messages.body)
    assert sent[0] == {"endpoint": ENDPOINT, "inputs": [{"dtype": "STRING", "stringVal": ["a"]}]}


def generate(client, text):
    client.generate(text)


def stream(client, text):
    client.stream(text)


def talk(client, text):
    client.talk([text])


@pytest.mark.parametrize("method", [generate, stream, talk])
def test_an_exhausted_quota_is_replayed_with_its_details(method, client, vertex, router):
    def failure():
        with pytest.raises(exceptions.ResourceExhausted) as caught:
            method(client, "fail")
        violation = caught.value.details[0].violations[0]
        return caught.value.message, caught.value.grpc_status_code, violation.subject, violation.description

    live, replayed = record_then_replay(failure, vertex, router)
    assert replayed == live
    assert replayed[2:] == ("model", "10 per minute")


def test_retries_replay_each_recorded_attempt(client, router):
    quick = client.retry(predicate=retry.if_exception_type(exceptions.ResourceExhausted), initial=0.01, timeout=0.2)

    def attempts():
        before = len(router.requests)
        with pytest.raises(exceptions.RetryError) as caught:
            client.generate("fail", retry=quick)
        assert isinstance(caught.value.cause, exceptions.ResourceExhausted)
        return len(router.requests) - before

    with activate(router):
        recorded = attempts()
    assert recorded > 1
    # more attempts fit into the same time on replay, so repeat the recorded responses
    for responses in router.stored_responses.values():
        responses.extend(list(responses) * 50)
    router.mode = "replay"
    with activate(router):
        assert attempts() > 1


@pytest.mark.parametrize("method", ["generate", "stream"])
def test_a_deadline_is_exceeded_at_the_recorded_pace(method, client, vertex, tmp_path):
    path = tmp_path / "vertex.yaml"
    with use_cassette(path, mode="record"):
        live = getattr(client, method)("Toronto")
    slow = [
        replace(interaction, response=replace(interaction.response, chunks=Chunks(gaps=(500,))))
        for interaction in storage.read(path).interactions
    ]
    storage.write(path, replace(storage.read(path), interactions=tuple(slow)))
    vertex.stop()
    with use_cassette(path, pace="recorded"), pytest.raises(exceptions.DeadlineExceeded):
        getattr(client, method)("Toronto", timeout=0.1)
    with use_cassette(path, pace="recorded"):
        assert getattr(client, method)("Toronto", timeout=5) == live
    with use_cassette(path):
        assert getattr(client, method)("Toronto", timeout=0.3) == live


@pytest.mark.parametrize("method", ["generate", "stream"])
def test_a_miss_is_raised_at_once_and_not_retried(method, client, vertex, router):
    router.mode = "replay"
    anything = client.retry(predicate=retry.if_exception_type(Exception), initial=0.1, timeout=5)
    started = time.monotonic()
    with activate(router), pytest.raises(CassetteMiss, match="nothing recorded for POST grpc://"):
        getattr(client, method)("unseen", retry=anything, timeout=5)
    assert time.monotonic() - started < 0.1
    assert len(router.requests) == 1
    assert vertex.hits == 0


def test_a_client_goes_live_before_and_after_a_tape(client, vertex, router):
    assert client.generate("before").usage_metadata.total_token_count == 7
    with activate(router):
        client.generate("recorded")
    router.mode = "replay"
    with activate(router):
        client.generate("recorded")
    assert client.generate("after").usage_metadata.total_token_count == 7
    assert vertex.hits == 3
    assert len(router.requests) == 2


@pytest.mark.parametrize("text", ["Toronto", "fail"])
def test_grpc_interceptors_see_the_same_calls_live_and_replayed(text, clients, vertex, router):
    kind = AsyncSigningInterceptor if isinstance(clients(), AsyncClient) else SigningInterceptor
    signing = kind()
    client = clients(signing, *([AsyncIteratorInterceptor()] if kind is AsyncSigningInterceptor else []))

    def call_all():
        try:
            responses = client.generate(text), client.stream(text)[0]
        except exceptions.ResourceExhausted as error:
            responses = error.message
        return responses, signing.codes.pop()

    live, replayed = record_then_replay(call_all, vertex, router)
    assert replayed == live
    if kind is AsyncSigningInterceptor:
        assert router.requests[0].header("x-signature") == "s"


# older releases of grpcio report the error of an interceptor again when its call is dropped
@pytest.mark.filterwarnings("ignore:Exception ignored in. <function InterceptedCall.__del__")
@pytest.mark.parametrize("method", [generate, stream, talk])
def test_no_interceptor_can_swallow_a_miss(method, clients, vertex, router):
    kind = AsyncSigningInterceptor if isinstance(clients(), AsyncClient) else SigningInterceptor
    client = clients(kind(), *([AsyncIteratorInterceptor()] if kind is AsyncSigningInterceptor else []))
    router.mode = "replay"
    with activate(router), pytest.raises(CassetteMiss):
        method(client, "unseen")
    gc.collect()
    assert vertex.hits == 0
