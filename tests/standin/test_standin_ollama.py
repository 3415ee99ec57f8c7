"""Ollama's chat API of the stand-in provider: what it rejects, and answers that are decoded and validated, or fail."""

import json
from collections.abc import Iterable

import pytest
from pydantic import BaseModel

from multitrack import Toolset
from multitrack.errors import ExtractionError, InvalidArguments, NoToolCalls, TruncatedResponse, UnknownTool
from multitrack.standin import Rule, ScriptedCall, ScriptedError
from multitrack.standin.provider import Provider
from multitrack.standin.recorded_responses import RecordedResponses
from multitrack.standin.request_log import ReceivedRequest
from multitrack.standin.script import Script
from multitrack.wires import decode, read_answer, recognize


class Weather(BaseModel):
    """The weather at a place."""

    location: str


TOOLSET = Toolset(Iterable[Weather])
REQUEST = {
    "model": "llama3.2",
    "messages": [{"role": "user", "content": "plan"}],
    "tools": TOOLSET.schemas("ollama"),
}
CALLS = [ScriptedCall("Weather", {"location": city}) for city in ("Toronto", "Köln")]
STREAMED = pytest.mark.parametrize("is_streamed", [False, True], ids=["plain", "stream"])


def send(*rules, **fields):
    provider = Provider(Script(rules), RecordedResponses([]))
    body = {**REQUEST, **fields}
    return provider.reply_http(ReceivedRequest("http", "POST", "http://127.0.0.1:11434/api/chat", (), body, b""))


def read(reply, count=None):
    return b"".join(chunk.content for chunk in reply.chunks[:count])


@STREAMED
def test_an_answer_is_decoded_and_validated(is_streamed):
    reply = send(Rule(text="Let me look.", calls=CALLS), stream=is_streamed)
    body = read(reply)
    assert recognize(body) == ("ollama.stream" if is_streamed else "ollama")
    answer = read_answer(body)
    assert answer.text == "Let me look."
    assert answer.finish_reason == "stop"
    assert answer.usage["eval_count"] > 0
    assert TOOLSET.parse(decode(body)) == [Weather(location="Toronto"), Weather(location="Köln")]
    kind = dict(reply.headers)["content-type"]
    assert kind == ("application/x-ndjson" if is_streamed else "application/json; charset=utf-8")


def test_without_a_rule_each_tool_is_called_with_valid_arguments():
    assert len(TOOLSET.parse(decode(read(send())))) == 1


@STREAMED
@pytest.mark.parametrize(
    ("rule", "error"),
    [
        (Rule(text="Hi"), NoToolCalls),
        (Rule(calls=[ScriptedCall("Smoke")]), UnknownTool),
        (Rule(calls=[ScriptedCall("Weather", {"location": 3})]), InvalidArguments),
        (Rule(calls=CALLS, truncated=True), TruncatedResponse),
        (Rule(calls=CALLS, error=ScriptedError(message="Overheated"), after_calls=1), ExtractionError),
    ],
    ids=["no calls", "unknown tool", "invalid arguments", "truncated", "failed"],
)
def test_a_bad_answer_is_an_error(rule, error, is_streamed):
    if not is_streamed and rule.error:
        pytest.skip("only a stream can fail after its first call")
    with pytest.raises(error):
        TOOLSET.extract(read_answer(read(send(rule, stream=is_streamed))))


def test_a_stream_that_breaks_off_is_incomplete():
    reply = send(Rule(calls=CALLS, close=True, after_calls=1))
    answer = read_answer(read(reply, reply.closes_after))
    assert [call.arguments for call in answer.calls] == ['{"location":"Toronto"}']
    assert not answer.is_complete


@pytest.mark.parametrize(("status", "message"), [(429, "too many requests"), (503, "server busy"), (500, "internal")])
def test_an_error_of_the_script_has_ollamas_form(status, message):
    reply = send(Rule(error=ScriptedError(status=status)))
    assert reply.status == status
    assert json.loads(read(reply))["error"].startswith(message)
    assert read_answer(read(reply), "ollama").error.startswith(message)


@pytest.mark.parametrize(("fields", "message"), [({"model": ""}, "model is required"), ({"tools": [{}]}, "a tool has")])
def test_a_request_that_ollama_would_reject_is_rejected(fields, message):
    reply = send(**fields)
    assert reply.status == 400
    assert read_answer(read(reply), "ollama").error.startswith(message)


def test_arguments_that_are_not_an_object_are_a_mistake_in_the_script():
    reply = send(Rule(calls=[ScriptedCall("Weather", "Toronto")]))
    assert reply.status == 500
    assert "the arguments of Weather are not a JSON object" in read_answer(read(reply), "ollama").error
