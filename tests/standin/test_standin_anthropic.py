"""The stand-in's side of Anthropic's Messages API, with the real SDK and with plain HTTP requests."""

import json
import threading
from itertools import groupby

import httpx
import pytest

from multitrack.standin import ANTHROPIC_ORGANIZATION, Rule, ScriptedCall, ScriptedError, StandIn
from multitrack.wires import create_stream_decoder, decode, read_answer, recognize

anthropic = pytest.importorskip("anthropic")
pytestmark = pytest.mark.slow

WEATHER = {
    "name": "Weather",
    "input_schema": {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]},
}
CALLS = [ScriptedCall("Weather", {"location": "Toronto"}), ScriptedCall("Weather", {"location": "Köln"}, id="toolu_b")]
RULES = [
    Rule(prompt="Plan", after_results=False, text="Let me look.", calls=CALLS),
    Rule(prompt="Plan", after_results=True, contains="5 degrees", text="It is cold."),
    Rule(prompt="Ping", calls=[ScriptedCall("Ping", None)]),
    Rule(prompt="Refuse", refusal="This touches biology."),
    Rule(prompt="Cut", calls=CALLS, truncated=True),
    Rule(prompt="Pause", text="Searching.", finish_reason="pause_turn"),
    Rule(prompt="Mix", calls=CALLS, interleave=True, delta_size=3),
    Rule(prompt="Broken JSON", calls=[ScriptedCall("Weather", '{"location": Tor')]),
    Rule(prompt="Break", calls=CALLS, error=ScriptedError(status=529), after_calls=1),
    Rule(prompt="Body", body={"type": "message", "role": "assistant", "content": [], "stop_reason": "end_turn"}),
    *(Rule(prompt=f"Fail {status}", error=ScriptedError(status=status)) for status in (400, 401, 429, 500, 529)),
]


@pytest.fixture(scope="module")
def standin(starts_server):
    with StandIn(RULES) as standin:
        yield standin


def ask(standin, prompt="Plan", path="/v1/messages", **fields):
    messages = fields.pop("messages", [{"role": "user", "content": prompt}])
    body = {"model": "claude-sonnet-5", "max_tokens": 100, "messages": messages, "tools": [WEATHER], **fields}
    return httpx.post(standin.anthropic_base_url + path, json=body, trust_env=False)


def user(prompt):
    return {"role": "user", "content": prompt}


def test_the_sdk_reads_an_answer(standin):
    with anthropic.Anthropic(base_url=standin.anthropic_base_url, api_key="any") as client:
        message = client.messages.create(model="m", max_tokens=9, messages=[user("Plan")], tools=[WEATHER])
    assert [block.type for block in message.content] == ["text", "tool_use", "tool_use"]
    assert message.content[1].input == {"location": "Toronto"}
    assert message.content[2].id == "toolu_b"
    assert message.stop_reason == "tool_use"
    assert message.usage.output_tokens > 1


def test_the_sdk_reads_a_stream(standin):
    with (
        anthropic.Anthropic(base_url=standin.anthropic_base_url, api_key="any") as client,
        client.messages.stream(model="m", max_tokens=9, messages=[user("Plan")], tools=[WEATHER]) as stream,
    ):
        message = stream.get_final_message()
    assert [block.type for block in message.content] == ["text", "tool_use", "tool_use"]
    assert message.content[2].input == {"location": "Köln"}
    assert message.stop_reason == "tool_use"


def test_an_answer_has_the_same_ids_in_each_run():
    answers = []
    for _ in range(2):
        with StandIn(RULES) as standin:
            answers.append(ask(standin).json())
    assert answers[0] == answers[1]
    assert answers[0]["id"].startswith("msg_")
    assert answers[0]["content"][1]["id"].startswith("toolu_")


def test_plain_and_streamed_answers_have_the_same_calls(standin):
    plain, streamed = ask(standin), ask(standin, stream=True)
    assert recognize(plain.content) == "anthropic"
    assert recognize(streamed.content) == "anthropic.stream"
    assert [(call.name, call.arguments) for call in decode(plain.content)] == [
        (call.name, call.arguments) for call in decode(streamed.content)
    ]


def test_a_call_without_arguments_has_no_delta(standin):
    answer = ask(standin, "Ping", stream=True)
    assert b"input_json_delta" not in answer.content
    assert decode(answer.content)[0].arguments == "{}"
    assert ask(standin, "Ping").json()["content"][0]["input"] == {}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("prompt", "reason"), [("Refuse", "refusal"), ("Cut", "max_tokens"), ("Pause", "pause_turn"), ("Plan", "tool_use")]
)
def test_an_answer_ends_with_the_stop_reason_of_the_script(standin, prompt, reason, stream):
    answer = read_answer(ask(standin, prompt, stream=stream).content)
    assert answer.finish_reason == reason
    assert answer.is_truncated is (prompt == "Cut")
    assert answer.refusal == ("This touches biology." if prompt == "Refuse" else None)


def test_blocks_can_be_interleaved(standin):
    content = ask(standin, "Mix", stream=True).content
    indices = [json.loads(line[6:]).get("index") for line in content.decode().splitlines() if line[:6] == "data: "]
    assert len([key for key, _ in groupby(indices)]) > 4
    assert [call.arguments for call in decode(content)] == ['{"location":"Toronto"}', '{"location":"Köln"}']


def test_invalid_json_can_only_be_streamed(standin):
    assert decode(ask(standin, "Broken JSON", stream=True).content)[0].arguments == '{"location": Tor'
    answer = ask(standin, "Broken JSON")
    assert answer.status_code == 500
    assert "the arguments of Weather are not a JSON object" in answer.json()["error"]["message"]


def test_a_stream_can_break_off_with_an_error_event(standin):
    decoder = create_stream_decoder("anthropic.stream")
    calls = decoder.feed(ask(standin, "Break", stream=True).content)
    assert len(calls) == 1
    assert decoder.answer.error == "Overloaded"


def test_a_body_is_sent_as_it_is(standin):
    assert ask(standin, "Body").json()["content"] == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (529, "overloaded_error"),
    ],
)
def test_an_error_has_the_form_of_anthropic(standin, status, kind):
    answer = ask(standin, f"Fail {status}")
    assert answer.status_code == status
    assert answer.json()["type"] == "error"
    assert answer.json()["error"]["type"] == kind
    assert answer.json()["request_id"] == answer.headers["request-id"]
    assert recognize(answer.content) == "anthropic"


def test_the_headers_and_the_rate_limit_name_the_organization(standin):
    answer = ask(standin, "Fail 429")
    assert answer.headers["anthropic-organization-id"] == ANTHROPIC_ORGANIZATION
    assert ANTHROPIC_ORGANIZATION in answer.json()["error"]["message"]


def test_without_a_rule_each_offered_tool_is_called_once(standin):
    calls = decode(ask(standin, "Something else").content)
    assert [call.name for call in calls] == ["Weather"]


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ({"type": "auto"}, ["Weather", "Search"]),
        ({"type": "any"}, ["Weather", "Search"]),
        ({"type": "auto", "disable_parallel_tool_use": True}, ["Weather"]),
        ({"type": "tool", "name": "Search"}, ["Search"]),
        ({"type": "none"}, []),
    ],
    ids=["auto", "any", "one at a time", "tool", "none"],
)
def test_the_tool_choice_is_respected(standin, choice, names):
    answer = ask(standin, "Something else", tools=[WEATHER, {**WEATHER, "name": "Search"}], tool_choice=choice)
    assert [call.name for call in decode(answer.content)] == names


def test_server_tools_are_not_called(standin):
    answer = ask(standin, "Something else", tools=[{"type": "web_search_20250305", "name": "web_search"}])
    assert decode(answer.content) == []


def result(call_id="toolu_a", content="5 degrees"):
    return {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call_id, "content": content}]}


CALL = {"type": "tool_use", "id": "toolu_a", "name": "Weather", "input": {}}
ANSWER = {"role": "assistant", "content": [CALL]}


def test_a_conversation_continues_after_tool_results(standin):
    answer = ask(standin, messages=[user("Plan"), ANSWER, result()])
    assert read_answer(answer.content).text == "It is cold."


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"max_tokens": None}, "max_tokens: Field required"),
        ({"model": None}, "model: Field required"),
        ({"messages": []}, "messages: at least one message is required"),
        ({"messages": [{"role": "system", "content": "x"}]}, 'messages.0.role: Unexpected role "system"'),
        ({"messages": [user(" ")]}, "messages: text content blocks must be non-empty"),
        ({"messages": [user("x"), ANSWER]}, "messages.1: `tool_use` ids were found without `tool_result` blocks"),
        ({"messages": [user("x"), ANSWER, user("y")]}, "messages.1: `tool_use` ids were found without"),
        ({"messages": [user("x"), result()]}, "messages.1.content.0: unexpected `tool_use_id` found"),
        ({"messages": [user("x"), ANSWER, result("toolu_b")]}, "messages.1: `tool_use` ids were found without"),
        (
            {"messages": [user("x"), {**ANSWER, "content": [CALL, CALL]}, result()]},
            "messages.1: `tool_use` ids must be unique",
        ),
        ({"tools": [{"name": "Weather"}]}, "tools.0.custom.input_schema: Field required"),
        ({"tools": [{"input_schema": {"type": "object"}}]}, "tools.0.custom.name: Field required"),
        ({"tools": [{**WEATHER, "name": "a b"}]}, "tools.0.custom.name: String should match pattern"),
        ({"tools": [WEATHER, WEATHER]}, "tools: Tool names must be unique."),
        ({"tools": [{**WEATHER, "input_schema": {}}]}, "tools.0.custom.input_schema.type: Input should be 'object'"),
        ({"tools": [{**WEATHER, "strict": True}]}, "tools.0.custom: For 'object' type, 'additionalProperties' must be"),
        ({"tools": [], "tool_choice": {"type": "auto"}}, "tool_choice: tool_choice may only be specified while"),
        ({"tool_choice": "auto"}, "tool_choice: Input should be a valid dictionary"),
    ],
)
def test_a_request_that_anthropic_rejects_is_rejected(standin, fields, message):
    answer = ask(standin, **fields)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert answer.json()["error"]["message"].startswith(message)


THINKING = {"thinking": {"type": "enabled", "budget_tokens": 1024}}


@pytest.mark.parametrize("stream", [False, True])
def test_a_model_that_thinks_signs_its_thoughts(standin, stream):
    answer = ask(standin, stream=stream, **THINKING)
    assert b'"signature":"' in answer.content
    assert len(decode(answer.content)) == 2


def test_the_thoughts_must_come_back_with_their_signature(standin):
    content = ask(standin, **THINKING).json()["content"]
    ids = [block["id"] for block in content if block["type"] == "tool_use"]
    results = {"role": "user", "content": [result(call_id)["content"][0] for call_id in ids]}

    def continue_with(blocks):
        messages = [user("Plan"), {"role": "assistant", "content": blocks}, results]
        return ask(standin, messages=messages, **THINKING)

    assert continue_with(content).status_code == 200
    changed = continue_with([{**content[0], "signature": "x"}, *content[1:]])
    assert "Invalid `signature` in `thinking` block" in changed.json()["error"]["message"]
    without = continue_with(content[2:])
    assert "Expected `thinking` or `redacted_thinking`" in without.json()["error"]["message"]


@pytest.mark.parametrize(
    "path",
    [
        "/model/eu.anthropic.claude-sonnet-5-v1%3A0/invoke",
        "/v1/projects/acme/locations/us-east5/publishers/anthropic/models/claude-sonnet-5:rawPredict",
    ],
    ids=["bedrock", "vertex"],
)
def test_bedrock_and_vertex_name_the_model_in_the_url(standin, path):
    answer = ask(standin, path=path, model=None)
    assert answer.status_code == 200
    assert "claude-sonnet-5" in answer.json()["model"]
    assert len(decode(answer.content)) == 2


def test_bedrock_streams_aws_events(standin):
    answer = ask(standin, path="/model/claude-sonnet-5/invoke-with-response-stream", model=None)
    assert answer.headers["content-type"] == "application/vnd.amazon.eventstream"
    assert recognize(answer.content) == "anthropic.stream"
    assert len(decode(answer.content)) == 2


def test_an_error_in_a_stream_of_bedrock_is_an_exception(standin):
    answer = ask(standin, "Break", path="/model/claude-sonnet-5/invoke-with-response-stream", model=None)
    assert read_answer(answer.content).error == "modelStreamErrorException: Overloaded"


def test_a_gate_holds_back_the_next_call():
    rule = Rule(prompt="Wait", calls=[CALLS[0], ScriptedCall("Weather", {"location": "Köln"}, gate="later")])
    with StandIn([rule]) as standin:
        body = {"model": "m", "max_tokens": 9, "messages": [user("Wait")], "tools": [WEATHER], "stream": True}
        decoder = create_stream_decoder("anthropic.stream")
        counts = []
        with httpx.stream("POST", f"{standin.anthropic_base_url}/v1/messages", json=body, trust_env=False) as answer:
            for chunk in answer.iter_raw():
                if decoder.feed(chunk):
                    counts.append(len(decoder.answer.calls))
                    threading.Timer(0.01, standin.open, ["later"]).start()
        assert counts == [1, 2]
