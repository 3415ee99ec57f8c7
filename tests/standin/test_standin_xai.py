"""xAI's gRPC API of the stand-in provider: answers that are decoded and validated, or fail, without the SDK."""

import json
from collections.abc import Iterable

import pytest
from pydantic import BaseModel

from multitrack import Toolset
from multitrack.errors import ExtractionError, InvalidArguments, NoToolCalls, TruncatedResponse, UnknownTool
from multitrack.standin import Rule, ScriptedCall, ScriptedError
from multitrack.standin.provider import Provider
from multitrack.standin.recorded_responses import RecordedResponses
from multitrack.standin.script import Script
from multitrack.standin.xai.messages import decode_message, encode_message
from multitrack.wires import read_answer, recognize


class Weather(BaseModel):
    """The weather at a place."""

    location: str


TOOLSET = Toolset(Iterable[Weather])
REQUEST = {
    "model": "grok-4",
    "messages": [{"role": "ROLE_USER", "content": [{"text": "plan"}]}],
    "tools": TOOLSET.schemas("xai"),
}
CALLS = [ScriptedCall("Weather", {"location": city}) for city in ("Toronto", "Köln")]
STREAMED = pytest.mark.parametrize("is_streamed", [False, True], ids=["plain", "stream"])


def send(*rules, is_streamed=False, content=None, method=None, **fields):
    provider = Provider(Script(rules), RecordedResponses([]))
    method = f"/xai_api.Chat/{method or ('GetCompletionChunk' if is_streamed else 'GetCompletion')}"
    content = encode_message("GetCompletionsRequest", {**REQUEST, **fields}) if content is None else content
    return provider.reply_grpc(provider.parse_grpc(method, content, (), None))


def read(reply, *, is_streamed=False):
    name = "GetChatCompletionChunk" if is_streamed else "GetChatCompletionResponse"
    documents = [decode_message(name, message.content) for message in reply.messages[: reply.fails_after]]
    return json.dumps(documents if is_streamed else documents[0])


@STREAMED
def test_an_answer_is_decoded_and_validated(is_streamed):
    body = read(send(Rule(text="Let me look.", calls=CALLS), is_streamed=is_streamed), is_streamed=is_streamed)
    assert recognize(body) == ("xai.stream" if is_streamed else "xai")
    answer = read_answer(json.loads(body), "xai.stream" if is_streamed else "xai")
    assert answer.text == "Let me look."
    assert answer.finish_reason == "REASON_TOOL_CALLS"
    assert answer.usage["completionTokens"] > 0
    assert TOOLSET.extract(answer) == [Weather(location="Toronto"), Weather(location="Köln")]


def test_without_a_rule_each_tool_is_called_with_valid_arguments():
    assert len(TOOLSET.extract(read_answer(read(send())))) == 1


def test_a_conversation_with_results_is_answered_with_text():
    call = {"id": "a", "function": {"name": "Weather", "arguments": "{}"}}
    messages = [
        *REQUEST["messages"],
        {"role": "ROLE_ASSISTANT", "toolCalls": [call]},
        {"role": "ROLE_TOOL", "content": [{"text": "sunny"}], "toolCallId": "a"},
    ]
    assert read_answer(read(send(Rule(turn=1, text="It is sunny."), messages=messages))).text == "It is sunny."


@STREAMED
@pytest.mark.parametrize(
    ("rule", "error"),
    [
        (Rule(text="Hi"), NoToolCalls),
        (Rule(calls=[ScriptedCall("Smoke")]), UnknownTool),
        (Rule(calls=[ScriptedCall("Weather", {"location": 3})]), InvalidArguments),
        (Rule(calls=[ScriptedCall("Weather", '{"loc')]), InvalidArguments),
        (Rule(calls=CALLS, truncated=True), TruncatedResponse),
        (Rule(calls=CALLS, finish_reason="REASON_TIME_LIMIT"), ExtractionError),
    ],
    ids=["no calls", "unknown tool", "invalid arguments", "broken arguments", "truncated", "time limit"],
)
def test_a_bad_answer_is_an_error(rule, error, is_streamed):
    body = read(send(rule, is_streamed=is_streamed), is_streamed=is_streamed)
    with pytest.raises(error):
        TOOLSET.extract(read_answer(json.loads(body), "xai.stream" if is_streamed else "xai"))


def test_a_stream_that_breaks_off_is_incomplete():
    reply = send(Rule(calls=CALLS, close=True, after_calls=1), is_streamed=True)
    assert reply.error.grpc_status == "UNAVAILABLE"
    answer = read_answer(json.loads(read(reply, is_streamed=True)), "xai.stream")
    assert [call.arguments for call in answer.calls] == ['{"location":"Toronto"}']
    assert not answer.is_complete


@pytest.mark.parametrize("status", [429, 500, 503])
@STREAMED
def test_an_error_of_the_script_is_the_status_of_the_call(status, is_streamed):
    reply = send(Rule(error=ScriptedError(status=status)), is_streamed=is_streamed)
    assert reply.error.status == status
    assert reply.fails_after == 0


def test_a_message_that_cannot_be_parsed_is_rejected():
    assert send(content=b"\xff\xff\xff").error.status == 400


def test_another_method_is_rejected():
    assert send(method="StartDeferredCompletion").error.status == 501
