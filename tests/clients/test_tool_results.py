"""Continue a conversation with the results of its tool calls, for every API, plain and streamed, sync and async."""

import asyncio
import json
import pickle
import warnings
from collections.abc import Iterable
from importlib import import_module
from io import BytesIO

import httpx
import openai
import pytest
from google import genai
from google.genai import types
from local_provider import STREAM, MockProvider, ProviderAnswer, ProviderRequest
from pydantic import BaseModel

import multitrack
from multitrack import Mode, ToolCall, Toolset
from multitrack.wires.event_stream import write_message


class Weather(BaseModel):
    location: str


class Search(BaseModel):
    query: str


class Forecast(BaseModel):
    degrees: int


BOTH = Iterable[Weather | Search]
QUESTION = {"role": "user", "content": "Plan the trip"}
ARGUMENTS = ('{"location":"Oslo"}', '{"query":"ferry"}')


def sse(*documents, done=False):
    text = "".join(f"data: {json.dumps(document)}\n\n" for document in documents)
    return (text + ("data: [DONE]\n\n" if done else "")).encode()


class Chat:
    """OpenAI's chat completions. Each call has the signature of a thought, as from Gemini's compatible endpoint."""

    httpx = import_module("httpx2" if openai.VERSION.startswith("3") else "httpx")
    key = "messages"
    mode = Mode.PARALLEL_TOOLS
    path = "chat.completions"
    ids = ("call_a", "call_b")

    def connect(self, provider, is_async):
        client_class = openai.AsyncOpenAI if is_async else openai.OpenAI
        http_client = provider.async_http_client() if is_async else provider.http_client()
        return client_class(api_key="key-0", http_client=http_client)

    def create(self, provider, is_async, messages, **arguments):
        client = multitrack.from_openai(self.connect(provider, is_async), mode=self.mode)
        return client.create(model="gpt-4o-mini", **{self.key: messages}, **arguments)

    def resend(self, provider, messages):
        """Send the messages with the SDK's own client."""
        self.connect(provider, False).chat.completions.create(model="gpt-4o-mini", messages=messages)

    def _tool_calls(self):
        names = ("Weather", "Search")
        return [
            {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments},
             "extra_content": {"google": {"thought_signature": f"sig-{call_id}"}}}
            for call_id, name, arguments in zip(self.ids, names, ARGUMENTS, strict=True)
        ]  # fmt: skip

    def plain(self):
        message = {"role": "assistant", "content": "Let me see.", "reasoning_content": "Hm, a trip.",
                   "tool_calls": self._tool_calls()}  # fmt: skip
        choice = {"index": 0, "finish_reason": "tool_calls", "message": message}
        return {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}

    def stream(self):
        deltas = [{"role": "assistant", "reasoning_content": "Hm, "}, {"reasoning_content": "a trip."},
                  {"content": "Let me "}, {"content": "see."}]  # fmt: skip
        for index, call in enumerate(self._tool_calls()):
            arguments = call["function"]["arguments"]
            start = {**call, "index": index, "function": {**call["function"], "arguments": arguments[:4]}}
            deltas.append({"tool_calls": [start]})
            deltas.append({"tool_calls": [{"index": index, "function": {"arguments": arguments[4:]}}]})
        choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
        choices.append({"index": 0, "delta": {}, "finish_reason": "tool_calls"})
        shared = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        return sse(*({**shared, "choices": [choice]} for choice in choices), done=True)

    def expected(self, *results):
        """Return what ``tool_results`` appends, with each result as text, or an exception."""
        answer = {"role": "assistant", "content": "Let me see.", "reasoning_content": "Hm, a trip.",
                  "tool_calls": self._tool_calls()}  # fmt: skip
        return [answer, *({"role": "tool", "tool_call_id": call_id, "content": result}
                          for call_id, result in zip(self.ids, results, strict=True))]  # fmt: skip


class Responses(Chat):
    """OpenAI's Responses API, with encrypted reasoning."""

    key = "input"
    mode = Mode.RESPONSES_PARALLEL_TOOLS

    def resend(self, provider, messages):
        self.connect(provider, False).responses.create(model="gpt-4o-mini", input=messages)

    def _output(self):
        names = ("Weather", "Search")
        reasoning = {"id": "rs", "type": "reasoning", "summary": [], "encrypted_content": "gAAAA"}
        calls = [
            {"id": f"fc_{call_id}", "type": "function_call", "status": "completed", "call_id": call_id, "name": name,
             "arguments": arguments}
            for call_id, name, arguments in zip(self.ids, names, ARGUMENTS, strict=True)
        ]  # fmt: skip
        return [reasoning, *calls]

    def plain(self):
        return {"id": "r", "object": "response", "created_at": 1, "status": "completed", "model": "m", "store": False,
                "output": self._output()}  # fmt: skip

    def stream(self):
        events = [{"type": "response.created", "response": {**self.plain(), "status": "in_progress", "output": []}}]
        for index, item in enumerate(self._output()):
            events.append({"type": "response.output_item.added", "output_index": index, "item": item})
            events.append({"type": "response.output_item.done", "output_index": index, "item": item})
        return sse(*events, {"type": "response.completed", "response": self.plain()})

    def expected(self, *results):
        return [*self._output(), *({"type": "function_call_output", "call_id": call_id, "output": result}
                                   for call_id, result in zip(self.ids, results, strict=True))]  # fmt: skip


class Gemini(Chat):
    """The Gemini API, through google-genai."""

    httpx = httpx
    key = "contents"

    def connect(self, provider, is_async):
        own = provider.async_http_client() if is_async else provider.http_client()
        options = {"httpx_async_client": own} if is_async else {"httpx_client": own}
        return genai.Client(api_key="key-0", http_options=types.HttpOptions(**options))

    def create(self, provider, is_async, messages, **arguments):
        client = multitrack.from_genai(self.connect(provider, is_async), model="gemini-2.0-flash")
        return (client.create_async if is_async else client.create)(messages, **arguments)

    def resend(self, provider, messages):
        sent = [types.Content(role="user", parts=[types.Part(text=QUESTION["content"])]), *messages[1:]]
        # keep a reference: a client that is collected closes its connections, in some releases of the SDK even during a
        # request
        client = self.connect(provider, False)
        client.models.generate_content(model="gemini-2.0-flash", contents=sent)

    def _parts(self):
        call_parts = [
            {"functionCall": {"id": call_id, "name": name, "args": json.loads(arguments)}}
            for call_id, name, arguments in zip(self.ids, ("Weather", "Search"), ARGUMENTS, strict=True)
        ]
        return [{"text": "Let me see."}, {**call_parts[0], "thoughtSignature": "c2ln"}, call_parts[1]]

    def _response(self, parts, **candidate):
        return {"candidates": [{"content": {"role": "model", "parts": parts}, **candidate}]}

    def plain(self):
        return self._response(self._parts(), finishReason="STOP")

    def stream(self):
        _, *calls = self._parts()
        texts = [self._response([{"text": text}]) for text in ("Let me ", "see.")]
        return sse(*texts, *(self._response([call]) for call in calls), self._response([], finishReason="STOP"))

    def expected(self, *results):
        responses = [
            {"functionResponse": {"id": call_id, "name": name, "response": self._write(result)}}
            for call_id, name, result in zip(self.ids, ("Weather", "Search"), results, strict=True)
        ]
        return [{"role": "model", "parts": self._parts()}, {"role": "user", "parts": responses}]

    def _write(self, result):
        if result.startswith("TimeoutError"):
            return {"error": result}
        return json.loads(result) if result.startswith("{") else {"output": result}


class Anthropic(Chat):
    """Anthropic's Messages API, with a signed thought."""

    key = "messages"

    def __init__(self):
        self.sdk = pytest.importorskip("anthropic")
        self.httpx = import_module(self.sdk.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0])

    def connect(self, provider, is_async):
        client_class = self.sdk.AsyncAnthropic if is_async else self.sdk.Anthropic
        http_client = provider.async_http_client() if is_async else provider.http_client()
        return client_class(api_key="key-0", http_client=http_client)

    def create(self, provider, is_async, messages, **arguments):
        client = multitrack.from_anthropic(self.connect(provider, is_async))
        return client.create(model="claude", max_tokens=9, messages=messages, **arguments)

    def resend(self, provider, messages):
        self.connect(provider, False).messages.create(model="claude", max_tokens=9, messages=messages)

    def _content(self):
        thought = {"type": "thinking", "thinking": "Hm, a trip.", "signature": "c2ln"}
        calls = [
            {"type": "tool_use", "id": call_id, "name": name, "input": json.loads(arguments)}
            for call_id, name, arguments in zip(self.ids, ("Weather", "Search"), ARGUMENTS, strict=True)
        ]
        return [thought, {"type": "text", "text": "Let me see."}, *calls]

    def plain(self, **fields):
        usage = {"input_tokens": 1, "output_tokens": 1}
        return {"id": "m", "type": "message", "role": "assistant", "model": "claude", "content": self._content(),
                "stop_reason": "tool_use", "stop_sequence": None, "usage": usage, **fields}  # fmt: skip

    def stream(self):
        started = self.plain(content=[], stop_reason=None)
        events = [{"type": "message_start", "message": started}]
        for index, block in enumerate(self._content()):
            match block["type"]:
                case "thinking":
                    start = {"type": "thinking", "thinking": "", "signature": ""}
                    deltas = [{"type": "thinking_delta", "thinking": text} for text in ("Hm, ", "a trip.")]
                    deltas.append({"type": "signature_delta", "signature": block["signature"]})
                case "text":
                    start = {"type": "text", "text": ""}
                    deltas = [{"type": "text_delta", "text": text} for text in ("Let me ", "see.")]
                case _:
                    start = {**block, "input": {}}
                    deltas = [{"type": "input_json_delta", "partial_json": json.dumps(block["input"])}]
            events.append({"type": "content_block_start", "index": index, "content_block": start})
            events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
            events.append({"type": "content_block_stop", "index": index})
        events.append({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 1}})
        events.append({"type": "message_stop"})
        return "".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in events).encode()

    def expected(self, *results):
        content = [
            {"type": "tool_result", "tool_use_id": call_id, "content": result,
             **({"is_error": True} if result.startswith("TimeoutError") else {})}
            for call_id, result in zip(self.ids, results, strict=True)
        ]  # fmt: skip
        return [{"role": "assistant", "content": self._content()}, {"role": "user", "content": content}]


class Bedrock(Chat):
    """The Converse API of Amazon Bedrock, with a signed thought."""

    key = "messages"

    def __init__(self):
        self.boto3 = pytest.importorskip("boto3")

    def connect(self, provider, is_async):
        from botocore.awsrequest import AWSResponse

        if is_async:
            pytest.skip("boto3 has no asynchronous client")

        def respond(request, **_):
            sent = ProviderRequest(request.method, request.url, {}, request.body)
            provider.requests.append(sent)
            raw = BytesIO(provider.reply(sent).body)
            raw.stream = lambda *_, **__: iter(lambda: raw.read(100), b"")
            return AWSResponse(request.url, 200, {}, raw)

        keys = {"aws_access_key_id": "A", "aws_secret_access_key": "B"}
        client = self.boto3.client("bedrock-runtime", region_name="eu-west-1", **keys)
        client.meta.events.register("before-send.bedrock-runtime", respond)
        return client

    def create(self, provider, is_async, messages, **arguments):
        client = multitrack.from_bedrock(self.connect(provider, is_async))
        return client.create(modelId="nova", messages=self._write(messages), **arguments)

    def resend(self, provider, messages):
        self.connect(provider, False).converse(modelId="nova", messages=self._write(messages))

    @staticmethod
    def _write(messages):
        question = {"role": "user", "content": [{"text": QUESTION["content"]}]}
        return [question if message == QUESTION else message for message in messages]

    def _content(self):
        thought = {"reasoningContent": {"reasoningText": {"text": "Hm, a trip.", "signature": "c2ln"}}}
        calls = [
            {"toolUse": {"toolUseId": call_id, "name": name, "input": json.loads(arguments)}}
            for call_id, name, arguments in zip(self.ids, ("Weather", "Search"), ARGUMENTS, strict=True)
        ]
        return [thought, {"text": "Let me see."}, *calls]

    def plain(self):
        message = {"role": "assistant", "content": self._content()}
        usage = {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}
        return {"output": {"message": message}, "stopReason": "tool_use", "usage": usage, "metrics": {"latencyMs": 1}}

    def stream(self):
        events = [("messageStart", {"role": "assistant"})]
        for index, block in enumerate(self._content()):
            match block:
                case {"reasoningContent": {"reasoningText": {"signature": signature}}}:
                    deltas = [{"reasoningContent": {"text": text}} for text in ("Hm, ", "a trip.")]
                    deltas.append({"reasoningContent": {"signature": signature}})
                case {"toolUse": {"input": fields, **start}}:
                    events.append(("contentBlockStart", {"contentBlockIndex": index, "start": {"toolUse": start}}))
                    deltas = [{"toolUse": {"input": json.dumps(fields)}}]
                case _:
                    deltas = [{"text": text} for text in ("Let me ", "see.")]
            events += [("contentBlockDelta", {"contentBlockIndex": index, "delta": delta}) for delta in deltas]
            events.append(("contentBlockStop", {"contentBlockIndex": index}))
        events.append(("messageStop", {"stopReason": "tool_use"}))
        shared = {":content-type": "application/json", ":message-type": "event"}
        return b"".join(
            write_message({":event-type": name, **shared}, json.dumps(fields).encode()) for name, fields in events
        )

    def expected(self, *results):
        content = [
            {"toolResult": {"toolUseId": call_id, "content": [{"text": result}],
                            **({"status": "error"} if result.startswith("TimeoutError") else {})}}
            for call_id, result in zip(self.ids, results, strict=True)
        ]  # fmt: skip
        return [{"role": "assistant", "content": self._content()}, {"role": "user", "content": content}]


@pytest.fixture(params=[Chat, Responses, Gemini, Anthropic, Bedrock], ids=lambda wire: wire.__name__)
def wire(request):
    return request.param()


@pytest.fixture
def provider(wire):
    return MockProvider(wire.httpx)


@pytest.fixture
def extract(wire, provider):
    """A function that returns the extraction of the provider's answer."""
    provider.reply = lambda _: ProviderAnswer(json.dumps(wire.plain()).encode())

    def call_create(messages=(QUESTION,), **arguments):
        return wire.create(provider, False, [*messages], response_model=BOTH, **arguments)

    return call_create


def sent_after_question(wire, provider):
    """Return what the last request has after the question, without the fields that a model of an SDK adds."""
    first, *rest = provider.requests[-1].json[wire.key]
    assert QUESTION["content"] in json.dumps(first)
    return rest


def test_results_continue_the_conversation(wire, provider, extract):
    extraction = extract()
    messages = [QUESTION, *extraction.tool_results(["rainy", Forecast(degrees=3)])]
    extract(messages)
    assert sent_after_question(wire, provider) == wire.expected("rainy", '{"degrees":3}')


def test_the_sdks_own_client_accepts_the_messages(wire, provider, extract):
    messages = [QUESTION, *extract().tool_results(["rainy", "none"])]
    wire.resend(provider, messages)
    assert sent_after_question(wire, provider) == wire.expected("rainy", "none")


def test_a_streamed_response_continues_in_the_same_way(wire, provider, extract):
    provider.reply = lambda _: ProviderAnswer(wire.stream(), headers=STREAM)
    with wire.create(provider, False, [QUESTION], response_model=BOTH, stream=True) as stream:
        assert [*stream] == [Weather(location="Oslo"), Search(query="ferry")]
    provider.reply = lambda _: ProviderAnswer(json.dumps(wire.plain()).encode())
    extract([QUESTION, *stream.extraction.tool_results(["rainy", "none"])])
    assert sent_after_question(wire, provider) == wire.expected("rainy", "none")


def test_an_async_client_continues_in_the_same_way(wire, provider):
    async def plan():
        provider.reply = lambda _: ProviderAnswer(json.dumps(wire.plain()).encode())
        extraction = await wire.create(provider, True, [QUESTION], response_model=BOTH)
        provider.reply = lambda _: ProviderAnswer(wire.stream(), headers=STREAM)
        messages = [QUESTION, *extraction.tool_results(["rainy", "none"])]
        stream = await wire.create(provider, True, messages, response_model=BOTH, stream=True)
        return [model async for model in stream], stream.extraction

    models, extraction = asyncio.run(plan())
    assert sent_after_question(wire, provider) == wire.expected("rainy", "none")
    assert models == extraction
    assert len(extraction.tool_results(["rainy", "none"])) == len(wire.expected("rainy", "none"))


def test_results_are_given_by_id_or_by_call(extract):
    extraction = extract()
    by_id = extraction.tool_results({"call_b": "none", "call_a": "rainy"})
    by_call = extraction.tool_results(dict(zip(extraction.calls, ["rainy", "none"], strict=True)))
    assert by_id == by_call == extraction.tool_results(["rainy", "none"])


def test_an_exception_is_a_failure(wire, provider, extract):
    extract([QUESTION, *extract().tool_results(["rainy", TimeoutError("no answer")])])
    assert sent_after_question(wire, provider) == wire.expected("rainy", "TimeoutError: no answer")


def test_other_results_are_sent_as_json(extract):
    extraction = extract()
    written = json.dumps([str(message) for message in extraction.tool_results([[1, None], {"a": Forecast(degrees=3)}])])
    assert "degrees" in written
    assert "Forecast" not in written


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ({"call_a": "rainy"}, "there is no result for 'call_b' (Search); pass a result for each valid call, "),
        (
            {"call_a": "rainy", "call_c": "none"},
            "the response has no call 'call_c'; its calls are: 'call_a' (Weather), 'call_b' (Search)",
        ),
        (
            ["rainy"],
            "the number of results (1) differs from the number of valid calls (2); "
            "pass one result for each valid call, in order",
        ),
    ],
)
def test_a_missing_or_unknown_result_is_an_error_that_names_the_call(extract, results, message):
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the message is compared below
        extract().tool_results(results)
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ("rainy", "tool_results requires a dictionary or a list of results, not str"),
        ({0: "rainy"}, "a key of the results must be a ToolCall or the id of a call, not 0"),
        (["rainy", object()], "the result of 'call_b' (Search) cannot be written as JSON"),
    ],
)
def test_a_result_of_a_wrong_type_is_an_error(extract, results, message):
    with pytest.raises(TypeError) as raised:
        extract().tool_results(results)
    assert str(raised.value).startswith(message)


def test_a_call_with_a_shared_id_is_named_by_the_call(wire, extract):
    wire.ids = ("call_a", "call_a")
    extraction = extract()
    with pytest.raises(ValueError, match=r"^2 calls have the id 'call_a'; use the items of \.calls as keys"):
        extraction.tool_results({"call_a": "rainy"})
    assert len(extraction.tool_results(["rainy", "none"])) == len(wire.expected("rainy", "none"))


def test_an_extraction_without_a_response_cannot_continue():
    extraction = Toolset(BOTH).parse([ToolCall("call_a", "Weather", ARGUMENTS[0], 0)])
    with pytest.raises(ValueError, match=r"^this extraction was made from calls instead of a response"):
        extraction.tool_results(["rainy"])


def test_an_extraction_can_be_pickled(extract):
    extraction = extract()
    restored = pickle.loads(pickle.dumps(extraction))
    assert restored.tool_results(["rainy", "none"]) == extraction.tool_results(["rainy", "none"])


def test_an_invalid_call_is_rejected_with_its_error(wire, provider, extract):
    extraction = wire.create(provider, False, [QUESTION], response_model=Iterable[Weather], on_error="collect")
    extract([QUESTION, *extraction.tool_results(["rainy"])])
    sent = json.dumps(sent_after_question(wire, provider))
    assert "rainy" in sent
    assert "rejected: call 2 of 2 (id 'call_b'), Search: this tool was not offered" in sent


def test_the_result_of_an_invalid_call_replaces_its_error(wire, provider, extract):
    extraction = wire.create(provider, False, [QUESTION], response_model=Iterable[Weather], on_error="collect")
    extract([QUESTION, *extraction.tool_results({"call_a": "rainy", "call_b": "none"})])
    assert sent_after_question(wire, provider) == wire.expected("rainy", "none")


def test_after_a_retry_the_messages_include_the_earlier_responses(wire, provider):
    wrong = json.dumps(wire.plain()).replace("query", "wrong")
    wire.ids = ("call_c", "call_d")
    answers = [wrong, json.dumps(wire.plain())]
    provider.reply = lambda _: ProviderAnswer(answers.pop(0).encode())
    extraction = wire.create(provider, False, [QUESTION], response_model=BOTH, max_retries=1)
    assert [call.id for call in extraction.calls] == ["call_a", "call_d"]
    answers = [json.dumps(wire.plain())]
    messages = [QUESTION, *extraction.tool_results({"call_a": "rainy", "call_d": "none"})]
    wire.create(provider, False, messages, response_model=BOTH)
    sent = json.dumps(sent_after_question(wire, provider))
    # the accepted call of the first response has its own result; its repetition is not executed again
    assert sent.count("rainy") == 1
    assert sent.count("accepted; do not make this call again") == 1
    assert sent.count("rejected: call 2 of 2 (id 'call_b')") == 1
    assert sent.index("rainy") < sent.index("call_c") < sent.index("none")


@pytest.mark.parametrize("is_streamed", [False, True])
def test_vertexai_continues_with_its_own_contents(monkeypatch, is_streamed):
    with warnings.catch_warnings():
        # the SDK warns on import, and for each model, that it will be removed
        warnings.simplefilter("ignore")
        import vertexai
        from google.auth.credentials import AnonymousCredentials
        from google.cloud.aiplatform_v1.types import GenerateContentResponse
        from google.protobuf.json_format import MessageToDict, ParseDict
        from vertexai.generative_models import Content, GenerativeModel

        vertexai.init(project="project-0", location="us-central1", credentials=AnonymousCredentials())
        model = GenerativeModel("gemini-1.5-pro")
    requests = []
    parts = [
        {"functionCall": {"name": "Weather", "args": {"location": "Oslo"}}, "thoughtSignature": "c2ln"},
        {"functionCall": {"name": "Search", "args": {"query": "ferry"}}},
    ]
    candidate = {"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}

    class Stream(list):
        def cancel(self):
            pass

    class Service:
        def generate_content(self, request):
            requests.append(MessageToDict(type(request).pb(request)))
            response = GenerateContentResponse()
            ParseDict({"candidates": [candidate]}, GenerateContentResponse.pb(response))
            return response

        def stream_generate_content(self, request):
            return Stream([self.generate_content(request)])

    monkeypatch.setattr(type(model), "_prediction_client", Service())
    client = multitrack.from_vertexai(model)
    extraction = client.create([QUESTION], BOTH, stream=is_streamed)
    if is_streamed:
        [*_] = extraction
        extraction = extraction.extraction
    contents = extraction.tool_results(["rainy", "none"])
    assert [type(content) for content in contents] == [Content, Content]
    client.create([QUESTION, *contents], BOTH)
    responses = [
        {"functionResponse": {"name": name, "response": {"output": output}}}
        for name, output in (("Weather", "rainy"), ("Search", "none"))
    ]
    assert requests[-1]["contents"][1:] == [{"role": "model", "parts": parts}, {"role": "user", "parts": responses}]
    model.generate_content([Content.from_dict({"role": "user", "parts": [{"text": "Plan the trip"}]}), *contents])
    assert requests[-1]["contents"][1:] == [{"role": "model", "parts": parts}, {"role": "user", "parts": responses}]
