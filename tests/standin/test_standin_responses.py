"""The Responses API of the stand-in, used with the real SDK and compared with recorded responses of OpenAI."""

import asyncio
import json

import httpx
import openai
import pytest
from corpora import OPENLLMETRY, load_corpus

from multitrack.standin import STANDIN_HEADER, Rule, ScriptedCall, ScriptedError, StandIn

Response = pytest.importorskip("openai.types.responses", reason="the Responses API requires openai 1.66").Response

RULES = [
    Rule(prompt="Greet", text="Grüße aus Köln", delta_size=5),
    Rule(
        prompt="Both",
        text="Looking.",
        calls=[
            ScriptedCall("Weather", {"location": "Köln"}, id="call_own"),
            ScriptedCall("Weather", {"location": "Rom"}),
        ],
    ),
    Rule(
        prompt="In turn",
        calls=[ScriptedCall("A", {"text": "one and two"}), ScriptedCall("B", {"text": "three"})],
        interleave=True,
    ),
    Rule(prompt="Refuse", refusal="No."),
    Rule(
        prompt="Cut off",
        calls=[ScriptedCall("Weather", {"location": "Rom"}), ScriptedCall("Weather", '{"loc')],
        truncated=True,
    ),
    Rule(prompt="Cut text", text="Once upon", truncated=True),
    Rule(prompt="Filtered", text="Once upon", finish_reason="content_filter"),
    Rule(prompt="Limited", error=ScriptedError(status=429)),
    Rule(prompt="Break", text="Once upon a time", after=4, error=ScriptedError(status=500, code="server_error")),
    Rule(prompt="Whole", body={"object": "response", "output": []}),
    Rule(prompt="Events", body="event: error\ndata: {}\n\n"),
    Rule(prompt="One event", body={"type": "response.failed"}),
]
TOOLS = [
    {"type": "web_search_preview"},
    {
        "type": "function",
        "name": "Weather",
        "parameters": {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]},
    },
]


@pytest.fixture(scope="module")
def standin(starts_server):
    with StandIn(RULES) as standin:
        yield standin


@pytest.fixture(params=["sync", "async"])
def create(request, standin):
    """``responses.create``. It returns a stream as the list of its events."""
    options = {"base_url": standin.openai_base_url, "api_key": "any", "max_retries": 0}

    def plain(**arguments):
        with openai.OpenAI(**options) as client:
            answer = client.responses.create(model="gpt-4.1-nano", **arguments)
            return list(answer) if arguments.get("stream") else answer

    async def asynchronous(**arguments):
        async with openai.AsyncOpenAI(**options) as client:
            answer = await client.responses.create(model="gpt-4.1-nano", **arguments)
            return [event async for event in answer] if arguments.get("stream") else answer

    if request.param == "sync":
        return plain
    return lambda **arguments: asyncio.run(asynchronous(**arguments))


def post(standin, path="/v1/responses", **body):
    return httpx.post(f"{standin.proxy_url}{path}", json={"model": "gpt-4.1-nano", **body}, trust_env=False)


def parse_events(text):
    events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
    assert [f"event: {event['type']}" for event in events] == [
        line for line in text.splitlines() if line.startswith("event: ")
    ]
    return events


def test_an_answer_can_have_text_and_calls(create):
    response = create(input="Both", tools=TOOLS)

    message, *calls = response.output
    assert response.status == "completed"
    assert response.output_text == "Looking."
    assert message.type == "message"
    assert [(call.name, json.loads(call.arguments)) for call in calls] == [
        ("Weather", {"location": "Köln"}),
        ("Weather", {"location": "Rom"}),
    ]
    assert calls[0].call_id == "call_own"
    assert calls[1].call_id.startswith("call_")
    assert len({item.id for item in response.output}) == 3
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens
    assert [tool.type for tool in response.tools] == ["web_search_preview", "function"]


def test_a_stream_can_have_text_and_calls(create):
    events = create(input="Both", tools=TOOLS, stream=True)

    kinds = [event.type for event in events]
    once = [kind for number, kind in enumerate(kinds) if kinds[number - 1 : number] != [kind]]
    call = [
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
    ]
    assert once == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        *call,
        *call,
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-1].response.output_text == "Looking."
    for index in (1, 2):
        deltas = [
            event.delta for event in events if event.type.endswith("arguments.delta") and event.output_index == index
        ]
        [done] = [
            event for event in events if event.type == "response.output_item.done" and event.output_index == index
        ]
        assert "".join(deltas) == done.item.arguments
        assert done.item == events[-1].response.output[index]


def test_the_deltas_of_several_calls_can_be_interleaved(standin):
    events = parse_events(post(standin, input="In turn", stream=True).text)

    assert [event["output_index"] for event in events if "delta" in event] == [0, 1, 0, 1]


def test_a_refusal_is_a_content_part(standin):
    [message] = post(standin, input="Refuse").json()["output"]
    events = parse_events(post(standin, input="Refuse", stream=True).text)

    assert message["content"] == [{"type": "refusal", "refusal": "No."}]
    assert [event["delta"] for event in events if event["type"] == "response.refusal.delta"] == ["No."]
    assert events[-1]["response"]["output"][0]["content"] == message["content"]


def test_a_truncated_call_is_incomplete(standin):
    response = post(standin, input="Cut off").json()
    *events, end = parse_events(post(standin, input="Cut off", stream=True).text)

    for truncated in (response, end["response"]):
        assert truncated["status"] == "incomplete"
        assert truncated["incomplete_details"] == {"reason": "max_output_tokens"}
        assert [item["status"] for item in truncated["output"]] == ["completed", "incomplete"]
        assert truncated["output"][1]["arguments"] == '{"loc'
    assert end["type"] == "response.incomplete"
    assert [event["output_index"] for event in events if event["type"].endswith("arguments.done")] == [0]


@pytest.mark.parametrize(("prompt", "reason"), [("Cut text", "max_output_tokens"), ("Filtered", "content_filter")])
def test_a_truncated_text_is_incomplete(create, prompt, reason):
    response = create(input=prompt)

    assert response.status == "incomplete"
    assert response.incomplete_details.reason == reason
    assert create(input=prompt, stream=True)[-1].type == "response.incomplete"


def test_an_error_can_replace_the_answer_or_end_its_stream(create):
    with pytest.raises(openai.RateLimitError):
        create(input="Limited")
    *events, error = create(input="Break", stream=True)

    assert [event.type for event in events][-1] == "response.content_part.added"
    assert error.type == "error"
    assert error.code == "server_error"
    assert error.sequence_number == 4
    assert error.message == "The server had an error while processing your request."


def test_a_rule_can_define_the_whole_body(standin):
    assert post(standin, input="Whole").json() == {"object": "response", "output": []}
    assert post(standin, input="Events", stream=True).text == "event: error\ndata: {}\n\n"
    assert parse_events(post(standin, input="One event", stream=True).text) == [
        {"type": "response.failed", "sequence_number": 0}
    ]


def test_without_a_rule_each_tool_is_called_once(create):
    [call] = create(input="Anything else", tools=TOOLS).output

    assert call.name == "Weather"
    assert call.arguments == '{"location":"text"}'


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"tool_choice": {"type": "function", "name": "Weather"}}, ["Weather"]),
        ({"tool_choice": "none"}, []),
        ({"instructions": "Use no tools", "tool_choice": "none"}, []),
    ],
)
def test_without_a_rule_the_tool_choice_is_respected(standin, options, expected):
    response = post(standin, input="Anything else", tools=TOOLS, **options).json()

    assert [item["name"] for item in response["output"] if item["type"] == "function_call"] == expected
    assert {name: response[name] for name in options} == options


@pytest.mark.parametrize("path", ["/v1/responses", "/openai/v1/responses", "/openai/responses?api-version=2025-04-01"])
def test_its_paths_are_served_with_its_host_name(standin, path):
    answer = post(standin, path, input="Greet")

    assert answer.headers[STANDIN_HEADER] == "api.openai.com"
    assert answer.json()["output"][0]["content"][0]["text"] == "Grüße aus Köln"


@pytest.mark.parametrize("prompt", ["Greet", "Both", "Refuse", "Cut off", "Cut text", "Anything else"])
def test_answers_are_valid_for_the_types_of_the_sdk(standin, prompt):
    Response.model_validate_json(post(standin, input=prompt, tools=TOOLS).content, strict=True)


def test_the_input_can_be_items_with_parts(standin):
    parts = [{"type": "input_text", "text": "Gre"}, {"type": "input_text", "text": "et"}]
    item = {"type": "message", "role": "user", "content": parts}

    assert post(standin, input=[item]).json()["output"][0]["content"][0]["text"] == "Grüße aus Köln"


@pytest.fixture(scope="module")
def recorded_streams():
    return [record for record in load_corpus(OPENLLMETRY) if record["wire"] == "openai.responses.stream"]


def test_its_events_have_the_keys_of_recorded_events(standin, recorded_streams):
    known = {}
    for each in recorded_streams:
        for event in parse_events(each["response_body"]):
            for location, value in ((event["type"], event), (f"{event['type']} item", event.get("item"))):
                if isinstance(value, dict):
                    known.setdefault((location, value.get("role"), value.get("name") is None), value)

    for prompt in ("Both", "Greet"):
        for event in parse_events(post(standin, input=prompt, tools=TOOLS, stream=True).text):
            for location, value in ((event["type"], event), (f"{event['type']} item", event.get("item"))):
                if isinstance(value, dict):
                    pattern = known[location, value.get("role"), value.get("name") is None]
                    # "obfuscation" is random padding, which the stand-in does not send.
                    assert set(value) == set(pattern) - {"obfuscation"}


def test_its_responses_have_the_keys_of_recorded_responses(standin, recorded_streams):
    events = parse_events(recorded_streams[0]["response_body"])
    completed = next(event for event in events if event["type"] == "response.completed")

    assert set(post(standin, input="Greet").json()) == set(completed["response"]) - {"prompt_cache_key"}
