"""`stream=True` with a response_model: each model the moment its call is complete, and what a stream can end in."""

import asyncio
import json
import threading
import time
from collections.abc import Iterable
from typing import Literal

import openai
import pytest
from local_provider import DONE, STREAM, Answer, Cut, event
from pydantic import BaseModel

import multitrack
from multitrack import Extraction, ExtractionStream, ToolCall
from multitrack.errors import (
    ExtractionError,
    InvalidArguments,
    NoToolCalls,
    Refusal,
    StreamBroken,
    StreamNotFinished,
    TruncatedResponse,
    UnknownTool,
)


class Weather(BaseModel):
    location: str
    units: Literal["imperial", "metric"]


class GoogleSearch(BaseModel):
    query: str


class Now(BaseModel):
    """The time."""


BOTH = Iterable[Weather | GoogleSearch | Now]
TORONTO = Weather(location="Toronto", units="metric")
SEARCH = GoogleSearch(query="super bowl")


def call(index, name=None, arguments=None, call_id=None):
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    return {"index": index, "function": function, **({"id": call_id, "type": "function"} if call_id else {})}


def calls(*fragments):
    return event(tool_calls=list(fragments))


def end(finish="tool_calls"):
    return event().replace(b'"finish_reason": null', f'"finish_reason": "{finish}"'.encode())


FIRST = [
    calls(call(0, "Weather", '{"location": "Toronto", ', "call_a")),
    calls(call(0, None, '"units": "metric"}')),
]
SECOND = [calls(call(1, "GoogleSearch", "", "call_b")), calls(call(1, None, '{"query": "super bowl"}'))]
WHOLE = [event("Let me look."), *FIRST, *SECOND, end(), DONE]


class Reading:
    """A stream of either kind, as plain functions."""

    def __init__(self, stream, runner):
        self.stream = stream
        self._run = runner.run if runner else None

    def next(self):
        return self._run(anext(self.stream)) if self._run else next(self.stream)

    def close(self):
        closing = self.stream.close()
        return self._run(_awaited(closing)) if self._run else closing

    def rest(self):
        return self._run(_all(self.stream)) if self._run else list(self.stream)

    def one_within_a_block(self):
        return self._run(_one(self.stream)) if self._run else _first(self.stream)

    def failure(self):
        """The models, and the error that comes behind them."""
        models = []
        try:
            while True:
                models.append(self.next())
        except ExtractionError as error:
            return models, error


async def _awaited(awaitable):
    return await awaitable


def _first(stream):
    with stream:
        return next(iter(stream))


async def _one(stream):
    async with stream:
        return await anext(aiter(stream))


async def _all(stream):
    return [model async for model in stream]


@pytest.fixture(params=["sync", "async"])
def ask(request, provider):
    """A function of the body that the provider streams, piece by piece, and of arguments of `create`."""
    provider.silence()
    runner = asyncio.Runner() if request.param == "async" else None
    made = openai.AsyncOpenAI if runner else openai.OpenAI
    client = multitrack.from_openai(made(api_key="key-0", base_url=f"{provider.url}/v1", max_retries=0))

    def asked(body, status=200, **arguments):
        headers = {"content-type": "application/json"} if status >= 400 else STREAM
        provider.reply = lambda _: Answer(body if isinstance(body, bytes) else iter(body), status, headers)
        arguments = {"response_model": BOTH, "messages": [{"role": "user", "content": "hi"}], **arguments}
        answer = client.chat.completions.create(model="gpt-4o-mini", stream=True, **arguments)
        return Reading(runner.run(answer) if runner else answer, runner)

    yield asked
    if runner:
        runner.run(client.close())
        runner.close()
    else:
        client.close()


def test_the_whole_of_a_stream(ask, provider):
    reading = ask(WHOLE)
    assert isinstance(reading.stream, ExtractionStream)
    models = reading.rest()
    assert models == [TORONTO, SEARCH]
    extraction = reading.stream.extraction
    assert isinstance(extraction, Extraction)
    assert extraction == models
    assert all(one is other for one, other in zip(extraction, models, strict=True))
    assert extraction.calls == (
        ToolCall("call_a", "Weather", '{"location": "Toronto", "units": "metric"}', 0),
        ToolCall("call_b", "GoogleSearch", '{"query": "super bowl"}', 1),
    )
    assert (extraction.text, extraction.errors, extraction.usage) == ("Let me look.", (), None)
    assert extraction.raw is reading.stream.raw
    assert extraction.raw.response.status_code == 200
    assert provider.requests[0].json == {
        "model": "gpt-4o-mini",
        "stream": True,
        "messages": [{"role": "user", "content": "hi"}],
        "tool_choice": "auto",
        "tools": multitrack.Toolset(BOTH).schemas("openai.chat"),
    }
    assert reading.rest() == []


def test_a_model_comes_before_the_next_call_has_arrived(ask):
    go_on = threading.Event()

    def body():
        yield from FIRST
        assert go_on.wait(10)
        yield from [*SECOND, end(), DONE]

    reading = ask(body())
    assert reading.next() == TORONTO
    with pytest.raises(StreamNotFinished, match=r"^the stream has not ended yet; read all its models before"):
        _ = reading.stream.extraction
    go_on.set()
    assert reading.rest() == [SEARCH]


def test_models_come_in_the_order_of_their_completion(ask):
    body = [
        calls(call(0, "Weather", '{"location": ', "call_a"), call(1, "GoogleSearch", '{"query": ', "call_b")),
        calls(call(1, None, '"super bowl"}')),
        calls(call(0, None, '"Toronto", "units": "metric"}')),
        end(),
        DONE,
    ]
    reading = ask(body)
    assert reading.rest() == [SEARCH, TORONTO]
    assert reading.stream.extraction == [TORONTO, SEARCH]
    assert [call.index for call in reading.stream.extraction.calls] == [0, 1]


def test_a_call_without_arguments_is_complete_at_the_end(ask):
    assert ask([calls(call(0, "Now", "", "call_a")), end(), DONE]).rest() == [Now()]


@pytest.mark.parametrize("leave", ["close", "block"])
def test_leaving_closes_the_connection_at_once(ask, leave):
    sent = []

    def body():
        yield from FIRST
        while len(sent) < 1000:
            yield b": keep alive " + b"." * 4096 + b"\n\n"
            sent.append(time.monotonic())
            time.sleep(0.01)

    reading = ask(body())
    if leave == "close":
        assert reading.next() == TORONTO
        reading.close()
        reading.close()
    else:
        assert reading.one_within_a_block() == TORONTO
    # the provider's next writes fail, and it sends no more
    while sent and time.monotonic() - sent[-1] < 0.3:
        time.sleep(0.01)
    assert len(sent) < 100
    assert reading.rest() == []
    with pytest.raises(StreamNotFinished, match=r"^the stream was closed before it ended; "):
        _ = reading.stream.extraction


def cut_off(*pieces):
    yield from pieces
    raise Cut


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(lambda: [*FIRST, SECOND[0]], "before the response was complete", id="ends early"),
        pytest.param(
            lambda: [*FIRST, SECOND[0], b'data: {"error": {"message": "overloaded"}}\n\n'], "overloaded", id="error"
        ),
        pytest.param(
            lambda: [*FIRST, SECOND[0], b'event: error\ndata: {"message": "overloaded"}\n\n'],
            "overloaded",
            id="error event",
        ),
        pytest.param(lambda: cut_off(*FIRST, SECOND[0]), "RemoteProtocolError: ", id="connection lost"),
    ],
)
@pytest.mark.parametrize("on_error", ["raise", "collect"])
def test_a_broken_stream(ask, body, reason, on_error):
    reading = ask(body(), on_error=on_error)
    models, error = reading.failure()
    assert models == [TORONTO]
    assert type(error) is StreamBroken
    head, detail = str(error).splitlines()
    assert head.startswith(f"the stream ended early ({reason}")
    assert head.endswith("); 1 of 2 calls are valid:")
    assert detail == (
        "- call 2 of 2 (id 'call_b'), GoogleSearch: the stream ended before this call was complete; received so far: ''"
    )
    assert error.models == (TORONTO,)
    assert [call.name for call in error.calls] == ["Weather", "GoogleSearch"]
    assert [bad.call.name for bad in error.errors] == ["GoogleSearch"]
    with pytest.raises(StreamBroken) as again:
        _ = reading.stream.extraction
    assert again.value is error
    assert reading.rest() == []


def test_a_call_that_only_the_end_would_complete_is_not_complete_in_a_broken_stream(ask):
    models, error = ask([calls(call(0, "Now", "", "call_a"))]).failure()
    assert (models, error.models, [call.name for call in error.calls]) == ([], (), ["Now"])


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ([*FIRST, calls(call(1, "GoogleSearch", '{"query": "su', "call_b")), end("length"), DONE], TruncatedResponse),
        ([*FIRST, event(refusal="I will not."), end("stop"), DONE], Refusal),
        ([*FIRST, calls(call(1, "Stocks", "{}", "call_b")), end(), DONE], UnknownTool),
        ([*FIRST, calls(call(1, "GoogleSearch", '{"query": 1}', "call_b")), end(), DONE], InvalidArguments),
    ],
)
def test_what_is_wrong_with_the_answer_comes_behind_the_good_models(ask, body, kind):
    models, error = ask(body).failure()
    assert models == [TORONTO]
    assert type(error) is kind
    assert error.models == (TORONTO,)
    collected = ask(body, on_error="collect")
    assert collected.rest() == [TORONTO]
    assert {type(one) for one in collected.stream.extraction.errors} >= {kind}


def test_a_good_call_behind_a_bad_one_still_comes(ask):
    body = [calls(call(0, "Weather", '{"units": 1}', "call_a")), *SECOND, end(), DONE]
    models, error = ask(body).failure()
    assert models == [SEARCH]
    assert str(error).startswith("call 1 of 2 (id 'call_a'), Weather: the arguments do not match the model\n")


def test_an_answer_without_calls(ask):
    body = [event("Hello "), event("there."), end("stop"), DONE]
    models, error = ask(body).failure()
    assert (models, type(error), error.text) == ([], NoToolCalls, "Hello there.")
    empty = ask(body, allow_empty=True)
    assert (empty.rest(), empty.stream.extraction, empty.stream.extraction.text) == ([], [], "Hello there.")


def test_an_error_instead_of_a_stream_is_the_sdks(ask):
    with pytest.raises(openai.RateLimitError):
        ask(json.dumps({"error": {"message": "slow down"}}).encode(), status=429)


def test_an_answer_that_is_not_streamed_after_all(ask):
    whole = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "choices": [{"index": 0, "finish_reason": "tool_calls",
                     "message": {"role": "assistant", "tool_calls": [call(0, "GoogleSearch", '{"query": "x"}', "a")]}}],
    }  # fmt: skip
    assert ask(json.dumps(whole).encode()).rest() == [GoogleSearch(query="x")]


def test_usage_is_there_if_it_was_asked_for(ask, provider):
    usage = b'data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}}\n\n'
    reading = ask([*WHOLE[:-1], usage, DONE], stream_options={"include_usage": True})
    assert reading.stream.usage is None
    reading.rest()
    assert provider.requests[0].json["stream_options"] == {"include_usage": True}
    assert isinstance(reading.stream.usage, openai.types.CompletionUsage)
    assert reading.stream.extraction.usage.total_tokens == reading.stream.usage.total_tokens == 7


def test_what_was_yielded_is_not_asked_for_again(ask, provider):
    with pytest.raises(TypeError, match=r"^pass either max_retries= or stream=True, not both: "):
        ask(WHOLE, max_retries=1)
    assert provider.requests == []


def test_the_wrong_loop_says_which_one_is_right(ask):
    reading = ask(WHOLE)
    if hasattr(reading.stream.raw, "__aiter__"):
        with pytest.raises(
            TypeError, match=r"^this stream comes from an asynchronous client; use async for or async with$"
        ):
            iter(reading.stream)
    else:
        with pytest.raises(TypeError, match=r"^this stream comes from a synchronous client; use for or with$"):
            reading.stream.__aiter__()
    assert reading.rest() == [TORONTO, SEARCH]
