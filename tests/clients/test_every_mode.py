"""Every mode, sync and async, plain and streamed: over the network from the stand-in provider, and in this process."""

import asyncio
import gc
import json
import ssl
import time
import warnings
from collections.abc import Iterable
from contextlib import contextmanager, nullcontext
from functools import cache, partial, reduce
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from operator import or_
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote

import openai
import pytest
from corpora import BFCL, load_corpus
from pydantic import BaseModel, Field, create_model, field_validator

import multitrack
from multitrack import Extraction, Mode, errors
from multitrack.standin import GOOGLE_PROJECT, Rule, ScriptedCall, ScriptedError, StandIn
from multitrack.standin.provider import Provider
from multitrack.standin.recorded_responses import RecordedResponses
from multitrack.standin.request_log import ReceivedRequest
from multitrack.standin.script import Script

CASES = load_corpus(BFCL)


class Weather(BaseModel):
    """The weather at a place."""

    location: str
    units: Literal["imperial", "metric"]
    days: int = 1


class GoogleSearch(BaseModel):
    query: str


BOTH = Iterable[Weather | GoogleSearch]
PLAN = [
    Weather(location="Toronto", units="metric", days=3),
    Weather(location="Köln", units="imperial"),
    GoogleSearch(query="who won the super bowl"),
]
CALLS = [
    ScriptedCall("Weather", {"days": 3, "location": "Toronto", "units": "metric"}, id="call_a"),
    ScriptedCall("Weather", {"location": "Köln", "units": "imperial"}, id="call_b"),
    ScriptedCall("GoogleSearch", {"query": "who won the super bowl"}, id="call_c"),
]
GATED = [ScriptedCall(call.name, call.arguments, gate="later" if number else None) for number, call in enumerate(CALLS)]
BAD = ScriptedCall("Weather", {"location": "Köln", "units": "both"})
RULES = [
    Rule(prompt="Plan the trip", tools=["Weather", "GoogleSearch"], text="Let me look.", calls=CALLS),
    Rule(prompt="Plan it slowly", calls=GATED, gate="later", delta_size=5),
    Rule(prompt="Hang up", calls=CALLS, close=True, after_calls=2),
    Rule(prompt="Fail", calls=CALLS, error=ScriptedError(status=500, message="Overheated"), after_calls=2),
    Rule(prompt="Hurry", error=ScriptedError(status=429)),
    Rule(prompt="Plan it badly", turn=0, calls=[CALLS[0], BAD, CALLS[2]]),
    Rule(prompt="Plan it badly", turn=1, contains="Input should be 'imperial' or 'metric'", calls=[CALLS[1]]),
    *(
        Rule(
            contains=case["id"], calls=[ScriptedCall(call["safe_name"], call["arguments"]) for call in case["expected"]]
        )
        for case in CASES
    ),
]


class HttpLibrary:
    """The version of httpx that an SDK uses, with transports to the stand-in provider or within this process."""

    def __init__(self, name: str) -> None:
        self.module = import_module(name)
        self._provider = Provider(Script(RULES), RecordedResponses([]))

    def transport(self, is_async: bool, standin: StandIn | None) -> Any:
        if standin is None:
            return self.module.MockTransport(self._respond)
        transport_class = self.module.AsyncHTTPTransport if is_async else self.module.HTTPTransport
        return transport_class(
            proxy=standin.proxy_url, verify=ssl.create_default_context(cafile=str(standin.certificate_authority))
        )

    def _respond(self, request):
        body = json.loads(request.content)
        received = ReceivedRequest("http", request.method, str(request.url), (), body, request.content)
        reply = self._provider.reply_http(received)
        chunks = self._chunks(reply)

        class Stream(self.module.SyncByteStream, self.module.AsyncByteStream):
            def __iter__(self):
                return chunks

            async def __aiter__(self):
                for chunk in chunks:
                    yield chunk

        return self.module.Response(reply.status, headers=list(reply.headers), stream=Stream())

    def _chunks(self, reply):
        yield from (chunk.content for chunk in reply.chunks[: reply.closes_after])
        if reply.closes_after is not None:
            raise self.module.RemoteProtocolError("peer closed connection")


ANTHROPIC_HTTP = HttpLibrary("httpx" if find_spec("anthropic") and version("anthropic") < "1" else "httpx2")
OPENAI_HTTP = HttpLibrary("httpx2" if openai.VERSION.startswith("3") else "httpx")
GENAI_HTTP = HttpLibrary("httpx")


class Client(NamedTuple):
    """Functions that call the methods of a client with messages in OpenAI's format, and one that closes it."""

    create: Any
    create_with_completion: Any
    close: Any


def openai_client(is_async, standin, sync_class=openai.OpenAI, async_class=openai.AsyncOpenAI, **options):
    transport = OPENAI_HTTP.transport(is_async, standin)
    http_client = (OPENAI_HTTP.module.AsyncClient if is_async else OPENAI_HTTP.module.Client)(transport=transport)
    client_class = async_class if is_async else sync_class
    return client_class(api_key="key-0", max_retries=0, timeout=15, http_client=http_client, **options)


def chat(is_async, standin):
    client = openai_client(is_async, standin)
    completions = multitrack.from_openai(client, mode=Mode.PARALLEL_TOOLS).chat.completions
    methods = completions.create, completions.create_with_completion
    return Client(*(partial(method, model="gpt-4o-mini") for method in methods), client.close)


def azure(is_async, standin):
    client = openai_client(
        is_async,
        standin,
        openai.AzureOpenAI,
        openai.AsyncAzureOpenAI,
        azure_endpoint="https://harbour.openai.azure.com",
        api_version="2024-10-21",
    )
    completions = multitrack.patch(client).chat.completions
    methods = completions.create, completions.create_with_completion
    return Client(*(partial(method, model="planner") for method in methods), client.close)


def ollama(is_async, standin):
    client = openai_client(is_async, standin, base_url="http://localhost:11434/v1")
    completions = multitrack.from_openai(client).chat.completions
    methods = completions.create, completions.create_with_completion
    return Client(*(partial(method, model="qwen3") for method in methods), client.close)


def responses(is_async, standin):
    client = openai_client(is_async, standin)
    resource = multitrack.from_openai(client, mode=Mode.RESPONSES_PARALLEL_TOOLS).responses
    return Client(
        lambda messages, **arguments: resource.create(model="gpt-4o-mini", input=messages, **arguments),
        lambda messages, **arguments: resource.create_with_completion(model="gpt-4o-mini", input=messages, **arguments),
        client.close,
    )


def vertex(is_async, standin):
    del standin
    from vertexai.generative_models import GenerativeModel

    model = GenerativeModel("gemini-3-pro")
    client = multitrack.from_vertexai(model, mode=Mode.VERTEXAI_PARALLEL_TOOLS)
    if is_async:
        methods = client.create_async, client.create_with_completion_async
        return Client(*methods, lambda: model._prediction_async_client.transport.close())
    return Client(client.create, client.create_with_completion, lambda: model._prediction_client.transport.close())


def gemini(is_async, standin, **options):
    from google import genai
    from google.genai import types

    transport = GENAI_HTTP.transport(is_async, standin)
    # with a transport given, the SDK uses httpx even if aiohttp is installed
    transport_options = {("async_client_args" if is_async else "client_args"): {"transport": transport}}
    client = genai.Client(
        **(options or {"api_key": "key-0"}), http_options=types.HttpOptions(timeout=15_000, **transport_options)
    )
    extracting = multitrack.from_genai(client, mode=Mode.GENAI_PARALLEL_TOOLS, model="gemini-3-pro")
    if is_async:
        return Client(extracting.create_async, extracting.create_with_completion_async, transport.aclose)
    return Client(extracting.create, extracting.create_with_completion, transport.close)


def gemini_on_vertex(is_async, standin):
    from google.oauth2.credentials import Credentials

    # without a server, there is nothing to ask for a token
    credentials = Credentials("token-0") if standin is None else None
    return gemini(
        is_async, standin, vertexai=True, project=GOOGLE_PROJECT, location="us-central1", credentials=credentials
    )


def anthropic(is_async, standin, platform="Anthropic", **options):
    import anthropic as sdk

    transport = ANTHROPIC_HTTP.transport(is_async, standin)
    http_client = (ANTHROPIC_HTTP.module.AsyncClient if is_async else ANTHROPIC_HTTP.module.Client)(transport=transport)
    client_class = getattr(sdk, f"Async{platform}" if is_async else platform)
    options = options or {"api_key": "key-0"}
    client = client_class(max_retries=0, timeout=15, http_client=http_client, **options)
    resource = multitrack.from_anthropic(client, mode=Mode.ANTHROPIC_PARALLEL_TOOLS).messages

    def call(method, messages, **arguments):
        *system, user = messages
        return method(
            model="claude-sonnet-5",
            max_tokens=1024,
            system="\n".join(message["content"] for message in system),
            messages=[user],
            **arguments,
        )

    methods = resource.create, resource.create_with_completion
    return Client(*(partial(call, method) for method in methods), client.close)


def anthropic_on_bedrock(is_async, standin):
    return anthropic(
        is_async, standin, "AnthropicBedrock", aws_region="eu-west-1", aws_access_key="A", aws_secret_key="B"
    )


def anthropic_on_vertex(is_async, standin):
    return anthropic(
        is_async, standin, "AnthropicVertex", region="us-east5", project_id=GOOGLE_PROJECT, access_token="token-0"
    )


def bedrock(is_async, standin):
    import boto3
    from botocore.config import Config

    if is_async:
        pytest.skip("boto3 has no asynchronous client")
    client = boto3.client(
        "bedrock-runtime",
        region_name="eu-west-1",
        aws_access_key_id="A",
        aws_secret_access_key="B",
        verify=str(standin.certificate_authority),
        config=Config(proxies={"https": standin.proxy_url}, retries={"total_max_attempts": 1}),
    )
    extracting = multitrack.from_bedrock(client, mode=Mode.BEDROCK_PARALLEL_TOOLS)

    def call(method, messages, **arguments):
        *system, user = messages
        return method(
            modelId="amazon.nova-pro-v1:0",
            system=[{"text": message["content"]} for message in system],
            messages=[{"role": "user", "content": [{"text": user["content"]}]}],
            **arguments,
        )

    methods = extracting.create, extracting.create_with_completion
    return Client(*(partial(call, method) for method in methods), client.close)


MODES = {
    "anthropic": anthropic,
    "anthropic on bedrock": anthropic_on_bedrock,
    "anthropic on vertex": anthropic_on_vertex,
    "bedrock": bedrock,
    "chat": chat,
    "azure": azure,
    "ollama": ollama,
    "responses": responses,
    "vertex grpc": vertex,
    "vertex rest": vertex,
    "gemini": gemini,
    "gemini on vertex": gemini_on_vertex,
}
HTTPX_MODES = [mode for mode in MODES if mode != "bedrock" and not mode.startswith("vertex ")]

VERTEX_HOST = "us-central1-aiplatform.googleapis.com"
VERTEX_MODEL = f"projects/{GOOGLE_PROJECT}/locations/us-central1/publishers/google/models/gemini-3-pro"
GRPC_METHOD = f"grpc://{VERTEX_HOST}/google.cloud.aiplatform.v1.PredictionService/GenerateContent"
# the version of the Gemini API that the SDK requests
GEMINI_VERSION = "v1beta" if version("google-genai") < "3" else "v1"
URLS = {
    "anthropic": "https://api.anthropic.com/v1/messages",
    "anthropic on bedrock": "https://bedrock-runtime.eu-west-1.amazonaws.com/model/claude-sonnet-5/invoke",
    "anthropic on vertex": (
        f"https://us-east5-aiplatform.googleapis.com/v1/projects/{GOOGLE_PROJECT}/locations/us-east5/"
        "publishers/anthropic/models/claude-sonnet-5:rawPredict"
    ),
    "bedrock": "https://bedrock-runtime.eu-west-1.amazonaws.com/model/amazon.nova-pro-v1:0/converse",
    "chat": "https://api.openai.com/v1/chat/completions",
    "azure": "https://harbour.openai.azure.com/openai/deployments/planner/chat/completions",
    "responses": "https://api.openai.com/v1/responses",
    "vertex grpc": GRPC_METHOD,
    "vertex rest": f"https://{VERTEX_HOST}/v1/{VERTEX_MODEL}:generateContent",
    "gemini": f"https://generativelanguage.googleapis.com/{GEMINI_VERSION}/models/gemini-3-pro:generateContent",
    "gemini on vertex": f"https://{VERTEX_HOST}/v1beta1/{VERTEX_MODEL}:generateContent",
}


MODES_WITH_STREAM_IN_BODY = ("chat", "azure", "responses", "anthropic", "anthropic on vertex")


class Cell:
    """One combination under test: a client of one mode, with plain functions for sync and async clients."""

    def __init__(self, mode, client, runner):
        self.mode = mode
        self.client = client
        self.runner = runner

    @property
    def has_call_ids(self):
        """True if its calls have ids, which v1 of the Vertex AI API does not have."""
        return not self.mode.startswith("vertex ")

    def ask(
        self,
        prompt,
        response_model=BOTH,
        system=("You must always use tools",),
        method="create",
        **arguments,
    ):
        messages = [{"role": "system", "content": text} for text in system] + [{"role": "user", "content": prompt}]
        created = getattr(self.client, method)(messages=messages, response_model=response_model, **arguments)
        return self.runner.run(created) if self.runner else created

    def next(self, stream):
        return self.runner.run(_next(stream)) if self.runner else next(stream)

    def remaining(self, stream):
        return self.runner.run(_remaining(stream)) if self.runner else list(stream)

    def wait(self):
        """Wait a moment, and let asynchronous tasks run."""
        if self.runner:
            self.runner.run(asyncio.sleep(0.005))
        else:
            time.sleep(0.005)

    def first_in_with_block(self, stream):
        if self.runner:
            return self.runner.run(_first_in_with_block(stream))
        with stream:
            return next(stream)

    def extract(self, prompt, response_model=BOTH, *, stream=False, **arguments) -> Extraction:
        """Return the extraction, through a stream if ``stream`` is true."""
        if not stream:
            return self.ask(prompt, response_model, **arguments)
        if self.mode in ("chat", "azure", "ollama"):
            arguments["stream_options"] = {"include_usage": True}
        extraction_stream = self.ask(prompt, response_model, stream=True, **arguments)
        models = self.remaining(extraction_stream)
        assert extraction_stream.extraction == models
        return extraction_stream.extraction


async def _next(stream):
    return await anext(stream)


async def _remaining(stream):
    return [model async for model in stream]


async def _first_in_with_block(stream):
    async with stream:
        return await anext(stream)


async def _close(client):
    await client.close()


@pytest.fixture(scope="module")
def standin(starts_server):
    with StandIn(RULES) as standin:
        yield standin


@contextmanager
def standin_environment(standin):
    """Set the environment variables through which clients find the stand-in provider and its Google credentials."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in standin.environment.items():
            environment.setenv(name, value)
        yield environment


@contextmanager
def vertexai_environment(standin, transport):
    """Make Vertex AI's SDK connect to the stand-in provider, and restore its configuration afterwards."""
    import grpc
    from google.cloud.aiplatform import initializer

    with standin_environment(standin) as environment, warnings.catch_warnings():
        # the SDK warns on import, and for each model, that it will be removed
        warnings.simplefilter("ignore")
        import vertexai

        before = dict(vars(initializer.global_config))
        # gRPC reads its default certificate authorities only once in a process
        trusted = grpc.ssl_channel_credentials(standin.certificate_authority.read_bytes())
        environment.setattr(grpc, "ssl_channel_credentials", lambda: trusted)
        environment.setattr(
            grpc,
            "compute_engine_channel_credentials",
            lambda call_credentials: grpc.composite_channel_credentials(trusted, call_credentials),
        )
        vertexai.init(project=GOOGLE_PROJECT, location="us-central1", api_transport=transport)
        yield
        vars(initializer.global_config).clear()
        vars(initializer.global_config).update(before)


@pytest.fixture(params=["sync", "async"])
def runner(request):
    """Runs coroutines; None for a sync client."""
    if request.param == "sync":
        yield None
        return
    with asyncio.Runner() as runner:
        yield runner


def place_param(mode, where):
    modules = {
        "anthropic": ("anthropic",),
        "anthropic on bedrock": ("anthropic", "boto3"),
        "anthropic on vertex": ("anthropic",),
        "bedrock": ("boto3",),
        "responses": ("openai", "openai.resources.responses"),
        "gemini": ("google", "google.genai"),
        "gemini on vertex": ("google", "google.genai"),
    }
    missing = next((name for name in modules.get(mode, ()) if find_spec(name) is None), None)
    marks = [pytest.mark.skipif(missing is not None, reason=f"{missing} is not installed")]
    if where == "network":
        marks.append(pytest.mark.slow)
    return pytest.param((mode, where), id=f"{mode}-{where}", marks=marks)


# Ollama has no host name of its own, so the stand-in provider's proxy cannot imitate it
NETWORK = [place_param(mode, "network") for mode in MODES if mode != "ollama"]
PROCESS = [place_param(mode, "process") for mode in HTTPX_MODES]


@pytest.fixture(params=[*NETWORK, *PROCESS])
def place(request):
    return request.param


@pytest.fixture
def cell(request, place, runner):
    mode, where = place
    # Within the process, no server is started.
    standin = request.getfixturevalue("standin") if where == "network" else None
    if standin is None:
        environment = nullcontext()
    elif not mode.startswith("vertex "):
        environment = standin_environment(standin)
    else:
        environment = vertexai_environment(standin, mode.removeprefix("vertex "))
    with environment:
        client = MODES[mode](runner is not None, standin)
        yield Cell(mode, client, runner)
        if runner:
            runner.run(_close(client))
        else:
            client.close()


@pytest.fixture(params=["plain", "stream"])
def stream(request):
    return request.param == "stream"


def test_parallel_calls_become_models(cell, stream):
    extraction = cell.extract("Plan the trip", stream=stream)
    assert extraction == PLAN
    assert [(call.index, call.name, json.loads(call.arguments)) for call in extraction.calls] == [
        (number, call.name, call.arguments) for number, call in enumerate(CALLS)
    ]
    assert [call.id for call in extraction.calls] == [call.id if cell.has_call_ids else None for call in CALLS]
    assert extraction.text == "Let me look."
    usage = extraction.usage
    if cell.mode == "bedrock":
        total = usage["totalTokens"]
    elif hasattr(usage, "output_tokens"):
        total = usage.input_tokens + usage.output_tokens
    else:
        total = usage.total_tokens if hasattr(usage, "total_tokens") else usage.total_token_count
    assert total > 20
    assert extraction.errors == ()


@pytest.mark.parametrize("place", NETWORK, indirect=True)
def test_requests_go_to_the_sdks_own_url(cell, stream, standin):
    cell.extract("Plan the trip", stream=stream)
    url = URLS[cell.mode]
    if cell.mode == "vertex rest" and cell.runner:
        # the SDK has no asynchronous REST transport, and uses gRPC instead
        url = GRPC_METHOD
    if stream:
        url = url.replace("/GenerateContent", "/StreamGenerateContent").replace(":generate", ":streamGenerate")
        url = url.replace(":rawPredict", ":streamRawPredict").replace("/invoke", "/invoke-with-response-stream")
        url = url.replace("/converse", "/converse-stream")
    received = standin.requests[-1]
    assert unquote(received.url.partition("?")[0]) == url
    assert received.body.get("stream", False) is (stream and cell.mode in MODES_WITH_STREAM_IN_BODY)


def test_create_with_completion_returns_the_extraction_and_the_response(cell):
    extraction, response = cell.ask("Plan the trip", method="create_with_completion")
    assert extraction == PLAN
    assert extraction.raw is response
    fields = response if cell.mode == "bedrock" else vars(response)
    usage = fields.get("usage") or response.usage_metadata
    assert usage == extraction.usage


def test_create_with_completion_returns_the_last_response_after_a_retry(cell):
    extraction, response = cell.ask("Plan it badly", method="create_with_completion", max_retries=1)
    assert len(extraction.attempts) == 1
    assert extraction.raw is response


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stream": True}, "create_with_completion does not stream; call create with stream=True and read .raw"),
        ({"response_model": None}, "create_with_completion requires response_model=; without it, call create"),
    ],
    ids=["stream", "no response_model"],
)
@pytest.mark.parametrize("place", PROCESS, indirect=True)
def test_create_with_completion_rejects(cell, arguments, message):
    with pytest.raises(TypeError) as raised:
        cell.ask("Plan the trip", method="create_with_completion", **arguments)
    assert str(raised.value) == message


def make_checked_weather():
    """Return a ``Weather`` model that accepts only the locations in ``allowed`` of the context."""

    def check_location(cls, location, info):
        if info.context is not None and location not in info.context["allowed"]:
            raise ValueError("not allowed")
        return location

    validators = {"check_location": field_validator("location")(check_location)}
    return create_model("Weather", __base__=Weather, __validators__=validators)


CheckedWeather = make_checked_weather()


@pytest.mark.parametrize(
    "contexts",
    [
        {"context": {"allowed": ["Toronto"]}},
        {"validation_context": {"allowed": ["Toronto"]}},
        {"context": {"allowed": ["Toronto"]}, "validation_context": {"allowed": ["Toronto"]}},
    ],
    ids=["context", "validation_context", "both"],
)
def test_validators_receive_the_context_under_both_names(cell, contexts):
    extraction = cell.ask("Plan the trip", Iterable[CheckedWeather | GoogleSearch], on_error="collect", **contexts)
    assert extraction == [CheckedWeather(**CALLS[0].arguments), GoogleSearch(query="who won the super bowl")]
    assert len(extraction.errors) == 1


@pytest.mark.parametrize("method", ["create", "create_with_completion"])
@pytest.mark.parametrize("place", PROCESS, indirect=True)
def test_two_different_contexts_are_rejected(cell, method):
    with pytest.raises(TypeError) as raised:
        cell.ask("Plan the trip", method=method, context={"a": 1}, validation_context={"a": 2})
    assert str(raised.value) == (
        "pass either context= or validation_context=, not both: they are two names for the same argument"
    )


TYPES = {"string": str, "integer": int, "number": float}


def make_model(function):
    """Return a model whose fields are the parameters of ``function``."""
    parameters = function["parameters"]

    def field(name, schema):
        kind = Literal[tuple(schema["enum"])] if "enum" in schema else TYPES[schema["type"]]
        if name in parameters["required"]:
            return kind, Field(description=schema["description"])
        default = schema["default"]
        return (kind if default else kind | None), Field(default, description=schema["description"])

    fields = {name: field(name, schema) for name, schema in parameters["properties"].items()}
    return create_model(function["safe_name"], __doc__=function["description"], **fields)


@cache
def leaderboard_cases():
    """Return the cases, each with the ``response_model`` for its functions."""
    models = [tuple(map(make_model, case["functions"])) for case in CASES]
    return [(case, Iterable[reduce(or_, union)]) for case, union in zip(CASES, models, strict=True)]


def test_the_cases_of_the_function_calling_leaderboard(cell, stream):
    for case, response_model in leaderboard_cases():
        [*system, user] = [message["content"] for message in case["messages"]]
        extraction = cell.extract(
            user,
            response_model,
            system=[*system, f"This is {case['id']}."],
            stream=stream,
        )
        assert [type(model).__name__ for model in extraction] == [call["safe_name"] for call in case["expected"]]
        assert [model.model_dump(exclude_unset=True) for model in extraction] == [
            call["arguments"] for call in case["expected"]
        ]


@pytest.mark.parametrize("place", NETWORK, indirect=True)
def test_requests_share_one_connection(cell, standin):
    cell.extract("Plan the trip")
    before = standin.connections
    for streamed in (False, True, False):
        cell.extract("Plan the trip", stream=streamed)
    # Google's authentication library may open a connection in the background
    assert standin.connections - before <= 1


@pytest.mark.parametrize("place", NETWORK, indirect=True)
def test_a_model_is_yielded_before_the_next_call_arrives(cell, standin):
    stream = cell.ask("Plan it slowly", stream=True)
    for model in PLAN:
        # opening the gate releases the next call, or the end of the response
        assert cell.next(stream) == model
        standin.open("later")
    assert cell.remaining(stream) == []
    assert stream.extraction == PLAN


@pytest.fixture
def without_garbage_collection():
    """Make sure that the garbage collector, which runs at any time, does not close the connection."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("place", NETWORK, indirect=True)
@pytest.mark.usefixtures("without_garbage_collection")
def test_stopping_early_closes_the_connection_at_once(cell, standin):
    assert cell.first_in_with_block(cell.ask("Plan it slowly", stream=True)) == PLAN[0]
    stopped_at, last_request = time.monotonic(), standin.requests[-1]
    while not any(request is last_request for request in standin.abandoned):
        assert time.monotonic() < stopped_at + 2, "the stand-in provider is still sending"
        cell.wait()


@pytest.mark.parametrize("prompt", ["Hang up", "Fail"])
def test_a_broken_stream_is_an_error_with_the_complete_models(cell, prompt):
    stream = cell.ask(prompt, stream=True)
    assert [cell.next(stream), cell.next(stream)] == PLAN[:2]
    with pytest.raises(errors.StreamBroken) as broken:
        cell.next(stream)
    assert broken.value.models == tuple(PLAN[:2])
    assert [call.name for call in broken.value.calls] == ["Weather", "Weather"]
    # over REST, Vertex AI's SDK reads an error in a stream as an empty response, and so does google-genai 1
    has_message = cell.mode != "vertex rest" or cell.runner
    if prompt == "Fail" and has_message and not (cell.mode.startswith("gemini") and version("google-genai") < "2"):
        assert "Overheated" in str(broken.value)


def test_an_error_of_the_provider_is_raised_by_the_sdk(cell, stream):
    with pytest.raises(Exception) as raised:  # noqa: PT011  (each SDK has its own class)
        cell.extract("Hurry", stream=stream)
    assert not isinstance(raised.value, errors.MultitrackError)
    assert type(raised.value).__module__.partition(".")[0] in ("openai", "google", "anthropic", "botocore")
    # boto3 shows the name of the error instead of its status
    assert ("ThrottlingException" if cell.mode == "bedrock" else "429") in str(raised.value)


def test_invalid_calls_are_retried(cell):
    # for Gemini, the model requires the signature that it sent with its calls
    extraction = cell.extract("Plan it badly", max_retries=1)
    assert extraction == PLAN
    assert extraction.errors == ()
