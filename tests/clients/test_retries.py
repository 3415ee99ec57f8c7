"""Retries: what is sent back for invalid calls, and which calls the corrections replace.

Over three wire formats, sync and async.
"""

import asyncio
import json
from collections.abc import Iterable
from importlib import import_module
from typing import Literal

import httpx
import openai
import pytest
from google import genai
from google.genai import types
from local_provider import MockProvider, ProviderAnswer
from pydantic import BaseModel, ValidationInfo, field_validator

import multitrack
from multitrack import Mode
from multitrack.errors import InvalidArguments, Refusal, TruncatedResponse, UnknownTool


class Weather(BaseModel):
    location: str
    units: Literal["imperial", "metric"] = "metric"


class GoogleSearch(BaseModel):
    query: str


BOTH = Iterable[Weather | GoogleSearch]
ACCEPTED = "accepted; do not make this call again"


class Chat:
    """OpenAI's chat completions."""

    key = "messages"
    first_turn = ({"role": "user", "content": "Plan the trip"},)

    mode = Mode.PARALLEL_TOOLS

    httpx = import_module("httpx2" if openai.VERSION.startswith("3") else "httpx")

    def ask(self, provider, arguments):
        with openai.OpenAI(api_key="key-0", http_client=provider.http_client()) as client:
            return multitrack.from_openai(client, mode=self.mode).create(**arguments)

    async def ask_async(self, provider, arguments):
        async with openai.AsyncOpenAI(api_key="key-0", http_client=provider.async_http_client()) as client:
            return await multitrack.from_openai(client, mode=self.mode).create(**arguments)

    def arguments(self, messages):
        return {"model": "gpt-4o-mini", "messages": messages}

    def response(self, *calls, text=None, finish="tool_calls", refusal=None):
        tool_calls = [
            {"id": call_id, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
            for call_id, name, arguments in calls
        ]
        message = {"role": "assistant", "content": text, "refusal": refusal, "tool_calls": tool_calls or None}
        choice = {"index": 0, "finish_reason": finish, "message": message}
        return {"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4o-mini", "choices": [choice]}

    def turn(self, *calls, results=(), text=None, remark=None):
        """Return what a retry appends to the conversation after a response with ``calls``."""
        tool_calls = self.response(*calls)["choices"][0]["message"]["tool_calls"]
        message = [{"role": "assistant", "content": text, **({"tool_calls": tool_calls} if tool_calls else {})}]
        tool_results = [
            {"role": "tool", "tool_call_id": call[0], "content": result}
            for call, result in zip(calls, results, strict=True)
        ]
        remarks = [{"role": "user", "content": remark}] if remark else []
        return [*(message if text or tool_calls else []), *tool_results, *remarks]

    limit = "length"


class Responses(Chat):
    """OpenAI's Responses API."""

    key = "input"
    limit = "max_output_tokens"

    mode = Mode.RESPONSES_PARALLEL_TOOLS

    def arguments(self, messages):
        return {"model": "gpt-4o-mini", "input": messages}

    def response(self, *calls, text=None, finish="tool_calls", refusal=None):
        content = {"type": "refusal", "refusal": refusal} if refusal else {"type": "output_text", "text": text}
        output = [{"id": "m", "type": "message", "role": "assistant", "status": "completed", "content": [content]}]
        output = (output if text or refusal else []) + self._items(calls)
        cut = {"status": "incomplete", "incomplete_details": {"reason": finish}} if finish == self.limit else {}
        return {"id": "r", "object": "response", "created_at": 1, "status": "completed", "output": output,
                "model": "gpt-4o-mini", **cut}  # fmt: skip

    def _items(self, calls):
        return [
            {"id": f"f{call_id}", "type": "function_call", "status": "completed", "call_id": call_id, "name": name,
             "arguments": json.dumps(arguments)}
            for call_id, name, arguments in calls
        ]  # fmt: skip

    def turn(self, *calls, results=(), text=None, remark=None):
        tool_results = [
            {"type": "function_call_output", "call_id": call[0], "output": result}
            for call, result in zip(calls, results, strict=True)
        ]
        output = self.response(*calls, text=text)["output"]
        return [*output, *tool_results, *([{"role": "user", "content": remark}] if remark else [])]


class Gemini(Chat):
    """The Gemini API, through google-genai."""

    key = "contents"
    first_turn = ({"role": "user", "parts": [{"text": "Plan the trip"}]},)
    limit = "MAX_TOKENS"

    httpx = httpx

    def ask(self, provider, arguments):
        with provider.http_client() as own:
            sdk = genai.Client(api_key="key-0", http_options=types.HttpOptions(httpx_client=own))
            return multitrack.from_genai(sdk, model="gemini-2.0-flash").create(**arguments)

    async def ask_async(self, provider, arguments):
        async with provider.async_http_client() as own:
            sdk = genai.Client(api_key="key-0", http_options=types.HttpOptions(httpx_async_client=own))
            return await multitrack.from_genai(sdk, model="gemini-2.0-flash").create_async(**arguments)

    def arguments(self, messages):
        return {"messages": messages}

    def response(self, *calls, text=None, finish="STOP", refusal=None):
        parts = [*([{"text": text}] if text else []), *self._parts(calls)]
        finish = "SAFETY" if refusal else finish
        return {"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": finish}]}

    def _parts(self, calls):
        return [
            {"functionCall": {"id": call_id, "name": name, "args": arguments}, "thoughtSignature": "c2ln"}
            for call_id, name, arguments in calls
        ]

    def turn(self, *calls, results=(), text=None, remark=None):
        tool_results = [
            {"functionResponse": {"id": call[0], "name": call[1],
                                  "response": {"output" if result == ACCEPTED else "error": result}}}
            for call, result in zip(calls, results, strict=True)
        ]  # fmt: skip
        parts = [*([{"text": text}] if text else []), *self._parts(calls)]
        # in separate contents, because Vertex AI rejects a content with both tool results and a remark
        turns = (("model", parts), ("user", tool_results), ("user", [{"text": remark}] if remark else []))
        return [{"role": role, "parts": parts} for role, parts in turns if parts]


def as_answer(response):
    return response if isinstance(response, ProviderAnswer) else ProviderAnswer(json.dumps(response).encode())


@pytest.fixture(params=[Chat(), Responses(), Gemini()],
                ids=lambda wire: type(wire).__name__)  # fmt: skip
def wire(request):
    return request.param


@pytest.fixture
def provider(wire):
    return MockProvider(wire.httpx)


@pytest.fixture(params=["sync", "async"])
def create(request, wire, provider):
    """A function that calls ``create`` with the responses of the provider, in order, and arguments."""
    is_async = request.param == "async"

    def call_create(*responses, messages=None, **arguments):
        waiting = list(responses)
        provider.reply = lambda _: as_answer(waiting.pop(0))
        messages = [{"role": "user", "content": "Plan the trip"}] if messages is None else messages
        arguments = {"response_model": BOTH, **wire.arguments(messages), **arguments}
        return asyncio.run(wire.ask_async(provider, arguments)) if is_async else wire.ask(provider, arguments)

    return call_create


@pytest.fixture
def conversations(wire, provider):
    """A function that returns what each request appends to the caller's conversation."""

    def follow_ups():
        conversations = [request.json[wire.key] for request in provider.requests]
        assert all(messages[: len(wire.first_turn)] == list(wire.first_turn) for messages in conversations)
        return [messages[len(wire.first_turn) :] for messages in conversations]

    return follow_ups


GOOD = ("a", "Weather", {"location": "Toronto"})
KELVIN = ("b", "Weather", {"location": "Dallas", "units": "kelvin"})
METRIC = ("c", "Weather", {"location": "Dallas", "units": "metric"})
UNKNOWN = ("d", "Search", {"query": "super bowl"})
SEARCH = ("e", "GoogleSearch", {"query": "super bowl"})
NOT_KELVIN = (
    "rejected: call 2 of 3 (id 'b'), Weather: the arguments do not match the model\n"
    "  $.units: Input should be 'imperial' or 'metric', got 'kelvin'\n"
    "Correct this call and make it again."
)
NO_SEARCH = (
    "rejected: call {place} (id 'd'), Search: this tool was not offered; offered tools: Weather, GoogleSearch\n"
    "Correct this call and make it again."
)
PLAN = [
    Weather(location="Toronto"),
    Weather(location="Dallas", units="metric"),
    GoogleSearch(query="super bowl"),
]


def test_only_invalid_calls_are_corrected(create, wire, conversations):
    messages = [{"role": "user", "content": "Plan the trip"}]
    extraction = create(wire.response(GOOD, KELVIN, SEARCH), wire.response(METRIC), messages=messages, max_retries=1)
    assert extraction == PLAN
    assert [(call.id, call.index) for call in extraction.calls] == [("a", 0), ("c", 1), ("e", 2)]
    assert extraction.errors == ()
    assert [type(error) for error in extraction.attempts] == [InvalidArguments]
    assert extraction.attempts[0].models == (PLAN[0], PLAN[2])
    assert extraction[0] is extraction.attempts[0].models[0]
    assert conversations() == [[], wire.turn(GOOD, KELVIN, SEARCH, results=[ACCEPTED, NOT_KELVIN, ACCEPTED])]
    assert messages == [{"role": "user", "content": "Plan the trip"}]


def test_a_valid_response_is_not_retried(create, wire, conversations):
    extraction = create(wire.response(GOOD, SEARCH), max_retries=3)
    assert extraction == [PLAN[0], PLAN[2]]
    assert extraction.attempts == ()
    assert conversations() == [[]]


def test_corrections_replace_the_invalid_calls_in_any_order(create, wire):
    responses = [wire.response(UNKNOWN, GOOD, KELVIN), wire.response(METRIC, SEARCH)]
    assert create(*responses, max_retries=1) == [PLAN[2], PLAN[0], PLAN[1]]


def test_calls_can_be_corrected_one_at_a_time(create, wire, conversations):
    first, second, third = wire.response(GOOD, KELVIN, UNKNOWN), wire.response(SEARCH), wire.response(METRIC)
    extraction = create(first, second, third, max_retries=2)
    assert extraction == PLAN
    assert [len(error.errors) for error in extraction.attempts] == [2, 1]
    remark = (
        "These calls were rejected and are still missing. Correct them and make them again:\n"
        "- call 2 of 3 (id 'b'), Weather: the arguments do not match the model\n"
        "  $.units: Input should be 'imperial' or 'metric', got 'kelvin'"
    )
    one = wire.turn(GOOD, KELVIN, UNKNOWN, results=[ACCEPTED, NOT_KELVIN, NO_SEARCH.format(place="3 of 3")])
    two = wire.turn(SEARCH, results=[ACCEPTED], remark=remark)
    assert conversations() == [[], one, one + two]


def test_repeated_accepted_calls_count_once(create, wire):
    again = ("z", *GOOD[1:])
    extraction = create(wire.response(GOOD, KELVIN, SEARCH), wire.response(again, METRIC, SEARCH), max_retries=1)
    assert extraction == PLAN
    assert [call.id for call in extraction.calls] == ["a", "c", "e"]


def test_an_additional_call_is_appended(create, wire):
    more = ("f", "GoogleSearch", {"query": "hotels"})
    extraction = create(wire.response(GOOD, KELVIN), wire.response(METRIC, more), max_retries=1)
    assert extraction == [PLAN[0], PLAN[1], GoogleSearch(query="hotels")]
    assert [call.index for call in extraction.calls] == [0, 1, 2]


def test_a_response_without_calls_gets_the_remaining_errors_as_a_remark(create, wire, conversations):
    responses = [wire.response(KELVIN), wire.response(text="Sorry.", finish="STOP"), wire.response(METRIC)]
    assert create(*responses, max_retries=2) == [PLAN[1]]
    remark = (
        "These calls were rejected and are still missing. Correct them and make them again:\n"
        "- call 1 of 1 (id 'b'), Weather: the arguments do not match the model\n"
        "  $.units: Input should be 'imperial' or 'metric', got 'kelvin'"
    )
    assert conversations()[2][-len(wire.turn(text="Sorry.", remark=remark)) :] == wire.turn(
        text="Sorry.", remark=remark
    )


def test_a_tool_name_that_the_provider_would_reject_is_sanitized(create, wire, conversations):
    wrapper = ("m", "multi_tool_use.parallel", {"tool_uses": []})
    assert create(wire.response(wrapper), wire.response(SEARCH), max_retries=1) == [PLAN[2]]
    name = "multi_tool_use.parallel" if wire.key == "contents" else "multi_tool_use_parallel"
    [message] = [turn for turn in conversations()[1] if name in json.dumps(turn) and "rejected" not in json.dumps(turn)]
    assert message == wire.turn(("m", name, {"tool_uses": []}), results=["no"])[0]


def test_the_error_has_the_errors_of_every_attempt(create, wire, provider):
    worse = ("x", "Weather", {"location": "Dallas", "units": "rankine"})
    responses = [wire.response(GOOD, KELVIN), wire.response(worse), wire.response(KELVIN)]
    with pytest.raises(InvalidArguments) as raised:
        create(*responses, max_retries=2)
    error = raised.value
    assert len(provider.requests) == 3
    assert error.models == (PLAN[0],)
    assert [call.id for call in error.calls] == ["a", "b"]
    assert [[call.id for call in attempt.calls] for attempt in error.attempts] == [["a", "b"], ["a", "x"]]
    assert [attempt.details[0]["input"] for attempt in error.attempts] == ["kelvin", "rankine"]
    assert len({id(attempt.raw) for attempt in (*error.attempts, error)}) == 3
    assert error.__notes__ == ["the model was asked 3 times; .attempts has the errors of earlier responses"]


def test_calls_that_stay_invalid_are_collected(create, wire):
    extraction = create(wire.response(GOOD, UNKNOWN), wire.response(UNKNOWN), max_retries=1, on_error="collect")
    assert extraction == [PLAN[0]]
    assert [type(error) for error in extraction.errors] == [UnknownTool]
    assert [type(error) for error in extraction.attempts] == [UnknownTool]


@pytest.mark.parametrize(
    ("fault", "error"),
    [({"refusal": "I will not."}, Refusal), ({"finish": True}, TruncatedResponse)],
    ids=["refused", "cut off"],
)
def test_a_refused_or_truncated_response_is_not_retried(create, wire, provider, fault, error):
    fault = {"finish": wire.limit} if "finish" in fault else fault
    with pytest.raises(error):
        create(wire.response(KELVIN, **fault), max_retries=3)
    assert len(provider.requests) == 1


def test_an_error_of_the_provider_is_raised_by_the_sdk(create, wire, provider):
    body = {"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT"}}
    with pytest.raises((openai.BadRequestError, genai.errors.ClientError)):
        create(wire.response(KELVIN), ProviderAnswer(json.dumps(body).encode(), 400), max_retries=3)
    assert len(provider.requests) == 2


@pytest.mark.parametrize("number", [-1, "2", None])
def test_an_invalid_number_of_retries_is_rejected(create, provider, number):
    with pytest.raises(TypeError, match=r"^max_retries must be an integer of at least 0, not "):
        create(max_retries=number)
    assert provider.requests == []


def test_messages_can_be_an_iterator(create, wire, conversations):
    once = iter([{"role": "user", "content": "Plan the trip"}])
    assert create(wire.response(KELVIN), wire.response(METRIC), messages=once, max_retries=1) == [PLAN[1]]
    assert len(conversations()) == 2


class Ingredient(BaseModel):
    name: str

    @field_validator("name")
    @classmethod
    def check_name(cls, name, info: ValidationInfo):
        info.context.append(name)
        if name != "salt":
            raise ValueError("only salt is allowed")
        return name


def test_each_call_is_validated_once(create, wire):
    salt, soap = ("a", "Ingredient", {"name": "salt"}), ("b", "Ingredient", {"name": "soap"})
    seen = []
    responses = [wire.response(salt, soap), wire.response(salt)]
    create(*responses, response_model=Iterable[Ingredient], max_retries=1, context=seen)
    assert seen == ["salt", "soap", "salt"]
