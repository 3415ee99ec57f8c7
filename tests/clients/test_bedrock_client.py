"""The Converse API with a ``response_model``: the real client of boto3, whose requests are answered in this process."""

import io
import json
from collections.abc import Iterable

import pytest
from pydantic import BaseModel

import multitrack
from multitrack import Mode
from multitrack.errors import (
    ExtractionError,
    InvalidArguments,
    NoToolCalls,
    Refusal,
    StreamBroken,
    TruncatedResponse,
    UnknownTool,
)
from multitrack.wires.event_stream import write_message

boto3 = pytest.importorskip("boto3")


class Weather(BaseModel):
    """The weather at a place."""

    location: str


class Search(BaseModel):
    query: str


BOTH = Iterable[Weather | Search]
ARGUMENTS = {
    "modelId": "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "messages": [{"role": "user", "content": [{"text": "What is the weather in Toronto?"}]}],
    "inferenceConfig": {"maxTokens": 1024},
}
USAGE = {"inputTokens": 9, "outputTokens": 5, "totalTokens": 14}
REASONING = {"reasoningContent": {"reasoningText": {"text": "They want weather.", "signature": "EqQBCgYIBRgC"}}}


def call(number, name="Weather", **arguments):
    return {"toolUse": {"toolUseId": f"tooluse_{number}", "name": name, "input": arguments}}


TORONTO = call(0, location="Toronto")
SEARCH = call(1, "Search", query="super bowl")
BAD = call(0, location=3)


def answer(*content, stop_reason="tool_use"):
    output = {"message": {"role": "assistant", "content": list(content)}}
    return {"output": output, "stopReason": stop_reason, "usage": USAGE, "metrics": {"latencyMs": 1}}


def stream_of(*blocks, stop_reason="tool_use"):
    """Return the events of a streamed answer, with the input of each call in pieces of five characters."""
    events = [{"messageStart": {"role": "assistant"}}]
    for index, block in enumerate(blocks):
        if "toolUse" in block:
            use = dict(block["toolUse"])
            text = json.dumps(use.pop("input"))
            events.append({"contentBlockStart": {"contentBlockIndex": index, "start": {"toolUse": use}}})
            deltas = [{"toolUse": {"input": text[start : start + 5]}} for start in range(0, len(text), 5)]
        elif "reasoningContent" in block:
            fields = block["reasoningContent"]["reasoningText"]
            deltas = [{"reasoningContent": {key: value}} for key, value in fields.items()]
        else:
            deltas = [block]
        events += [{"contentBlockDelta": {"contentBlockIndex": index, "delta": delta}} for delta in deltas]
        events.append({"contentBlockStop": {"contentBlockIndex": index}})
    return [*events, {"messageStop": {"stopReason": stop_reason}}, {"metadata": {"usage": USAGE}}]


def write_event(event):
    [(name, fields)] = event.items()
    kind = "exception" if name.endswith("Exception") else "event"
    headers = {f":{kind}-type": name, ":content-type": "application/json", ":message-type": kind}
    return write_message(headers, json.dumps(fields).encode())


class Provider:
    """Sends the given answers in order, repeats the last answer, and stores the requests."""

    def __init__(self, *answers, status=200, headers=None):
        self.answers = list(answers)
        self.status = status
        self.headers = headers or {}
        self.requests = []
        self.urls = []

    def __call__(self, request, **_):
        from botocore.awsrequest import AWSResponse
        from urllib3 import HTTPResponse

        self.requests.append(json.loads(request.body))
        self.urls.append(request.url)
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        is_stream = isinstance(found, list)
        content = b"".join(map(write_event, found)) if is_stream else json.dumps(found).encode()
        content_type = "application/vnd.amazon.eventstream" if is_stream else "application/json"
        raw = HTTPResponse(io.BytesIO(content), preload_content=False)
        return AWSResponse(request.url, self.status, {"content-type": content_type, **self.headers}, raw)


def make_client(provider):
    from botocore.config import Config

    client = boto3.client(
        "bedrock-runtime",
        region_name="eu-west-1",
        aws_access_key_id="A",
        aws_secret_access_key="B",
        config=Config(retries={"total_max_attempts": 1}),
    )
    client.meta.events.register("before-send.bedrock-runtime", provider)
    return client


def create(provider, *, method="create", **arguments):
    client = multitrack.from_bedrock(make_client(provider))
    return getattr(client, method)(**{**ARGUMENTS, "response_model": BOTH, **arguments})


def test_calls_become_models():
    provider = Provider(answer({"text": "Let me look."}, TORONTO, SEARCH))
    extraction = create(provider)
    assert extraction == [Weather(location="Toronto"), Search(query="super bowl")]
    assert extraction.text == "Let me look."
    assert extraction.usage == USAGE
    assert extraction.raw["ResponseMetadata"]["HTTPStatusCode"] == 200
    [request] = provider.requests
    assert [tool["toolSpec"]["name"] for tool in request["toolConfig"]["tools"]] == ["Weather", "Search"]
    assert "toolChoice" not in request["toolConfig"]
    assert request["inferenceConfig"] == {"maxTokens": 1024}
    assert provider.urls[0].endswith("/converse")


def test_a_tool_choice_is_sent():
    provider = Provider(answer(TORONTO))
    create(provider, toolConfig={"toolChoice": {"any": {}}})
    assert provider.requests[0]["toolConfig"]["toolChoice"] == {"any": {}}


def test_a_stream_yields_each_model():
    provider = Provider(stream_of(REASONING, {"text": "Let me look."}, TORONTO, SEARCH))
    stream = create(provider, stream=True)
    assert list(stream) == [Weather(location="Toronto"), Search(query="super bowl")]
    assert stream.extraction.text == "Let me look."
    assert stream.usage == USAGE
    assert provider.urls[0].endswith("/converse-stream")


def test_strict_tools_are_sent():
    specification = make_client(Provider()).meta.service_model.shape_for("ToolSpecification")
    if "strict" not in specification.members:
        pytest.skip("this version of botocore cannot send strict tools")
    provider = Provider(answer(TORONTO))
    create(provider, strict=True)
    tools = provider.requests[0]["toolConfig"]["tools"]
    assert [tool["toolSpec"]["strict"] for tool in tools] == [True, True]


def test_a_version_of_botocore_without_strict_tools_is_an_error(monkeypatch):
    shapes = make_client(Provider()).meta.service_model._service_description["shapes"]
    monkeypatch.delitem(shapes["ToolSpecification"]["members"], "strict", raising=False)
    provider = Provider(answer(TORONTO))
    with pytest.raises(TypeError, match=r"^the installed botocore \d\S+ cannot send strict=True; run pip install"):
        create(provider, strict=True)
    assert provider.requests == []


def test_without_response_model_the_response_is_boto3s():
    client = multitrack.from_bedrock(make_client(Provider(answer({"text": "Hi"}, stop_reason="end_turn"))))
    assert client.create(**ARGUMENTS)["output"]["message"]["content"] == [{"text": "Hi"}]
    client = multitrack.from_bedrock(make_client(Provider(stream_of({"text": "Hi"}))))
    assert next(iter(client.create(**ARGUMENTS, stream=True)["stream"])) == {"messageStart": {"role": "assistant"}}


def test_create_with_completion_returns_the_extraction_and_the_response():
    extraction, response = create(Provider(answer(TORONTO)), method="create_with_completion")
    assert extraction == [Weather(location="Toronto")]
    assert response is extraction.raw


def test_only_the_bad_call_is_made_again():
    provider = Provider(answer(REASONING, BAD, SEARCH), answer(TORONTO))
    extraction = create(provider, max_retries=1)
    assert extraction == [Weather(location="Toronto"), Search(query="super bowl")]
    [user, assistant, results] = provider.requests[1]["messages"]
    assert user == ARGUMENTS["messages"][0]
    assert assistant == {"role": "assistant", "content": [REASONING, BAD, SEARCH]}
    [bad, good] = [block["toolResult"] for block in results["content"]]
    assert bad["status"] == "error"
    assert "Input should be a valid string" in bad["content"][0]["text"]
    assert "status" not in good
    assert len(ARGUMENTS["messages"]) == 1


@pytest.mark.parametrize("is_streamed", [False, True])
def test_the_conversation_continues_with_results_and_signed_thoughts(is_streamed):
    if is_streamed:
        stream = create(Provider(stream_of(REASONING, TORONTO)), stream=True)
        list(stream)
        extraction = stream.extraction
    else:
        extraction = create(Provider(answer(REASONING, TORONTO)))
    messages = extraction.tool_results(["sunny"])
    result = {"toolResult": {"toolUseId": "tooluse_0", "content": [{"text": "sunny"}]}}
    assert messages == [
        {"role": "assistant", "content": [REASONING, TORONTO]},
        {"role": "user", "content": [result]},
    ]
    create(Provider(answer(TORONTO)), messages=[*ARGUMENTS["messages"], *messages])


FAULTS = {
    "no calls": ([{"text": "Hi"}], "end_turn", NoToolCalls),
    "unknown tool": ([call(0, "Smoke")], "tool_use", UnknownTool),
    "invalid arguments": ([BAD], "tool_use", InvalidArguments),
    "truncated": ([call(0)], "max_tokens", TruncatedResponse),
    "window exceeded": ([{"text": "It is"}], "model_context_window_exceeded", TruncatedResponse),
    "guardrail": ([{"text": "Sorry."}], "guardrail_intervened", Refusal),
    "filter": ([{"text": "Sorry."}], "content_filtered", Refusal),
    "malformed": ([{"text": "<function"}], "malformed_tool_use", ExtractionError),
}


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize(("blocks", "stop_reason", "error"), FAULTS.values(), ids=FAULTS)
def test_a_bad_answer_is_an_error(blocks, stop_reason, error, is_streamed):
    write = stream_of if is_streamed else answer
    with pytest.raises(error) as raised:
        list(create(Provider(write(*blocks, stop_reason=stop_reason)), stream=is_streamed))
    if stop_reason in ("guardrail_intervened", "content_filtered", "malformed_tool_use"):
        assert stop_reason in str(raised.value)


@pytest.mark.parametrize("name", ["throttlingException", "modelStreamErrorException", "validationException"])
def test_an_exception_breaks_the_stream_after_its_complete_models(name):
    events = [*stream_of(TORONTO)[:-2], {name: {"message": "It failed."}}]
    stream = create(Provider(events), stream=True)
    with pytest.raises(StreamBroken, match=rf"{name}.*It failed\.") as broken:
        list(stream)
    assert broken.value.models == (Weather(location="Toronto"),)


def test_a_stream_that_ends_early_is_broken():
    with pytest.raises(StreamBroken):
        list(create(Provider(stream_of(TORONTO)[:-2]), stream=True))


@pytest.mark.parametrize(
    ("status", "name"),
    [(400, "ValidationException"), (429, "ThrottlingException"), (503, "ServiceUnavailableException")],
)
@pytest.mark.parametrize("is_streamed", [False, True])
def test_an_error_of_the_provider_is_boto3s(status, name, is_streamed):
    from botocore.exceptions import ClientError

    provider = Provider({"message": "No."}, status=status, headers={"x-amzn-ErrorType": f"{name}:http://internal"})
    with pytest.raises(ClientError, match=name):
        create(provider, stream=is_streamed)


def test_tools_and_response_model_are_not_both_accepted():
    with pytest.raises(TypeError, match=r"^pass either tools= or response_model=, not both"):
        create(Provider(), toolConfig={"tools": [{"toolSpec": {}}]})


def test_another_client_is_an_error():
    with pytest.raises(TypeError, match=r'^from_bedrock requires boto3\.client\("bedrock-runtime"\), not object$'):
        multitrack.from_bedrock(object())
    other = boto3.client("s3", region_name="eu-west-1", aws_access_key_id="A", aws_secret_access_key="B")
    with pytest.raises(TypeError, match=r'not boto3\.client\("s3"\)$'):
        multitrack.from_bedrock(other)


def test_another_mode_is_an_error():
    with pytest.raises(
        ValueError, match=r"^from_bedrock supports mode=Mode\.BEDROCK_PARALLEL_TOOLS, not Mode\.PARALLEL"
    ):
        multitrack.from_bedrock(make_client(Provider()), mode=Mode.PARALLEL_TOOLS)


def test_a_name_of_instructor_says_what_to_use():
    client = multitrack.from_bedrock(make_client(Provider()))
    with pytest.raises(AttributeError, match="create_partial"):
        client.create_partial  # noqa: B018
