"""The Converse API of the stand-in provider: what it rejects, and how it reports errors."""

import json

import pytest

from multitrack.standin import Rule, ScriptedCall, ScriptedError
from multitrack.standin.provider import Provider
from multitrack.standin.recorded_responses import RecordedResponses
from multitrack.standin.request_log import ReceivedRequest
from multitrack.standin.script import Script
from multitrack.wires import create_stream_decoder, read_answer

USER = {"role": "user", "content": [{"text": "Hi"}]}
CALL = {"role": "assistant", "content": [{"toolUse": {"toolUseId": "a", "name": "Weather", "input": {}}}]}
RESULT = {"role": "user", "content": [{"toolResult": {"toolUseId": "a", "content": [{"text": "sunny"}]}}]}


def send(messages, *rules, method="converse", **fields):
    provider = Provider(Script(rules), RecordedResponses([]))
    url = f"http://127.0.0.1/model/amazon.nova-pro-v1%3A0/{method}"
    reply = provider.reply_http(ReceivedRequest("http", "POST", url, (), {"messages": messages, **fields}, b""))
    return reply.status, dict(reply.headers), b"".join(chunk.content for chunk in reply.chunks)


@pytest.mark.parametrize("method", ["converse", "converse-stream"])
def test_a_conversation_with_results_is_answered(method):
    status, headers, body = send([USER, CALL, RESULT], Rule(text="It is sunny."), method=method)
    assert status == 200
    assert ("eventstream" in headers["content-type"]) == (method == "converse-stream")
    answer = read_answer(body)
    assert answer.text == "It is sunny."
    assert answer.finish_reason == "end_turn"
    assert answer.is_complete


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([], "A conversation must start with a user message"),
        ([CALL], "A conversation must start with a user message"),
        ([{"role": "user", "content": []}], "The content field in the Message object at messages.0 is empty"),
        ([{"role": "user", "content": [{"text": " "}]}], "The text field in the ContentBlock object at messages.0 is"),
        ([USER, CALL, USER], "Expected toolResult blocks at messages.2.content for the following Ids: a"),
        ([USER, RESULT], "The number of toolResult blocks at messages.1.content exceeds the number of toolUse blocks"),
    ],
)
def test_a_request_that_bedrock_would_reject_is_rejected(messages, message):
    status, headers, body = send(messages)
    assert status == 400
    assert headers["x-amzn-ErrorType"] == "ValidationException"
    assert read_answer(body, "bedrock").error.startswith(message)


@pytest.mark.parametrize(
    ("status", "name"),
    [(429, "ThrottlingException"), (500, "InternalServerException"), (529, "InternalServerException")],
)
def test_an_error_of_the_script_has_the_name_that_bedrock_sends(status, name):
    found, headers, _ = send([USER], Rule(error=ScriptedError(status=status)))
    assert found == status
    assert headers["x-amzn-ErrorType"] == name


def test_a_refusal_is_the_text_of_a_guardrail():
    _, _, body = send([USER], Rule(refusal="Sorry."))
    answer = read_answer(body)
    assert answer.refusal == "guardrail_intervened"
    assert answer.text == "Sorry."


THINKING = {"additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 1024}}}
TOOLS = {"toolConfig": {"tools": [{"toolSpec": {"name": "Weather", "inputSchema": {"json": {"type": "object"}}}}]}}


@pytest.mark.parametrize("method", ["converse", "converse-stream"])
def test_a_model_that_reasons_sends_a_signed_thought_before_its_calls(method):
    _, _, body = send([USER], Rule(calls=[ScriptedCall("Weather")]), method=method, **TOOLS, **THINKING)
    decoder = create_stream_decoder("bedrock.stream")
    if method == "converse":
        document = json.loads(body)
    else:
        decoder.feed(body)
        document = decoder.document
    assert [call.name for call in read_answer(body).calls] == ["Weather"]
    thought, call = document["output"]["message"]["content"]
    assert thought["reasoningContent"]["reasoningText"]["text"] == "The user wants me to use the tools."
    assert "toolUse" in call
    results = {"toolUseId": call["toolUse"]["toolUseId"], "content": [{"text": "sunny"}]}
    call["toolUse"]["input"] = {}
    conversation = [USER, {"role": "assistant", "content": [thought, call]}]
    conversation.append({"role": "user", "content": [{"toolResult": results}]})
    assert send(conversation, Rule(text="It is sunny."), **TOOLS, **THINKING)[0] == 200
    thought["reasoningContent"]["reasoningText"]["signature"] = "another"
    status, _, body = send(conversation, **TOOLS, **THINKING)
    assert status == 400
    assert read_answer(body, "bedrock").error.endswith("Invalid `signature` in `thinking` block")
