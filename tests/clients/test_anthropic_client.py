"""Anthropic's clients with a ``response_model``: the real SDK on an HTTP transport that responds in this process."""

import asyncio
import json
from collections.abc import Iterable
from importlib import import_module
from typing import Literal

import pytest
from pydantic import BaseModel

import multitrack
from multitrack import Mode, ToolCall, model_context
from multitrack.errors import (
    ExtractionError,
    InvalidArguments,
    NoToolCalls,
    Refusal,
    StreamBroken,
    TruncatedResponse,
    UnknownTool,
)

anthropic = pytest.importorskip("anthropic")
httpx = import_module(anthropic.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0])


class Weather(BaseModel):
    """The weather at a place."""

    location: str
    units: Literal["imperial", "metric"] = "metric"


class Search(BaseModel):
    query: str


BOTH = Iterable[Weather | Search]
ARGUMENTS = {
    "model": "claude-sonnet-5",
    "max_tokens": 1024,
    "messages": [{"role": "user", "content": "What is the weather in Toronto?"}],
}


def call(number, name="Weather", **arguments):
    return {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": arguments}


TORONTO = call(0, location="Toronto")
SEARCH = call(1, "Search", query="super bowl")
THINKING = {"type": "thinking", "thinking": "They want weather.", "signature": "EqQBCgYIBRgC"}
REDACTED = {"type": "redacted_thinking", "data": "EmwKAhgBEgy3"}


def message(*content, stop_reason="tool_use", **fields):
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5",
        "content": list(content),
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 9, "output_tokens": 5},
        **fields,
    }


def text(words):
    return {"type": "text", "text": words}


def write_events(*events):
    return "".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in events).encode()


def stream_of(*blocks, stop_reason="tool_use"):
    """Return the events of a streamed answer, with the input of each call in pieces of five characters."""
    started = {**message(stop_reason=None), "usage": {"input_tokens": 9, "output_tokens": 1}}
    events = [{"type": "message_start", "message": started}, {"type": "ping"}]
    for index, block in enumerate(blocks):
        deltas = []
        if block["type"] == "tool_use":
            whole = block["input"] if isinstance(block["input"], str) else json.dumps(block["input"])
            pieces = [whole[start : start + 5] for start in range(0, len(whole), 5)]
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ["", *pieces]]
            block = {**block, "input": {}}
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    end = {"stop_reason": stop_reason, "stop_sequence": None}
    events.append({"type": "message_delta", "delta": end, "usage": {"output_tokens": 5}})
    return [*events, {"type": "message_stop"}]


class Provider:
    """Sends the given answers in order, repeats the last answer, and stores the requests."""

    def __init__(self, *answers, status=200):
        self.answers = list(answers)
        self.status = status
        self.requests = []
        self.urls = []
        self.models = []

    def __call__(self, request):
        self.requests.append(json.loads(request.content))
        self.urls.append(str(request.url))
        self.models.append(dict(model_context.current_models()))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, list):
            return httpx.Response(200, content=write_events(*answer), headers={"content-type": "text/event-stream"})
        return httpx.Response(self.status, json=answer)


def make_client(provider, client_class="Anthropic", **options):
    options = options or {"api_key": "key-0"}
    if client_class.startswith("Async"):

        async def respond(request):
            return provider(request)

        http_client = httpx.AsyncClient(transport=httpx.MockTransport(respond))
    else:
        http_client = httpx.Client(transport=httpx.MockTransport(provider))
    return getattr(anthropic, client_class)(http_client=http_client, max_retries=0, **options)


@pytest.fixture(params=["sync", "async"])
def create(request):
    """A function that calls ``create`` of a sync or async client with a provider and arguments."""

    def call_create(provider, *, method="create", platform="Anthropic", options=None, **arguments):
        client_class = platform if request.param == "sync" else f"Async{platform}"
        client = multitrack.from_anthropic(make_client(provider, client_class, **(options or {})))
        created = getattr(client.messages, method)(**{**ARGUMENTS, "response_model": BOTH, **arguments})
        return asyncio.run(created) if request.param == "async" else created

    return call_create


@pytest.fixture(params=["sync", "async"])
def read_stream(request):
    """A function that returns the models that a stream yields, and the extraction or the error that it ends with."""

    def read(events, **arguments):
        client = multitrack.from_anthropic(
            make_client(Provider(events), "Anthropic" if request.param == "sync" else "AsyncAnthropic")
        )
        arguments = {**ARGUMENTS, "response_model": BOTH, "stream": True, **arguments}

        async def read_async():
            models = []
            stream = await client.messages.create(**arguments)
            try:
                async for model in stream:
                    models.append(model)  # noqa: PERF401 - the error must not lose the models
            except ExtractionError as error:
                return models, error
            return models, stream.extraction

        if request.param == "async":
            return asyncio.run(read_async())
        models = []
        stream = client.messages.create(**arguments)
        try:
            models.extend(stream)
        except ExtractionError as error:
            return models, error
        return models, stream.extraction

    return read


def test_parallel_calls_become_models(create):
    provider = Provider(message(THINKING, text("Let me look."), TORONTO, SEARCH))
    extraction = create(provider)
    assert extraction == [Weather(location="Toronto"), Search(query="super bowl")]
    assert extraction.calls == (
        ToolCall("toolu_0", "Weather", '{"location":"Toronto"}', 0),
        ToolCall("toolu_1", "Search", '{"query":"super bowl"}', 1),
    )
    assert extraction.text == "Let me look."
    assert extraction.usage.output_tokens == 5
    assert extraction.raw.id == "msg_1"


def test_the_request_offers_the_tools_and_leaves_the_choice_to_the_model(create):
    provider = Provider(message(TORONTO))
    create(provider)
    tools = multitrack.Toolset(BOTH).schemas("anthropic")
    assert provider.requests == [{**ARGUMENTS, "tool_choice": {"type": "auto"}, "tools": tools}]
    assert provider.models == [{"Weather": Weather, "Search": Search}]
    assert model_context.current_models() == {}


def test_a_tool_choice_of_the_caller_is_kept(create):
    choice = {"type": "tool", "name": "Weather", "disable_parallel_tool_use": True}
    provider = Provider(message(TORONTO))
    create(provider, tool_choice=choice)
    assert provider.requests[0]["tool_choice"] == choice


def test_strict_tools_are_sent(create):
    provider = Provider(message(TORONTO))
    create(provider, strict=True)
    assert [tool["strict"] for tool in provider.requests[0]["tools"]] == [True, True]


def test_create_with_completion_returns_the_message_as_well(create):
    extraction, completion = create(Provider(message(TORONTO)), method="create_with_completion")
    assert extraction == [Weather(location="Toronto")]
    assert isinstance(completion, anthropic.types.Message)


def test_without_response_model_create_is_the_one_of_the_sdk(create):
    provider = Provider(message(text("Hello"), stop_reason="end_turn"))
    assert isinstance(create(provider, response_model=None), anthropic.types.Message)
    assert provider.requests == [ARGUMENTS]


def test_server_and_mcp_tools_are_not_extracted(create):
    server = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}}
    mcp = {"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "Weather", "server_name": "maps", "input": {}}
    assert create(Provider(message(server, mcp, TORONTO))) == [Weather(location="Toronto")]


AWS = {"aws_access_key": "A", "aws_secret_key": "B", "aws_region": "eu-west-1"}
PLATFORMS = {
    "AnthropicAWS": (
        {**AWS, "workspace_id": "wrkspc_1"},
        "https://aws-external-anthropic.eu-west-1.api.aws/v1/messages",
    ),
    "AnthropicBedrock": (AWS, "https://bedrock-runtime.eu-west-1.amazonaws.com/model/claude-sonnet-5/invoke"),
    "AnthropicBedrockMantle": (AWS, "https://bedrock-mantle.eu-west-1.api.aws/anthropic/v1/messages"),
    "AnthropicFoundry": (
        {"api_key": "key-0", "resource": "weather-desk-7"},
        "https://weather-desk-7.services.ai.azure.com/anthropic/v1/messages",
    ),
    "AnthropicGoogleCloud": (
        {"project": "acme-prod-7", "workspace_id": "wrkspc_1", "token_provider": lambda: "token-0"},
        "https://claude.googleapis.com/v1/projects/acme-prod-7/locations/global/workspaces/wrkspc_1/invoke/v1/messages",
    ),
    "AnthropicVertex": (
        {"region": "us-east5", "project_id": "acme-prod-7", "access_token": "token-0"},
        "https://us-east5-aiplatform.googleapis.com/v1/projects/acme-prod-7/locations/us-east5/"
        "publishers/anthropic/models/claude-sonnet-5:rawPredict",
    ),
}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_clients_for_other_platforms_extract(create, platform):
    if not hasattr(anthropic, platform):
        pytest.skip(f"this version of the SDK has no {platform}")
    options, url = PLATFORMS[platform]
    if "aws_region" in options:
        pytest.importorskip("boto3")
    provider = Provider(message(TORONTO, SEARCH))
    extraction = create(provider, platform=platform, options=options)
    assert extraction == [Weather(location="Toronto"), Search(query="super bowl")]
    # the version is v1alpha in old releases of the SDK
    assert [sent.replace("/v1alpha/", "/v1/") for sent in provider.urls] == [url]
    assert provider.requests[0]["tools"] == multitrack.Toolset(BOTH).schemas("anthropic")


def test_every_client_of_the_sdk_is_tested():
    names = {name for name, value in vars(anthropic).items() if name.startswith("Anthropic") and hasattr(value, "copy")}
    assert names <= {"Anthropic", *PLATFORMS}


# --- retries ----------------------------------------------------------------------------------------------------


BAD = call(1, location="Köln", units="both")


def test_invalid_calls_are_asked_for_again(create):
    provider = Provider(
        message(THINKING, REDACTED, text("Let me look."), TORONTO, BAD), message(call(2, location="Köln"))
    )
    extraction = create(provider, max_retries=1)
    assert extraction == [Weather(location="Toronto"), Weather(location="Köln")]
    assert len(extraction.attempts) == 1


def test_the_next_request_has_the_answer_with_its_signatures(create):
    content = [THINKING, REDACTED, text("Let me look."), TORONTO, BAD]
    provider = Provider(message(*content), message(call(2, location="Köln")))
    create(provider, max_retries=1)
    user, answer, _ = provider.requests[1]["messages"]
    assert [user] == ARGUMENTS["messages"]
    assert answer == {"role": "assistant", "content": content}


def test_only_the_result_of_an_invalid_call_is_an_error(create):
    provider = Provider(message(TORONTO, BAD), message(call(2, location="Köln")))
    create(provider, max_retries=1)
    accepted, rejected = provider.requests[1]["messages"][-1]["content"]
    assert accepted == {
        "type": "tool_result",
        "tool_use_id": "toolu_0",
        "content": "accepted; do not make this call again",
    }
    assert rejected["tool_use_id"] == "toolu_1"
    assert rejected["is_error"] is True
    assert "Input should be 'imperial' or 'metric'" in rejected["content"]


def test_the_messages_of_the_caller_are_not_changed(create):
    messages = [{"role": "user", "content": "Plan"}]
    create(Provider(message(BAD), message(TORONTO)), max_retries=1, messages=messages)
    assert messages == [{"role": "user", "content": "Plan"}]


def test_the_last_error_has_the_errors_of_all_attempts(create):
    with pytest.raises(InvalidArguments) as raised:
        create(Provider(message(BAD)), max_retries=2)
    assert len(raised.value.attempts) == 2


# --- bad answers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stop_reason", ["end_turn", "stop_sequence", "pause_turn"])
def test_an_answer_without_calls_is_an_error_with_its_text(create, stop_reason):
    with pytest.raises(NoToolCalls, match=f"finish reason '{stop_reason}'") as raised:
        create(Provider(message(text("Sunny."), stop_reason=stop_reason)))
    assert raised.value.text == "Sunny."
    assert raised.value.raw.id == "msg_1"


def test_an_answer_without_calls_can_be_accepted(create):
    extraction = create(Provider(message(text("Sunny."), stop_reason="end_turn")), allow_empty=True)
    assert extraction == []
    assert extraction.text == "Sunny."


def test_an_unknown_tool_is_an_error(create):
    with pytest.raises(UnknownTool) as raised:
        create(Provider(message(call(0, "Mail", to="x"))))
    assert raised.value.offered == ("Weather", "Search")


def test_a_refusal_is_an_error(create):
    details = {"type": "refusal", "category": "bio", "explanation": "This touches biology."}
    with pytest.raises(Refusal, match="This touches biology"):
        create(Provider(message(stop_reason="refusal", stop_details=details)))


@pytest.mark.parametrize("stop_reason", ["max_tokens", "model_context_window_exceeded"])
def test_a_truncated_answer_has_the_models_of_its_complete_calls(create, stop_reason):
    with pytest.raises(TruncatedResponse) as raised:
        create(Provider(message(TORONTO, call(1, "Search", query="su"), stop_reason=stop_reason)))
    assert raised.value.models == (Weather(location="Toronto"),)


def test_errors_can_be_collected(create):
    extraction = create(Provider(message(TORONTO, BAD, call(2, "Mail"))), on_error="collect")
    assert extraction == [Weather(location="Toronto")]
    assert [type(error) for error in extraction.errors] == [InvalidArguments, UnknownTool]


@pytest.mark.parametrize(
    ("status", "kind", "error"),
    [
        (400, "invalid_request_error", "BadRequestError"),
        (401, "authentication_error", "AuthenticationError"),
        (429, "rate_limit_error", "RateLimitError"),
        (529, "overloaded_error", "APIStatusError"),
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_an_error_of_the_provider_is_raised_by_the_sdk(create, status, kind, error, stream):
    body = {"type": "error", "error": {"type": kind, "message": "No."}}
    with pytest.raises(getattr(anthropic, error)) as raised:
        create(Provider(body, status=status), stream=stream)
    assert raised.value.status_code == status


def test_a_body_that_is_not_json_is_an_error():
    transport = httpx.MockTransport(lambda _: httpx.Response(200, text="<html>", headers={"content-type": "text/html"}))
    client = anthropic.Anthropic(api_key="key-0", http_client=httpx.Client(transport=transport))
    with pytest.raises(ExtractionError, match="the response is not JSON: '<html>'"):
        multitrack.from_anthropic(client).messages.create(response_model=BOTH, **ARGUMENTS)


# --- streams ----------------------------------------------------------------------------------------------------


def test_a_stream_yields_the_models(read_stream):
    models, extraction = read_stream(stream_of(THINKING, text("Let me look."), TORONTO, SEARCH))
    assert models == [Weather(location="Toronto"), Search(query="super bowl")]
    assert extraction == models
    assert extraction.text == "Let me look."
    assert extraction.usage.output_tokens == 5
    assert extraction.usage.input_tokens == 9
    assert isinstance(extraction.usage, anthropic.types.Usage)


def test_a_stream_with_invalid_json_has_the_other_models(read_stream):
    models, error = read_stream(stream_of(TORONTO, call(1) | {"input": '{"location": Kö'}, SEARCH))
    assert models == [Weather(location="Toronto"), Search(query="super bowl")]
    assert isinstance(error, InvalidArguments)
    assert error.call.arguments == '{"location": Kö'


def test_a_stream_that_ends_early_is_an_error(read_stream):
    events = stream_of(TORONTO, SEARCH)
    models, error = read_stream(events[:-3])
    assert models == [Weather(location="Toronto")]
    assert isinstance(error, StreamBroken)


def test_an_error_event_is_an_error(read_stream):
    overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    models, error = read_stream([*stream_of(TORONTO)[:-2], overloaded])
    assert models == [Weather(location="Toronto")]
    assert isinstance(error, StreamBroken)
    assert "Overloaded" in str(error)


def test_a_refusal_in_a_stream_is_an_error(read_stream):
    _, error = read_stream(stream_of(text("I can"), stop_reason="refusal"))
    assert isinstance(error, Refusal)


def test_a_truncated_stream_does_not_yield_its_last_call(read_stream):
    models, error = read_stream(stream_of(TORONTO, call(1) | {"input": ""}, stop_reason="max_tokens"))
    assert models == [Weather(location="Toronto")]
    assert isinstance(error, TruncatedResponse)


# --- the client -------------------------------------------------------------------------------------------------


def test_the_client_of_the_caller_is_not_changed():
    client = make_client(Provider(message(TORONTO)))
    extracting = multitrack.from_anthropic(client)
    assert extracting is not client
    assert type(extracting) is anthropic.Anthropic
    assert isinstance(client.messages.create(**ARGUMENTS), anthropic.types.Message)
    with pytest.raises(TypeError):
        client.messages.create(response_model=BOTH, **ARGUMENTS)


@pytest.mark.parametrize("method", ["copy", "with_options"])
def test_a_copy_of_the_client_extracts(method):
    client = multitrack.from_anthropic(make_client(Provider(message(TORONTO))))
    extracting = getattr(client, method)(timeout=5)
    assert extracting.messages.create(response_model=BOTH, **ARGUMENTS) == [Weather(location="Toronto")]


def test_create_is_also_a_method_of_the_client():
    client = multitrack.from_anthropic(make_client(Provider(message(TORONTO))), mode=Mode.ANTHROPIC_PARALLEL_TOOLS)
    assert client.create(response_model=BOTH, **ARGUMENTS) == [Weather(location="Toronto")]


def test_the_raw_response_of_the_sdk_is_available():
    client = multitrack.from_anthropic(make_client(Provider(message(TORONTO))))
    assert client.messages.with_raw_response.create(**ARGUMENTS).parse().id == "msg_1"


def test_another_client_is_refused():
    with pytest.raises(TypeError, match=r"^from_anthropic requires an anthropic\.Anthropic .*, not object$"):
        multitrack.from_anthropic(object())


def test_another_mode_is_refused():
    with pytest.raises(ValueError, match=r"^from_anthropic supports mode=Mode\.ANTHROPIC_PARALLEL_TOOLS, not "):
        multitrack.from_anthropic(make_client(Provider()), mode=Mode.PARALLEL_TOOLS)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"tools": [{"name": "A", "input_schema": {}}]}, "pass either tools= or response_model=, not both"),
        ({"stream": True, "max_retries": 1}, "pass either max_retries= or stream=True, not both"),
        ({"on_error": "ignore"}, "on_error must be 'raise' or 'collect'"),
    ],
)
def test_an_invalid_argument_is_an_error_before_any_request(create, arguments, reason):
    provider = Provider(message(TORONTO))
    with pytest.raises(TypeError, match=f"^{reason}"):
        create(provider, **arguments)
    assert provider.requests == []
