"""OpenAI's clients with a ``response_model``: the real SDK on an HTTP transport that responds in this process."""

import asyncio
import json
from collections.abc import Iterable
from typing import Literal

import openai
import pytest
from pydantic import BaseModel

import multitrack
from multitrack import Mode, ToolCall, model_context
from multitrack.errors import ExtractionError, NoToolCalls, Refusal, TruncatedResponse, UnknownTool

httpx = pytest.importorskip("httpx2" if openai.VERSION.startswith("3") else "httpx")


class Weather(BaseModel):
    """The weather at a place."""

    location: str
    units: Literal["imperial", "metric"]


class GoogleSearch(BaseModel):
    query: str


BOTH = Iterable[Weather | GoogleSearch]
USER = [{"role": "user", "content": "What is the weather in toronto?"}]
TORONTO = ("Weather", '{"location": "Toronto", "units": "metric"}')
SEARCH = ("GoogleSearch", '{"query": "super bowl"}')


def chat_completion(*named, content=None, finish="tool_calls", **message):
    """Return a chat completion with a call for each pair of a name and arguments."""
    calls = [
        {"id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for index, (name, arguments) in enumerate(named)
    ]
    message = {"role": "assistant", "content": content, "tool_calls": calls or None, **message}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-mini",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14},
    }


def response(*named):
    """Return a response of the Responses API with a call for each pair of a name and arguments."""
    calls = [
        {
            "id": f"fc_{index}",
            "type": "function_call",
            "status": "completed",
            "call_id": f"call_{index}",
            "name": name,
            "arguments": arguments,
        }
        for index, (name, arguments) in enumerate(named)
    ]
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": "gpt-4o-mini",
        "output": calls,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }


class Provider:
    """Sends the body it is given, and stores the requests it receives."""

    def __init__(self, body, content_type="application/json"):
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.content_type = content_type
        self.requests = []
        self.models = []
        """The Pydantic models of the tools in each request, by tool name."""

    def __call__(self, request):
        self.requests.append(json.loads(request.content))
        self.models.append(dict(model_context.current_models()))
        return httpx.Response(200, content=self.body, headers={"content-type": self.content_type})


def make_client(provider, is_async=False):
    if is_async:

        async def respond(request):
            return provider(request)

        return openai.AsyncOpenAI(
            api_key="key-0", http_client=httpx.AsyncClient(transport=httpx.MockTransport(respond))
        )
    return openai.OpenAI(api_key="key-0", http_client=httpx.Client(transport=httpx.MockTransport(provider)))


@pytest.fixture(params=["sync", "async"])
def create(request):
    """A function that calls ``create`` of a sync or async client with a provider and arguments."""

    def call_create(provider, make=multitrack.from_openai, mode=None, **arguments):
        is_async = request.param == "async"
        client = make(make_client(provider, is_async), mode)
        method = client.responses.create if mode is Mode.RESPONSES_PARALLEL_TOOLS else client.chat.completions.create
        result = method(**{"model": "gpt-4o-mini", **arguments})
        return asyncio.run(result) if is_async else result

    return call_create


@pytest.mark.parametrize("make", [multitrack.from_openai, multitrack.patch])
@pytest.mark.parametrize("mode", [None, Mode.PARALLEL_TOOLS])
def test_parallel_calls_become_models(create, make, mode):
    provider = Provider(chat_completion(TORONTO, SEARCH, content="Let me look."))
    extraction = create(provider, make, mode, messages=USER, response_model=BOTH)
    assert extraction == [Weather(location="Toronto", units="metric"), GoogleSearch(query="super bowl")]
    assert extraction.calls == (ToolCall("call_0", *TORONTO, 0), ToolCall("call_1", *SEARCH, 1))
    assert extraction.text == "Let me look."
    assert extraction.usage.total_tokens == 14
    assert extraction.raw.id == "chatcmpl-1"
    assert provider.requests == [
        {
            "model": "gpt-4o-mini",
            "messages": USER,
            "tool_choice": "auto",
            "tools": multitrack.Toolset(BOTH).schemas("openai.chat"),
        }
    ]
    assert provider.models == [{"Weather": Weather, "GoogleSearch": GoogleSearch}]
    assert model_context.current_models() == {}


def test_calls_of_the_responses_api_become_models(create):
    provider = Provider(response(TORONTO, SEARCH))
    extraction = create(provider, mode=Mode.RESPONSES_PARALLEL_TOOLS, input="hi", response_model=BOTH)
    assert extraction == [Weather(location="Toronto", units="metric"), GoogleSearch(query="super bowl")]
    assert provider.requests[0]["tools"] == multitrack.Toolset(BOTH).schemas("openai.responses")
    assert provider.models == [{"Weather": Weather, "GoogleSearch": GoogleSearch}]


@pytest.mark.parametrize("mode", [Mode.PARALLEL_TOOLS, Mode.RESPONSES_PARALLEL_TOOLS])
def test_without_response_model_the_request_is_unchanged(create, mode):
    is_chat = mode is Mode.PARALLEL_TOOLS
    provider = Provider(chat_completion(TORONTO) if is_chat else response(TORONTO))
    conversation = {"messages": USER} if is_chat else {"input": "hi"}
    tools = multitrack.Toolset(BOTH).schemas("openai.chat" if is_chat else "openai.responses")
    result = create(provider, mode=mode, tools=tools, tool_choice="required", response_model=None, **conversation)
    assert type(result).__name__ == ("ChatCompletion" if is_chat else "Response")
    assert provider.requests == [{"model": "gpt-4o-mini", "tools": tools, "tool_choice": "required", **conversation}]
    assert provider.models == [{}]


def test_the_callers_tool_choice_is_sent(create):
    provider = Provider(chat_completion(TORONTO))
    create(provider, messages=USER, response_model=BOTH, tool_choice="required", temperature=0)
    assert provider.requests[0]["tool_choice"] == "required"
    assert provider.requests[0]["temperature"] == 0


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (chat_completion(TORONTO, ("Stocks", "{}")), UnknownTool),
        (chat_completion(content="Which place?", finish="stop"), NoToolCalls),
        (chat_completion(TORONTO, finish="length"), TruncatedResponse),
        (chat_completion(refusal="No.", finish="stop"), Refusal),
        ({"error": {"message": "overloaded"}}, ExtractionError),
        ({"id": "c", "object": "chat.completion", "choices": None}, NoToolCalls),
    ],
)
def test_each_kind_of_bad_response_raises_its_error(create, body, error):
    with pytest.raises(ExtractionError) as raised:
        create(Provider(body), messages=USER, response_model=BOTH)
    assert type(raised.value) is error
    assert type(raised.value.raw).__name__ == "ChatCompletion"


def test_a_response_that_is_not_json_is_an_error(create):
    with pytest.raises(ExtractionError) as raised:
        create(Provider(b"<html>", "text/html"), messages=USER, response_model=BOTH)
    assert str(raised.value) == "the provider returned an error: the response is not JSON: '<html>'"


def test_a_response_that_violates_the_providers_schema_is_read_anyway(create):
    body = chat_completion(TORONTO)
    function = body["choices"][0]["message"]["tool_calls"][0]["function"]
    function["arguments"] = {"location": "Toronto", "units": "metric"}
    assert create(Provider(body), messages=USER, response_model=BOTH) == [Weather(location="Toronto", units="metric")]


def test_errors_can_be_collected_and_empty_responses_allowed(create):
    provider = Provider(chat_completion(("Stocks", "{}"), TORONTO))
    extraction = create(provider, messages=USER, response_model=BOTH, on_error="collect")
    assert extraction == [Weather(location="Toronto", units="metric")]
    assert [type(error) for error in extraction.errors] == [UnknownTool]
    assert "on_error" not in provider.requests[0]
    assert create(Provider(chat_completion(finish="stop")), messages=USER, response_model=BOTH, allow_empty=True) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"response_model": Weather},
            "response_model is Weather, but it is not a collection of models; write response_model=Iterable[Weather]",
        ),
        (
            {"response_model": BOTH, "tools": [{"type": "function"}]},
            "pass either tools= or response_model=, not both: response_model= creates the tools",
        ),
        (
            {"response_model": BOTH, "on_error": "ignore"},
            "on_error must be 'raise' or 'collect', not 'ignore'",
        ),
    ],
)
def test_invalid_arguments_are_rejected_before_any_request(create, arguments, message):
    provider = Provider(chat_completion(TORONTO))
    with pytest.raises(TypeError) as raised:
        create(provider, messages=USER, **arguments)
    assert str(raised.value) == message
    assert provider.requests == []


def test_the_providers_errors_pass_through(create):
    body = {"error": {"message": "bad", "failed_generation": "Weather()"}}

    with pytest.raises(openai.BadRequestError, match="bad"):
        create(lambda _: httpx.Response(400, json=body), messages=USER, response_model=BOTH)


def test_from_openai_does_not_change_the_client():
    provider = Provider(chat_completion(TORONTO))
    plain = make_client(provider)
    client = multitrack.from_openai(plain)
    assert type(client) is openai.OpenAI
    assert client.models is not None
    with pytest.raises(TypeError, match="response_model"):
        plain.chat.completions.create(model="m", messages=USER, response_model=BOTH)
    assert client.chat.completions.create(model="m", messages=USER, response_model=BOTH)
    assert client.create(model="m", messages=USER, response_model=BOTH)


def test_patch_changes_the_client_itself():
    client = make_client(Provider(chat_completion(TORONTO)))
    assert multitrack.patch(client) is client
    assert multitrack.patch(client) is client
    assert len(client.chat.completions.create(model="m", messages=USER, response_model=BOTH)) == 1


@pytest.mark.parametrize("make", [multitrack.from_openai, multitrack.patch])
def test_a_copy_of_the_client_with_options_extracts_too(make):
    provider = Provider(chat_completion(TORONTO))
    client = make(make_client(provider)).with_options(timeout=5).copy(max_retries=0)
    assert client.timeout == 5
    assert client.max_retries == 0
    assert len(client.chat.completions.create(model="m", messages=USER, response_model=BOTH)) == 1


def test_azure_clients_are_supported():
    provider = Provider(chat_completion(TORONTO))
    azure = openai.AzureOpenAI(
        api_key="key-0",
        api_version="2024-02-01",
        azure_endpoint="https://example.invalid",
        http_client=httpx.Client(transport=httpx.MockTransport(provider)),
    )
    client = multitrack.from_openai(azure)
    assert isinstance(client, openai.AzureOpenAI)
    assert len(client.chat.completions.create(model="m", messages=USER, response_model=BOTH)) == 1


def test_raw_responses_do_not_support_response_model():
    client = multitrack.from_openai(make_client(Provider(chat_completion(TORONTO))))
    raw = client.chat.completions.with_raw_response.create(model="m", messages=USER)
    assert raw.parse().choices[0].message.tool_calls[0].function.name == "Weather"
    with pytest.raises(TypeError, match="response_model"):
        client.chat.completions.with_raw_response.create(model="m", messages=USER, response_model=BOTH)


def test_the_other_api_does_not_get_response_model():
    client = make_client(Provider(response(TORONTO)))
    chat_only = multitrack.from_openai(client)
    with pytest.raises(TypeError, match="response_model"):
        chat_only.responses.create(model="m", input="hi", response_model=BOTH)
    responses_only = multitrack.from_openai(client, Mode.RESPONSES_PARALLEL_TOOLS)
    with pytest.raises(TypeError, match="response_model"):
        responses_only.chat.completions.create(model="m", messages=USER, response_model=BOTH)


@pytest.mark.parametrize("make", [multitrack.from_openai, multitrack.patch])
def test_other_clients_and_modes_are_rejected(make):
    name = make.__name__
    with pytest.raises(TypeError, match=f"^{name} requires an openai.OpenAI or openai.AsyncOpenAI, not str$"):
        make("client")
    with pytest.raises(
        ValueError,
        match=f"^{name} supports mode=Mode.PARALLEL_TOOLS or Mode.RESPONSES_PARALLEL_TOOLS, "
        "not Mode.VERTEXAI_PARALLEL_TOOLS$",
    ):
        make(make_client(Provider({})), mode=Mode.VERTEXAI_PARALLEL_TOOLS)


def test_without_response_model_a_stream_is_the_sdks():
    body = b'data: {"choices":[{"index":0,"delta":{"content":"hi"}}]}\n\ndata: [DONE]\n\n'
    client = multitrack.from_openai(make_client(Provider(body, "text/event-stream")))
    stream = client.chat.completions.create(model="m", messages=USER, stream=True)
    assert [chunk.choices[0].delta.content for chunk in stream] == ["hi"]
