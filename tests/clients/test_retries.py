"""Asking again: what is sent back for bad calls, and where the corrected ones go; over three wires, sync and async."""

import asyncio
import json
from collections.abc import Iterable
from typing import Literal

import httpx
import openai
import pytest
from google import genai
from google.genai import types
from local_provider import Answer
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
    asked = ({"role": "user", "content": "Plan the trip"},)

    mode = Mode.PARALLEL_TOOLS

    def ask(self, url, arguments):
        with openai.OpenAI(api_key="key-0", base_url=f"{url}/v1") as client:
            return multitrack.from_openai(client, mode=self.mode).create(**arguments)

    async def ask_async(self, url, arguments):
        async with openai.AsyncOpenAI(api_key="key-0", base_url=f"{url}/v1") as client:
            return await multitrack.from_openai(client, mode=self.mode).create(**arguments)

    def arguments(self, messages):
        return {"model": "gpt-4o-mini", "messages": messages}

    def answer(self, *calls, text=None, finish="tool_calls", refusal=None):
        made = [
            {"id": call_id, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
            for call_id, name, arguments in calls
        ]
        message = {"role": "assistant", "content": text, "refusal": refusal, "tool_calls": made or None}
        choice = {"index": 0, "finish_reason": finish, "message": message}
        return {"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4o-mini", "choices": [choice]}

    def turn(self, *calls, results=(), text=None, remark=None):
        """What stands behind the conversation after an answer with ``calls``."""
        made = self.answer(*calls)["choices"][0]["message"]["tool_calls"]
        said = [{"role": "assistant", "content": text, **({"tool_calls": made} if made else {})}]
        told = [
            {"role": "tool", "tool_call_id": call[0], "content": result}
            for call, result in zip(calls, results, strict=True)
        ]
        return [*(said if text or made else []), *told, *([{"role": "user", "content": remark}] if remark else [])]

    limit = "length"


class Responses(Chat):
    """OpenAI's Responses API."""

    key = "input"
    limit = "max_output_tokens"

    mode = Mode.RESPONSES_PARALLEL_TOOLS

    def arguments(self, messages):
        return {"model": "gpt-4o-mini", "input": messages}

    def answer(self, *calls, text=None, finish="tool_calls", refusal=None):
        said = {"type": "refusal", "refusal": refusal} if refusal else {"type": "output_text", "text": text}
        output = [{"id": "m", "type": "message", "role": "assistant", "status": "completed", "content": [said]}]
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
        told = [
            {"type": "function_call_output", "call_id": call[0], "output": result}
            for call, result in zip(calls, results, strict=True)
        ]
        output = self.answer(*calls, text=text)["output"]
        return [*output, *told, *([{"role": "user", "content": remark}] if remark else [])]


class Gemini(Chat):
    """The Gemini API, by google-genai."""

    key = "contents"
    asked = ({"role": "user", "parts": [{"text": "Plan the trip"}]},)
    limit = "MAX_TOKENS"

    def ask(self, url, arguments):
        with httpx.Client() as own:
            sdk = genai.Client(api_key="key-0", http_options=types.HttpOptions(base_url=url, httpx_client=own))
            return multitrack.from_genai(sdk, model="gemini-2.0-flash").create(**arguments)

    async def ask_async(self, url, arguments):
        async with httpx.AsyncClient() as own:
            sdk = genai.Client(api_key="key-0", http_options=types.HttpOptions(base_url=url, httpx_async_client=own))
            return await multitrack.from_genai(sdk, model="gemini-2.0-flash").create_async(**arguments)

    def arguments(self, messages):
        return {"messages": messages}

    def answer(self, *calls, text=None, finish="STOP", refusal=None):
        parts = [*([{"text": text}] if text else []), *self._parts(calls)]
        finish = "SAFETY" if refusal else finish
        return {"candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": finish}]}

    def _parts(self, calls):
        return [
            {"functionCall": {"id": call_id, "name": name, "args": arguments}, "thoughtSignature": "c2ln"}
            for call_id, name, arguments in calls
        ]

    def turn(self, *calls, results=(), text=None, remark=None):
        told = [
            {"functionResponse": {"id": call[0], "name": call[1],
                                  "response": {"output" if result == ACCEPTED else "error": result}}}
            for call, result in zip(calls, results, strict=True)
        ]  # fmt: skip
        said = [*([{"text": text}] if text else []), *self._parts(calls)]
        # Vertex refuses results and a remark in one content
        turns = (("model", said), ("user", told), ("user", [{"text": remark}] if remark else []))
        return [{"role": role, "parts": parts} for role, parts in turns if parts]


def replied(answer):
    return answer if isinstance(answer, Answer) else Answer(json.dumps(answer).encode())


@pytest.fixture(params=[Chat(), Responses(), Gemini()],
                ids=lambda wire: type(wire).__name__)  # fmt: skip
def wire(request):
    return request.param


@pytest.fixture(params=["sync", "async"])
def create(request, wire, provider):
    """`create` of a client, as a plain function of the provider's answers and of arguments."""
    is_async = request.param == "async"

    def ask(*answers, messages=None, **arguments):
        waiting = list(answers)
        provider.reply = lambda _: replied(waiting.pop(0))
        messages = [{"role": "user", "content": "Plan the trip"}] if messages is None else messages
        arguments = {"response_model": BOTH, **wire.arguments(messages), **arguments}
        return asyncio.run(wire.ask_async(provider.url, arguments)) if is_async else wire.ask(provider.url, arguments)

    return ask


@pytest.fixture
def conversations(wire, provider):
    """What each request said, behind what the caller asked."""

    def said():
        sent = [request.json[wire.key] for request in provider.requests]
        assert all(messages[: len(wire.asked)] == list(wire.asked) for messages in sent)
        return [messages[len(wire.asked) :] for messages in sent]

    return said


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


def test_only_what_failed_is_sent_back_and_corrected(create, wire, conversations):
    messages = [{"role": "user", "content": "Plan the trip"}]
    extraction = create(wire.answer(GOOD, KELVIN, SEARCH), wire.answer(METRIC), messages=messages, max_retries=1)
    assert extraction == PLAN
    assert [(call.id, call.index) for call in extraction.calls] == [("a", 0), ("c", 1), ("e", 2)]
    assert extraction.errors == ()
    assert [type(error) for error in extraction.attempts] == [InvalidArguments]
    assert extraction.attempts[0].models == (PLAN[0], PLAN[2])
    assert extraction[0] is extraction.attempts[0].models[0]
    assert conversations() == [[], wire.turn(GOOD, KELVIN, SEARCH, results=[ACCEPTED, NOT_KELVIN, ACCEPTED])]
    assert messages == [{"role": "user", "content": "Plan the trip"}]


def test_a_good_answer_is_not_asked_for_twice(create, wire, conversations):
    extraction = create(wire.answer(GOOD, SEARCH), max_retries=3)
    assert extraction == [PLAN[0], PLAN[2]]
    assert extraction.attempts == ()
    assert conversations() == [[]]


def test_corrections_find_their_places_whatever_their_order(create, wire):
    answers = [wire.answer(UNKNOWN, GOOD, KELVIN), wire.answer(METRIC, SEARCH)]
    assert create(*answers, max_retries=1) == [PLAN[2], PLAN[0], PLAN[1]]


def test_one_correction_at_a_time(create, wire, conversations):
    first, second, third = wire.answer(GOOD, KELVIN, UNKNOWN), wire.answer(SEARCH), wire.answer(METRIC)
    extraction = create(first, second, third, max_retries=2)
    assert extraction == PLAN
    assert [len(error.errors) for error in extraction.attempts] == [2, 1]
    left = (
        "These calls were rejected and are still missing. Correct them and make them again:\n"
        "- call 2 of 3 (id 'b'), Weather: the arguments do not match the model\n"
        "  $.units: Input should be 'imperial' or 'metric', got 'kelvin'"
    )
    one = wire.turn(GOOD, KELVIN, UNKNOWN, results=[ACCEPTED, NOT_KELVIN, NO_SEARCH.format(place="3 of 3")])
    two = wire.turn(SEARCH, results=[ACCEPTED], remark=left)
    assert conversations() == [[], one, one + two]


def test_accepted_calls_that_are_made_again_count_once(create, wire):
    again = ("z", *GOOD[1:])
    extraction = create(wire.answer(GOOD, KELVIN, SEARCH), wire.answer(again, METRIC, SEARCH), max_retries=1)
    assert extraction == PLAN
    assert [call.id for call in extraction.calls] == ["a", "c", "e"]


def test_a_further_call_is_kept_behind_the_others(create, wire):
    more = ("f", "GoogleSearch", {"query": "hotels"})
    extraction = create(wire.answer(GOOD, KELVIN), wire.answer(METRIC, more), max_retries=1)
    assert extraction == [PLAN[0], PLAN[1], GoogleSearch(query="hotels")]
    assert [call.index for call in extraction.calls] == [0, 1, 2]


def test_text_alone_is_answered_with_what_is_left_to_do(create, wire, conversations):
    answers = [wire.answer(KELVIN), wire.answer(text="Sorry.", finish="STOP"), wire.answer(METRIC)]
    assert create(*answers, max_retries=2) == [PLAN[1]]
    left = (
        "These calls were rejected and are still missing. Correct them and make them again:\n"
        "- call 1 of 1 (id 'b'), Weather: the arguments do not match the model\n"
        "  $.units: Input should be 'imperial' or 'metric', got 'kelvin'"
    )
    assert conversations()[2][-len(wire.turn(text="Sorry.", remark=left)) :] == wire.turn(text="Sorry.", remark=left)


def test_a_name_that_the_provider_would_not_take_back(create, wire, conversations):
    both = ("m", "multi_tool_use.parallel", {"tool_uses": []})
    assert create(wire.answer(both), wire.answer(SEARCH), max_retries=1) == [PLAN[2]]
    name = "multi_tool_use.parallel" if wire.key == "contents" else "multi_tool_use_parallel"
    [told] = [turn for turn in conversations()[1] if name in json.dumps(turn) and "rejected" not in json.dumps(turn)]
    assert told == wire.turn(("m", name, {"tool_uses": []}), results=["no"])[0]


def test_every_attempt_stays_on_the_error(create, wire, provider):
    worse = ("x", "Weather", {"location": "Dallas", "units": "rankine"})
    answers = [wire.answer(GOOD, KELVIN), wire.answer(worse), wire.answer(KELVIN)]
    with pytest.raises(InvalidArguments) as raised:
        create(*answers, max_retries=2)
    error = raised.value
    assert len(provider.requests) == 3
    assert error.models == (PLAN[0],)
    assert [call.id for call in error.calls] == ["a", "b"]
    assert [[call.id for call in attempt.calls] for attempt in error.attempts] == [["a", "b"], ["a", "x"]]
    assert [attempt.details[0]["input"] for attempt in error.attempts] == ["kelvin", "rankine"]
    assert len({id(attempt.raw) for attempt in (*error.attempts, error)}) == 3
    assert error.__notes__ == ["the model was asked 3 times; .attempts has the errors of earlier responses"]


def test_what_is_still_bad_is_collected(create, wire):
    extraction = create(wire.answer(GOOD, UNKNOWN), wire.answer(UNKNOWN), max_retries=1, on_error="collect")
    assert extraction == [PLAN[0]]
    assert [type(error) for error in extraction.errors] == [UnknownTool]
    assert [type(error) for error in extraction.attempts] == [UnknownTool]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [({"refusal": "I will not."}, Refusal), ({"finish": True}, TruncatedResponse)],
    ids=["refused", "cut off"],
)
def test_an_answer_that_is_itself_at_fault_is_not_asked_for_again(create, wire, provider, fault, kind):
    fault = {"finish": wire.limit} if "finish" in fault else fault
    with pytest.raises(kind):
        create(wire.answer(KELVIN, **fault), max_retries=3)
    assert len(provider.requests) == 1


def test_an_error_of_the_provider_is_the_sdks(create, wire, provider):
    refused = {"error": {"code": 400, "message": "no", "status": "INVALID_ARGUMENT"}}
    with pytest.raises((openai.BadRequestError, genai.errors.ClientError)):
        create(wire.answer(KELVIN), Answer(json.dumps(refused).encode(), 400), max_retries=3)
    assert len(provider.requests) == 2


@pytest.mark.parametrize("number", [-1, "2", None])
def test_a_number_that_cannot_be(create, provider, number):
    with pytest.raises(TypeError, match=r"^max_retries must be an integer of at least 0, not "):
        create(max_retries=number)
    assert provider.requests == []


def test_messages_that_can_be_read_once_only(create, wire, conversations):
    once = iter([{"role": "user", "content": "Plan the trip"}])
    assert create(wire.answer(KELVIN), wire.answer(METRIC), messages=once, max_retries=1) == [PLAN[1]]
    assert len(conversations()) == 2


class Tasted(BaseModel):
    name: str

    @field_validator("name")
    @classmethod
    def known(cls, name, info: ValidationInfo):
        info.context.append(name)
        if name != "salt":
            raise ValueError("not to my taste")
        return name


def test_the_context_reaches_validators_once_for_each_call(create, wire):
    salt, soap = ("a", "Tasted", {"name": "salt"}), ("b", "Tasted", {"name": "soap"})
    seen = []
    answers = [wire.answer(salt, soap), wire.answer(salt)]
    create(*answers, response_model=Iterable[Tasted], max_retries=1, context=seen)
    assert seen == ["salt", "soap", "salt"]
