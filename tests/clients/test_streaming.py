"""``stream=True`` with a ``response_model``: each model as soon as its call is complete, and how a stream can end."""

import asyncio
import json
import threading
import time
from collections.abc import Iterable
from contextlib import contextmanager
from importlib import import_module
from typing import Literal

import openai
import pytest
from local_provider import DONE, STREAM, ConnectionCut, MockProvider, ProviderAnswer, event
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


class Reader:
    """Plain functions to read a sync or async stream."""

    def __init__(self, stream, runner):
        self.stream = stream
        self._run = runner.run if runner else None

    def next(self):
        return self._run(anext(self.stream)) if self._run else next(self.stream)

    def close(self):
        closing = self.stream.close()
        return self._run(_await(closing)) if self._run else closing

    def remaining(self):
        return self._run(_read_all(self.stream)) if self._run else list(self.stream)

    def first_in_with_block(self):
        return self._run(_async_first(self.stream)) if self._run else _first(self.stream)

    def failure(self):
        """Return the models, and the error that is raised after them."""
        models = []
        try:
            while True:
                models.append(self.next())
        except ExtractionError as error:
            return models, error


async def _await(awaitable):
    return await awaitable


def _first(stream):
    with stream:
        return next(iter(stream))


async def _async_first(stream):
    async with stream:
        return await anext(aiter(stream))


async def _read_all(stream):
    return [model async for model in stream]


@pytest.fixture(params=["sync", "async"])
def is_async(request):
    return request.param == "async"


@contextmanager
def streaming_client(provider, is_async, **options):
    """Yield a function that calls ``create`` with the chunks that the provider streams, and arguments."""
    runner = asyncio.Runner() if is_async else None
    client_class = openai.AsyncOpenAI if is_async else openai.OpenAI
    client = multitrack.from_openai(client_class(api_key="key-0", max_retries=0, **options))

    def call_create(body, status=200, **arguments):
        headers = {"content-type": "application/json"} if status >= 400 else STREAM
        provider.reply = lambda _: ProviderAnswer(body if isinstance(body, bytes) else iter(body), status, headers)
        arguments = {"response_model": BOTH, "messages": [{"role": "user", "content": "hi"}], **arguments}
        result = client.chat.completions.create(model="gpt-4o-mini", stream=True, **arguments)
        return Reader(runner.run(result) if runner else result, runner)

    yield call_create
    if runner:
        runner.run(client.close())
        runner.close()
    else:
        client.close()


@pytest.fixture
def mock_provider():
    return MockProvider(import_module("httpx2" if openai.VERSION.startswith("3") else "httpx"))


@pytest.fixture
def ask(mock_provider, is_async):
    """Ask a provider within the process."""
    http_client = mock_provider.async_http_client() if is_async else mock_provider.http_client()
    with streaming_client(mock_provider, is_async, http_client=http_client) as asked:
        yield asked


@pytest.fixture
def ask_over_network(provider, is_async):
    """Ask a provider on a real socket."""
    provider.silence()
    with streaming_client(provider, is_async, base_url=f"{provider.url}/v1") as asked:
        yield asked


def test_a_complete_stream(ask, mock_provider):
    reader = ask(WHOLE)
    assert isinstance(reader.stream, ExtractionStream)
    models = reader.remaining()
    assert models == [TORONTO, SEARCH]
    extraction = reader.stream.extraction
    assert isinstance(extraction, Extraction)
    assert extraction == models
    assert all(one is other for one, other in zip(extraction, models, strict=True))
    assert extraction.calls == (
        ToolCall("call_a", "Weather", '{"location": "Toronto", "units": "metric"}', 0),
        ToolCall("call_b", "GoogleSearch", '{"query": "super bowl"}', 1),
    )
    assert extraction.text == "Let me look."
    assert extraction.errors == ()
    assert extraction.usage is None
    assert extraction.raw is reader.stream.raw
    assert extraction.raw.response.status_code == 200
    assert mock_provider.requests[0].json == {
        "model": "gpt-4o-mini",
        "stream": True,
        "messages": [{"role": "user", "content": "hi"}],
        "tool_choice": "auto",
        "tools": multitrack.Toolset(BOTH).schemas("openai.chat"),
    }
    assert reader.remaining() == []


def test_a_model_is_yielded_before_the_next_call_arrives(ask):
    first_was_read = threading.Event()

    def body():
        yield from FIRST
        assert first_was_read.wait(10)
        yield from [*SECOND, end(), DONE]

    reader = ask(body())
    assert reader.next() == TORONTO
    with pytest.raises(StreamNotFinished, match=r"^the stream has not ended yet; read all its models before"):
        _ = reader.stream.extraction
    first_was_read.set()
    assert reader.remaining() == [SEARCH]


def test_models_are_yielded_in_the_order_of_the_answer(ask):
    body = [
        calls(call(0, "Weather", '{"location": ', "call_a"), call(1, "GoogleSearch", '{"query": ', "call_b")),
        calls(call(1, None, '"super bowl"}')),
        calls(call(0, None, '"Toronto", "units": "metric"}')),
        end(),
        DONE,
    ]
    reader = ask(body)
    assert reader.remaining() == [TORONTO, SEARCH]
    assert reader.stream.extraction == [TORONTO, SEARCH]
    assert [call.index for call in reader.stream.extraction.calls] == [0, 1]


def test_a_call_without_arguments_is_complete_at_the_end(ask):
    assert ask([calls(call(0, "Now", "", "call_a")), end(), DONE]).remaining() == [Now()]


@pytest.mark.parametrize("how", ["close", "with block"])
def test_stopping_early_closes_the_connection_at_once(ask_over_network, how):
    sent = []

    def body():
        yield from FIRST
        while len(sent) < 1000:
            yield b": keep alive " + b"." * 4096 + b"\n\n"
            sent.append(time.monotonic())
            time.sleep(0.01)

    reader = ask_over_network(body())
    if how == "close":
        assert reader.next() == TORONTO
        reader.close()
        reader.close()
    else:
        assert reader.first_in_with_block() == TORONTO
    # the provider's next writes fail, so it stops sending
    while sent and time.monotonic() - sent[-1] < 0.3:
        time.sleep(0.01)
    assert len(sent) < 100
    assert reader.remaining() == []
    with pytest.raises(StreamNotFinished, match=r"^the stream was closed before it ended; "):
        _ = reader.stream.extraction


def drop_connection_after(*chunks):
    yield from chunks
    raise ConnectionCut


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
        pytest.param(lambda: drop_connection_after(*FIRST, SECOND[0]), "RemoteProtocolError: ", id="connection lost"),
    ],
)
@pytest.mark.parametrize("on_error", ["raise", "collect"])
def test_a_broken_stream_is_an_error_with_the_complete_models(ask, body, reason, on_error):
    reader = ask(body(), on_error=on_error)
    models, error = reader.failure()
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
    assert [call_error.call.name for call_error in error.errors] == ["GoogleSearch"]
    with pytest.raises(StreamBroken) as again:
        _ = reader.stream.extraction
    assert again.value is error
    assert reader.remaining() == []


def test_a_call_without_arguments_is_incomplete_in_a_broken_stream(ask):
    models, error = ask([calls(call(0, "Now", "", "call_a"))]).failure()
    assert models == []
    assert error.models == ()
    assert [call.name for call in error.calls] == ["Now"]


@pytest.mark.parametrize(
    ("body", "error_class"),
    [
        ([*FIRST, calls(call(1, "GoogleSearch", '{"query": "su', "call_b")), end("length"), DONE], TruncatedResponse),
        ([*FIRST, event(refusal="I will not."), end("stop"), DONE], Refusal),
        ([*FIRST, calls(call(1, "Stocks", "{}", "call_b")), end(), DONE], UnknownTool),
        ([*FIRST, calls(call(1, "GoogleSearch", '{"query": 1}', "call_b")), end(), DONE], InvalidArguments),
    ],
)
def test_the_error_of_a_response_is_raised_after_the_valid_models(ask, body, error_class):
    models, error = ask(body).failure()
    assert models == [TORONTO]
    assert type(error) is error_class
    assert error.models == (TORONTO,)
    collected = ask(body, on_error="collect")
    assert collected.remaining() == [TORONTO]
    assert {type(collected_error) for collected_error in collected.stream.extraction.errors} >= {error_class}


def test_a_valid_call_after_an_invalid_one_is_yielded(ask):
    body = [calls(call(0, "Weather", '{"units": 1}', "call_a")), *SECOND, end(), DONE]
    models, error = ask(body).failure()
    assert models == [SEARCH]
    assert str(error).startswith("call 1 of 2 (id 'call_a'), Weather: the arguments do not match the model\n")


def test_a_response_without_calls_is_an_error_unless_allowed(ask):
    body = [event("Hello "), event("there."), end("stop"), DONE]
    models, error = ask(body).failure()
    assert models == []
    assert type(error) is NoToolCalls
    assert error.text == "Hello there."
    empty = ask(body, allow_empty=True)
    assert empty.remaining() == []
    assert empty.stream.extraction == []
    assert empty.stream.extraction.text == "Hello there."


def test_an_error_instead_of_a_stream_is_raised_by_the_sdk(ask):
    with pytest.raises(openai.RateLimitError):
        ask(json.dumps({"error": {"message": "slow down"}}).encode(), status=429)


def test_a_response_that_is_not_streamed_is_read_anyway(ask):
    completion = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "choices": [{"index": 0, "finish_reason": "tool_calls",
                     "message": {"role": "assistant", "tool_calls": [call(0, "GoogleSearch", '{"query": "x"}', "a")]}}],
    }  # fmt: skip
    assert ask(json.dumps(completion).encode()).remaining() == [GoogleSearch(query="x")]


def test_usage_is_available_if_it_is_requested(ask, mock_provider):
    usage = b'data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}}\n\n'
    reader = ask([*WHOLE[:-1], usage, DONE], stream_options={"include_usage": True})
    assert reader.stream.usage is None
    reader.remaining()
    assert mock_provider.requests[0].json["stream_options"] == {"include_usage": True}
    assert isinstance(reader.stream.usage, openai.types.CompletionUsage)
    assert reader.stream.extraction.usage.total_tokens == reader.stream.usage.total_tokens == 7


def test_retries_are_not_available_for_streams(ask, mock_provider):
    with pytest.raises(TypeError, match=r"^pass either max_retries= or stream=True, not both: "):
        ask(WHOLE, max_retries=1)
    assert mock_provider.requests == []


def test_the_wrong_kind_of_loop_is_an_error_that_names_the_right_one(ask):
    reader = ask(WHOLE)
    if hasattr(reader.stream.raw, "__aiter__"):
        with pytest.raises(
            TypeError,
            match=r"^this stream comes from an asynchronous client; use an async for loop or an async with block$",
        ):
            iter(reader.stream)
    else:
        with pytest.raises(
            TypeError, match=r"^this stream comes from a synchronous client; use a for loop or a with block$"
        ):
            reader.stream.__aiter__()
    assert reader.remaining() == [TORONTO, SEARCH]
