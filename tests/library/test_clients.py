"""Each SDK receives the behaviours, and Multitrack's clients extract the calls."""

import sys
from collections.abc import Iterable

import httpx
import pytest
from pydantic import BaseModel

import multitrack
from multitrack import Mode, errors

QUESTION = "Book two flights, and find a hotel."
MESSAGES = [{"role": "user", "content": QUESTION}]


class BookFlight(BaseModel):
    city: str
    seats: int


class FindHotel(BaseModel):
    city: str


MODELS = Iterable[BookFlight | FindHotel]

pytestmark = pytest.mark.filterwarnings("ignore:This feature is deprecated:UserWarning")


def ask_chat(stream):
    import openai

    client = multitrack.from_openai(openai.OpenAI())
    return client.chat.completions.create(model="gpt-4o-mini", messages=MESSAGES, response_model=MODELS, stream=stream)


def ask_responses(stream):
    import openai

    client = multitrack.from_openai(openai.OpenAI(), mode=Mode.RESPONSES_PARALLEL_TOOLS)
    return client.responses.create(model="gpt-4o-mini", input=QUESTION, response_model=MODELS, stream=stream)


def ask_anthropic(stream):
    import anthropic

    client = multitrack.from_anthropic(anthropic.Anthropic())
    return client.messages.create(
        model="claude-sonnet-5", max_tokens=1000, messages=MESSAGES, response_model=MODELS, stream=stream
    )


def ask_bedrock(stream):
    import boto3

    client = multitrack.from_bedrock(boto3.client("bedrock-runtime", region_name="eu-west-1"))
    messages = [{"role": "user", "content": [{"text": QUESTION}]}]
    return client.create(modelId="model", messages=messages, response_model=MODELS, stream=stream)


def ask_genai(stream):
    from google import genai

    client = multitrack.from_genai(genai.Client(), model="gemini-2.5-flash")
    return client.create(messages=MESSAGES, response_model=MODELS, stream=stream)


def ask_vertex(stream):
    import vertexai
    from vertexai.generative_models import GenerativeModel

    vertexai.init(project="a-project", location="europe-west1", api_transport="grpc")
    client = multitrack.from_vertexai(GenerativeModel("gemini-2.5-flash"))
    return client.create(messages=MESSAGES, response_model=MODELS, stream=stream)


@pytest.fixture(autouse=True)
def _vertex_configuration():
    """Restore the configuration of the Vertex SDK, because other tests would use its transport."""
    yield
    if (module := sys.modules.get("google.cloud.aiplatform.initializer")) is not None:
        module.global_config = type(module.global_config)()


CLIENTS = {
    "openai.chat": ask_chat,
    "openai.responses": ask_responses,
    "anthropic": ask_anthropic,
    "bedrock": ask_bedrock,
    "gemini": ask_genai,
    "gemini.grpc": ask_vertex,
}
CELLS = [(wire, stream) for wire in CLIENTS for stream in (False, True)]


def for_all_formats(name, **conditions):
    """Run a test with the behaviour ``name`` in each wire format, streamed and not, with Multitrack's clients."""
    chosen = [
        pytest.param(CLIENTS[wire], stream, marks=pytest.mark.behaviour(wire, name), id=f"{wire}{'.stream' * stream}")
        for wire, stream in CELLS
        if conditions.get("stream", stream) == stream and wire not in conditions.get("without", ())
    ]
    return pytest.mark.parametrize(("ask", "stream"), chosen)


@for_all_formats("three_parallel_calls")
def test_parallel_calls(ask, stream):
    assert [type(one) for one in ask(stream)] == [BookFlight, BookFlight, FindHotel]


@for_all_formats("invalid_arguments", stream=False)
def test_invalid_arguments(ask, stream):
    with pytest.raises(errors.InvalidArguments):
        ask(stream)


@for_all_formats("rate_limit_then_success", stream=False, without=("gemini", "gemini.grpc"))
def test_a_rate_limit_is_retried_by_the_sdk(ask, stream):
    assert len(ask(stream)) == 1


@for_all_formats("stream_cut", stream=True)
def test_a_stream_that_breaks_off(ask, stream):
    received = []
    with pytest.raises(Exception) as error:  # noqa: PT011 - each SDK has its own error
        received.extend(ask(stream))
    assert not isinstance(error.value, AssertionError)


TOOL = {"type": "function", "function": {"name": "find", "parameters": {"type": "object", "properties": {}}}}


@pytest.mark.behaviour("openai.chat", "one_call")
def test_a_request_of_another_format_is_a_miss(tape):
    with tape.expect_misses() as misses, pytest.raises(errors.CassetteMiss):
        httpx.post("https://api.anthropic.com/v1/messages", json={"messages": MESSAGES, "max_tokens": 1})
    [miss] = misses
    assert str(miss).endswith(
        '@pytest.mark.behaviour("openai.chat", "one_call") answers only requests in the wire format openai.chat, '
        'but the request has the wire format anthropic; write @pytest.mark.behaviour("anthropic", "one_call"), '
        "or send the request in the wire format openai.chat"
    )


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"messages": MESSAGES, "tools": [TOOL]}, "an unstreamed answer has no deltas"),
        ({"messages": MESSAGES, "stream": True}, "but the request offers none; offer a tool in the request"),
    ],
)
@pytest.mark.behaviour("openai.chat", "interleaved_deltas")
def test_a_request_that_the_behaviour_cannot_answer_is_a_miss(tape, body, reason):
    with tape.expect_misses() as misses, pytest.raises(errors.CassetteMiss):
        httpx.post("https://api.openai.com/v1/chat/completions", json=body)
    assert reason in str(misses[0])


@pytest.mark.behaviour("gemini", "three_parallel_calls")
@pytest.mark.parametrize("parameters", ["", "?$alt=json;enum-encoding=int", "?alt=sse"])
def test_a_stream_of_vertex_ai_is_an_array_unless_events_are_requested(parameters):
    model = "projects/p/locations/l/publishers/google/models/gemini-2.5-flash"
    url = f"https://l-aiplatform.googleapis.com/v1/{model}:streamGenerateContent{parameters}"
    declaration = {"name": "find", "parameters": {"type": "OBJECT", "properties": {"text": {"type": "STRING"}}}}
    body = {"contents": [{"parts": [{"text": "x"}]}], "tools": [{"functionDeclarations": [declaration]}]}
    answer = httpx.post(url, json=body)
    assert answer.text.startswith("data: " if "sse" in parameters else "[")
    assert [call.name for call in multitrack.decode(answer.content, "gemini.stream")] == ["find"] * 3
