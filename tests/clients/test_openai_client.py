"""OpenAI's clients with a response_model: the real SDK, on a transport that answers in the process."""

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


def chat(*named, content=None, finish="tool_calls", **message):
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


def responses(*named):
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
    """Answers what it is told to, and keeps what it was sent."""

    def __init__(self, answer, content_type="application/json"):
        self.answer = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.content_type = content_type
        self.sent = []
        self.offered = []

    def __call__(self, request):
        self.sent.append(json.loads(request.content))
        self.offered.append(dict(model_context.offered_models()))
        return httpx.Response(200, content=self.answer, headers={"content-type": self.content_type})


def client_of(provider, is_async=False):
    if is_async:

        async def answer(request):
            return provider(request)

        return openai.AsyncOpenAI(api_key="key-0", http_client=httpx.AsyncClient(transport=httpx.MockTransport(answer)))
    return openai.OpenAI(api_key="key-0", http_client=httpx.Client(transport=httpx.MockTransport(provider)))


@pytest.fixture(params=["sync", "async"])
def create(request):
    """`create` of a client of either kind, as a plain function of a provider and arguments."""

    def ask(provider, make=multitrack.from_openai, mode=None, **arguments):
        is_async = request.param == "async"
        client = make(client_of(provider, is_async), mode)
        method = client.responses.create if mode is Mode.RESPONSES_PARALLEL_TOOLS else client.chat.completions.create
        answer = method(**{"model": "gpt-4o-mini", **arguments})
        return asyncio.run(answer) if is_async else answer

    return ask


@pytest.mark.parametrize("make", [multitrack.from_openai, multitrack.patch])
@pytest.mark.parametrize("mode", [None, Mode.PARALLEL_TOOLS])
def test_parallel_calls_become_models(create, make, mode):
    provider = Provider(chat(TORONTO, SEARCH, content="Let me look."))
    extraction = create(provider, make, mode, messages=USER, response_model=BOTH)
    assert extraction == [Weather(location="Toronto", units="metric"), GoogleSearch(query="super bowl")]
    assert extraction.calls == (ToolCall("call_0", *TORONTO, 0), ToolCall("call_1", *SEARCH, 1))
    assert (extraction.text, extraction.usage.total_tokens, extraction.raw.id) == ("Let me look.", 14, "chatcmpl-1")
    assert provider.sent == [
        {
            "model": "gpt-4o-mini",
            "messages": USER,
            "tool_choice": "auto",
            "tools": multitrack.Toolset(BOTH).schemas("openai.chat"),
        }
    ]
    assert provider.offered == [{"Weather": Weather, "GoogleSearch": GoogleSearch}]
    assert model_context.offered_models() == {}


def test_responses(create):
    provider = Provider(responses(TORONTO, SEARCH))
    extraction = create(provider, mode=Mode.RESPONSES_PARALLEL_TOOLS, input="hi", response_model=BOTH)
    assert extraction == [Weather(location="Toronto", units="metric"), GoogleSearch(query="super bowl")]
    assert provider.sent[0]["tools"] == multitrack.Toolset(BOTH).schemas("openai.responses")
    assert provider.offered == [{"Weather": Weather, "GoogleSearch": GoogleSearch}]


@pytest.mark.parametrize("mode", [Mode.PARALLEL_TOOLS, Mode.RESPONSES_PARALLEL_TOOLS])
def test_without_response_model_nothing_is_changed(create, mode):
    is_chat = mode is Mode.PARALLEL_TOOLS
    provider = Provider(chat(TORONTO) if is_chat else responses(TORONTO))
    asked = {"messages": USER} if is_chat else {"input": "hi"}
    tools = multitrack.Toolset(BOTH).schemas("openai.chat" if is_chat else "openai.responses")
    answer = create(provider, mode=mode, tools=tools, tool_choice="required", response_model=None, **asked)
    assert type(answer).__name__ == ("ChatCompletion" if is_chat else "Response")
    assert provider.sent == [{"model": "gpt-4o-mini", "tools": tools, "tool_choice": "required", **asked}]
    assert provider.offered == [{}]


def test_tool_choice_is_the_callers(create):
    provider = Provider(chat(TORONTO))
    create(provider, messages=USER, response_model=BOTH, tool_choice="required", temperature=0)
    assert (provider.sent[0]["tool_choice"], provider.sent[0]["temperature"]) == ("required", 0)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (chat(TORONTO, ("Stocks", "{}")), UnknownTool),
        (chat(content="Which place?", finish="stop"), NoToolCalls),
        (chat(TORONTO, finish="length"), TruncatedResponse),
        (chat(refusal="No.", finish="stop"), Refusal),
        ({"error": {"message": "overloaded"}}, ExtractionError),
        ({"id": "c", "object": "chat.completion", "choices": None}, NoToolCalls),
    ],
)
def test_bad_answers(create, answer, kind):
    with pytest.raises(ExtractionError) as raised:
        create(Provider(answer), messages=USER, response_model=BOTH)
    assert type(raised.value) is kind
    assert type(raised.value.raw).__name__ == "ChatCompletion"


def test_an_answer_that_is_no_json(create):
    with pytest.raises(ExtractionError) as raised:
        create(Provider(b"<html>", "text/html"), messages=USER, response_model=BOTH)
    assert str(raised.value) == "the provider returned an error: the response is not JSON: '<html>'"


def test_answers_that_break_the_providers_own_schema(create):
    answer = chat(TORONTO)
    function = answer["choices"][0]["message"]["tool_calls"][0]["function"]
    function["arguments"] = {"location": "Toronto", "units": "metric"}
    assert create(Provider(answer), messages=USER, response_model=BOTH) == [Weather(location="Toronto", units="metric")]


def test_errors_are_collected_and_nothing_is_allowed(create):
    provider = Provider(chat(("Stocks", "{}"), TORONTO))
    extraction = create(provider, messages=USER, response_model=BOTH, on_error="collect")
    assert extraction == [Weather(location="Toronto", units="metric")]
    assert [type(error) for error in extraction.errors] == [UnknownTool]
    assert "on_error" not in provider.sent[0]
    assert create(Provider(chat(finish="stop")), messages=USER, response_model=BOTH, allow_empty=True) == []


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
def test_what_is_refused_before_any_request(create, arguments, message):
    provider = Provider(chat(TORONTO))
    with pytest.raises(TypeError) as raised:
        create(provider, messages=USER, **arguments)
    assert str(raised.value) == message
    assert provider.sent == []


def test_the_providers_errors_pass_through(create):
    body = {"error": {"message": "bad", "failed_generation": "Weather()"}}

    with pytest.raises(openai.BadRequestError, match="bad"):
        create(lambda _: httpx.Response(400, json=body), messages=USER, response_model=BOTH)


def test_from_openai_leaves_the_client_alone():
    provider = Provider(chat(TORONTO))
    plain = client_of(provider)
    client = multitrack.from_openai(plain)
    assert type(client) is openai.OpenAI
    assert client.models is not None
    with pytest.raises(TypeError, match="response_model"):
        plain.chat.completions.create(model="m", messages=USER, response_model=BOTH)
    assert client.chat.completions.create(model="m", messages=USER, response_model=BOTH)
    assert client.create(model="m", messages=USER, response_model=BOTH)


def test_patch_changes_the_client_itself():
    client = client_of(Provider(chat(TORONTO)))
    assert multitrack.patch(client) is client
    assert multitrack.patch(client) is client
    assert len(client.chat.completions.create(model="m", messages=USER, response_model=BOTH)) == 1


@pytest.mark.parametrize("make", [multitrack.from_openai, multitrack.patch])
def test_a_client_with_options_extracts_too(make):
    provider = Provider(chat(TORONTO))
    client = make(client_of(provider)).with_options(timeout=5).copy(max_retries=0)
    assert (client.timeout, client.max_retries) == (5, 0)
    assert len(client.chat.completions.create(model="m", messages=USER, response_model=BOTH)) == 1


def test_azure():
    provider = Provider(chat(TORONTO))
    azure = openai.AzureOpenAI(
        api_key="key-0",
        api_version="2024-02-01",
        azure_endpoint="https://example.invalid",
        http_client=httpx.Client(transport=httpx.MockTransport(provider)),
    )
    client = multitrack.from_openai(azure)
    assert isinstance(client, openai.AzureOpenAI)
    assert len(client.chat.completions.create(model="m", messages=USER, response_model=BOTH)) == 1


def test_raw_responses_are_the_sdks_own():
    client = multitrack.from_openai(client_of(Provider(chat(TORONTO))))
    raw = client.chat.completions.with_raw_response.create(model="m", messages=USER)
    assert raw.parse().choices[0].message.tool_calls[0].function.name == "Weather"
    with pytest.raises(TypeError, match="response_model"):
        client.chat.completions.with_raw_response.create(model="m", messages=USER, response_model=BOTH)


def test_the_other_interface_is_untouched():
    client = client_of(Provider(responses(TORONTO)))
    chat_only = multitrack.from_openai(client)
    with pytest.raises(TypeError, match="response_model"):
        chat_only.responses.create(model="m", input="hi", response_model=BOTH)
    responses_only = multitrack.from_openai(client, Mode.RESPONSES_PARALLEL_TOOLS)
    with pytest.raises(TypeError, match="response_model"):
        responses_only.chat.completions.create(model="m", messages=USER, response_model=BOTH)


@pytest.mark.parametrize("make", [multitrack.from_openai, multitrack.patch])
def test_wrong_clients_and_modes(make):
    name = make.__name__
    with pytest.raises(TypeError, match=f"^{name} requires an openai.OpenAI or openai.AsyncOpenAI, not str$"):
        make("client")
    with pytest.raises(
        ValueError,
        match=f"^{name} supports mode=Mode.PARALLEL_TOOLS or Mode.RESPONSES_PARALLEL_TOOLS, "
        "not Mode.VERTEXAI_PARALLEL_TOOLS$",
    ):
        make(client_of(Provider({})), mode=Mode.VERTEXAI_PARALLEL_TOOLS)


def test_the_sdks_streams_are_untouched():
    body = b'data: {"choices":[{"index":0,"delta":{"content":"hi"}}]}\n\ndata: [DONE]\n\n'
    client = multitrack.from_openai(client_of(Provider(body, "text/event-stream")))
    stream = client.chat.completions.create(model="m", messages=USER, stream=True)
    assert [chunk.choices[0].delta.content for chunk in stream] == ["hi"]
