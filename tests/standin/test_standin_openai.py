"""The stand-in as OpenAI, used with the real SDK through a base URL and under OpenAI's own host name."""

import asyncio
import gzip
import json
import threading
import zlib
from pathlib import Path

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletion

from multitrack.standin import (
    OPENAI_COOKIE,
    OPENAI_ORGANIZATION,
    OPENAI_PROJECT,
    STANDIN_HEADER,
    Rule,
    ScriptedCall,
    ScriptedError,
    StandIn,
)

EXAMPLES_SCRIPT = Path(__file__).parents[2] / "examples" / "standin.yaml"
PROMPT = "What is the weather in toronto and dallas and who won the super bowl?"
CALLS = [
    ("Weather", {"location": "Toronto", "units": "metric"}),
    ("Weather", {"location": "Dallas", "units": "imperial"}),
    ("GoogleSearch", {"query": "who won the super bowl"}),
]


def tool(name, **properties):
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


TOOLS = [
    tool("Weather", location={"type": "string"}, units={"enum": ["imperial", "metric"]}),
    tool("GoogleSearch", query={"type": "string"}),
]


@pytest.fixture(scope="module")
def standin(starts_server):
    rules = [
        Rule(prompt="Greet", text="Grüße aus Köln"),
        Rule(prompt="Both", text="Looking.", calls=[ScriptedCall("Weather", {"location": "Köln"}, id="call_own")]),
        Rule(prompt="Refuse", refusal="No."),
        Rule(prompt="Cut off", calls=[ScriptedCall("Weather", '{"loc')], finish_reason="length"),
    ]
    with StandIn(rules, script=EXAMPLES_SCRIPT) as standin:
        yield standin


@pytest.fixture(params=["base_url", "proxy"])
def access(request, standin, monkeypatch):
    """Set an environment where ``openai.OpenAI()`` reaches the stand-in."""
    if request.param == "proxy":
        for name, value in standin.environment.items():
            monkeypatch.setenv(name, value)
    else:
        monkeypatch.setenv("OPENAI_BASE_URL", standin.openai_base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-any")
    return request.param


@pytest.fixture(params=["sync", "async"])
def create(request, access):
    """``chat.completions.create``. It returns a stream as the list of its chunks."""

    def plain(**arguments):
        with openai.OpenAI(max_retries=0) as client:
            answer = client.chat.completions.create(model="gpt-4o-mini", **arguments)
            return list(answer) if arguments.get("stream") else answer

    async def asynchronous(**arguments):
        async with openai.AsyncOpenAI(max_retries=0) as client:
            answer = await client.chat.completions.create(model="gpt-4o-mini", **arguments)
            return [chunk async for chunk in answer] if arguments.get("stream") else answer

    if request.param == "sync":
        return plain
    return lambda **arguments: asyncio.run(asynchronous(**arguments))


def user(text):
    return [{"role": "user", "content": text}]


def post(standin, body, path="/v1/chat/completions"):
    return httpx.post(f"{standin.proxy_url}{path}", json=body, trust_env=False)


def ask(standin, prompt, **more):
    return post(standin, {"model": "gpt-4o-mini", "messages": user(prompt), **more})


def join_calls(chunks):
    """Return the calls in the chunks of a stream."""
    calls = {}
    for chunk in chunks:
        for choice in chunk.choices:
            for part in choice.delta.tool_calls or ():
                call = calls.setdefault(part.index, {"id": part.id, "name": part.function.name, "text": ""})
                call["text"] += part.function.arguments or ""
    return [calls[index] for index in sorted(calls)]


def test_the_prompt_of_the_examples_gets_its_three_calls(create):
    answer = create(messages=user(PROMPT), tools=TOOLS)

    calls = answer.choices[0].message.tool_calls
    assert [(call.function.name, json.loads(call.function.arguments)) for call in calls] == CALLS
    assert len({call.id for call in calls}) == 3
    assert answer.choices[0].finish_reason == "tool_calls"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_the_prompt_of_the_examples_gets_its_three_calls_in_a_stream(create):
    chunks = create(messages=user(PROMPT), tools=TOOLS, stream=True, stream_options={"include_usage": True})

    assert [(call["name"], json.loads(call["text"])) for call in join_calls(chunks)] == CALLS
    assert all(call["id"].startswith("call_") for call in join_calls(chunks))
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens > 0
    assert [chunk.choices[0].finish_reason for chunk in chunks[:-1]][-1] == "tool_calls"


def test_a_stream_has_no_usage_unless_it_is_requested(standin):
    answer = ask(standin, "Greet", stream=True)

    assert "usage" not in answer.text
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.text.endswith("data: [DONE]\n\n")


def test_requests_are_logged_with_the_host_the_client_used(standin, create, access):
    create(messages=user("Greet"))

    request = standin.requests[-1]
    assert request.transport == "http"
    assert request.method == "POST"
    assert request.host == {"proxy": "api.openai.com", "base_url": "127.0.0.1"}[access]
    assert request.path == "/v1/chat/completions"
    assert request.body == {"messages": user("Greet"), "model": "gpt-4o-mini"}
    assert request.header("authorization").startswith("Bearer sk-")


def test_each_start_generates_a_new_key(standin):
    with StandIn() as other:
        keys = {standin.environment["OPENAI_API_KEY"], other.environment["OPENAI_API_KEY"]}

    assert len(keys) == 2
    assert all(key.startswith("sk-proj-") and len(key) == 164 for key in keys)


@pytest.mark.parametrize("prompt", [PROMPT, "Greet", "Both", "Refuse", "Cut off", "Anything else"])
def test_answers_are_valid_for_the_types_of_the_sdk(standin, prompt):
    ChatCompletion.model_validate(ask(standin, prompt, tools=TOOLS).json(), strict=True)


def test_an_answer_can_have_text_and_a_call_with_a_scripted_id(standin):
    message = ask(standin, "Both").json()["choices"][0]["message"]

    assert message["content"] == "Looking."
    assert message["tool_calls"] == [
        {
            "id": "call_own",
            "type": "function",
            "function": {"name": "Weather", "arguments": '{"location":"Köln"}'},
        }
    ]


def test_arguments_given_as_text_are_sent_unchanged(standin):
    choice = ask(standin, "Cut off").json()["choices"][0]

    assert choice["message"]["tool_calls"][0]["function"]["arguments"] == '{"loc'
    assert choice["finish_reason"] == "length"


def test_without_a_rule_each_tool_is_called_once(create):
    answer = create(messages=user("Anything else"), tools=TOOLS)

    calls = answer.choices[0].message.tool_calls
    assert [(call.function.name, json.loads(call.function.arguments)) for call in calls] == [
        ("Weather", {"location": "text", "units": "imperial"}),
        ("GoogleSearch", {"query": "text"}),
    ]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"tool_choice": "auto"}, ["Weather", "GoogleSearch"]),
        ({"tool_choice": {"type": "function", "function": {"name": "GoogleSearch"}}}, ["GoogleSearch"]),
        ({"tool_choice": "none"}, []),
        ({"parallel_tool_calls": False}, ["Weather"]),
    ],
)
def test_without_a_rule_the_tool_choice_is_respected(standin, choice, expected):
    message = ask(standin, "Anything else", tools=TOOLS, **choice).json()["choices"][0]["message"]

    assert [call["function"]["name"] for call in message.get("tool_calls", ())] == expected


def test_without_a_rule_and_tools_the_answer_says_what_the_standin_is(standin):
    message = ask(standin, "Who won?").json()["choices"][0]["message"]

    assert message["content"] == (
        "This is Multitrack's stand-in, not a model. No rule of its script applies to this request, "
        "and it does not understand prompts."
    )
    assert "tool_calls" not in message


def test_without_a_rule_an_agent_that_sends_results_gets_a_final_text(standin):
    call = {"id": "call_1", "type": "function", "function": {"name": "Weather", "arguments": "{}"}}
    messages = [
        *user("Anything else"),
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "21 degrees"},
    ]

    answer = post(standin, {"model": "gpt-4o-mini", "messages": messages, "tools": TOOLS}).json()

    assert answer["choices"][0]["finish_reason"] == "stop"


def test_several_choices_have_distinct_call_ids(standin):
    answer = ask(standin, PROMPT, tools=TOOLS, n=2).json()

    assert [choice["index"] for choice in answer["choices"]] == [0, 1]
    ids = [call["id"] for choice in answer["choices"] for call in choice["message"]["tool_calls"]]
    assert len(set(ids)) == 6


@pytest.mark.parametrize("prompt", ["Greet", "No such rule"])
@pytest.mark.parametrize("stream", [False, True])
def test_every_response_has_the_headers_of_the_standin_and_the_account(standin, prompt, stream):
    headers = ask(standin, prompt, stream=stream).headers

    assert headers[STANDIN_HEADER] == "api.openai.com"
    assert headers["openai-organization"] == OPENAI_ORGANIZATION
    assert headers["openai-project"] == OPENAI_PROJECT
    assert OPENAI_COOKIE in headers["set-cookie"]
    assert headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"model": "gpt-4o-mini"}, "Missing required parameter: 'messages'."),
        ([], "We could not parse the JSON body of your request."),
    ],
)
def test_an_invalid_request_is_rejected_as_by_openai(standin, body, message):
    answer = post(standin, body)

    assert answer.status_code == 400
    assert answer.headers[STANDIN_HEADER] == "api.openai.com"
    assert answer.json()["error"] == {
        "message": message,
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }


def test_the_error_for_an_unknown_path_lists_the_supported_paths(standin):
    answer = post(standin, {}, "/v1/embeddings")

    assert answer.status_code == 404
    assert STANDIN_HEADER in answer.headers
    assert answer.json()["error"]["message"] == (
        "the stand-in does not support POST /v1/embeddings; it supports POST .../chat/completions, "
        ".../responses, .../v1/messages, .../MODEL:generateContent, .../MODEL:streamGenerateContent, "
        ".../publishers/anthropic/models/MODEL:rawPredict, .../MODEL:streamRawPredict, /model/MODEL/invoke, "
        "/model/MODEL/converse, /model/MODEL/converse-stream and .../api/chat"
    )


def test_an_azure_client_reaches_it_under_its_own_host_name(standin, monkeypatch):
    for name, value in standin.environment.items():
        monkeypatch.setenv(name, value)

    with openai.AzureOpenAI(
        azure_endpoint="https://harbour.openai.azure.com", api_version="2024-10-21", api_key="any"
    ) as client:
        raw = client.chat.completions.with_raw_response.create(model="planner", messages=user("Greet"))

    assert raw.parse().choices[0].message.content == "Grüße aus Köln"
    assert raw.headers[STANDIN_HEADER] == "harbour.openai.azure.com"
    assert standin.requests[-1].path == "/openai/deployments/planner/chat/completions"


@pytest.mark.slow
def test_a_restarted_standin_sends_the_same_bytes_in_any_order():
    def replies(prompts):
        with StandIn(script=EXAMPLES_SCRIPT) as standin:
            answers = [ask(standin, prompt, tools=TOOLS, stream=stream) for prompt, stream in prompts]
            return [(answer.headers.multi_items(), answer.content) for answer in answers]

    prompts = [(PROMPT, False), (PROMPT, True), ("Else", False)]
    first = replies(prompts)

    assert replies(prompts) == first
    assert replies(reversed(prompts)) == first[::-1]


@pytest.mark.slow
def test_equal_requests_get_different_ids():
    with StandIn() as standin:
        ids = {ask(standin, "Again").json()["id"] for _ in range(3)}

    assert len(ids) == 3


@pytest.mark.slow
def test_the_next_rule_applies_when_a_limited_rule_is_used_up():
    rules = [
        Rule(prompt="Go", times=2, error=ScriptedError(status=429), headers={"Retry-After": "0"}),
        Rule(prompt="Go", text="gone"),
    ]
    with StandIn(rules) as standin:
        limited = ask(standin, "Go")
        with openai.OpenAI(base_url=standin.openai_base_url, api_key="any", max_retries=1) as client:
            after = client.chat.completions.create(model="gpt-4o-mini", messages=user("Go"))

    assert limited.status_code == 429
    assert limited.headers["retry-after"] == "0"
    assert limited.json()["error"] == {
        "message": f"Rate limit reached in organization {OPENAI_ORGANIZATION}, project {OPENAI_PROJECT}, "
        "on requests per min (RPM): Limit 500, Used 500, Requested 1. Please try again in 120ms.",
        "type": "requests",
        "param": None,
        "code": "rate_limit_exceeded",
    }
    assert after.choices[0].message.content == "gone"
    assert len(standin.requests) == 3


@pytest.mark.slow
def test_an_error_can_have_any_body():
    error = ScriptedError(status=502, body="<html>Bad gateway</html>")
    with StandIn([Rule(error=error, headers={"content-type": "text/html"})]) as standin:
        answer = ask(standin, "Go")

    assert answer.status_code == 502
    assert answer.text == "<html>Bad gateway</html>"
    assert answer.headers["content-type"] == "text/html"


@pytest.mark.slow
def test_a_stream_can_end_with_an_error():
    rule = Rule(text="Once upon a time", delta_size=4, after=2, error=ScriptedError(status=500))
    with (
        StandIn([rule]) as standin,
        openai.OpenAI(base_url=standin.openai_base_url, api_key="any") as client,
    ):
        stream = client.chat.completions.create(model="gpt-4o-mini", messages=user("?"), stream=True)
        texts = []
        with pytest.raises(openai.APIError, match="The server had an error while processing your request"):
            texts.extend(chunk.choices[0].delta.content for chunk in stream)

    assert texts == ["", "Once"]
    assert len(standin.requests) == 1


@pytest.mark.slow
@pytest.mark.parametrize("stream", [False, True])
def test_a_connection_can_be_closed_without_a_response(stream):
    with StandIn([Rule(close=True)]) as standin, pytest.raises(httpx.RemoteProtocolError):
        ask(standin, "Go", stream=stream)


@pytest.mark.slow
def test_a_connection_can_be_closed_in_the_middle_of_a_response():
    rule = Rule(text="Once upon a time", chunk_size=50, close=True, after=2)
    with StandIn([rule]) as standin, pytest.raises(httpx.RemoteProtocolError) as failure:
        ask(standin, "Go")

    assert "received 100 bytes" in str(failure.value)


@pytest.mark.slow
def test_a_connection_can_be_closed_in_the_middle_of_a_stream():
    rule = Rule(text="Once upon a time", delta_size=4, close=True, after=2)
    body = {"model": "m", "messages": user("Go"), "stream": True}
    received = []
    with (
        StandIn([rule]) as standin,
        pytest.raises(httpx.RemoteProtocolError),
        httpx.stream("POST", f"{standin.openai_base_url}/chat/completions", json=body) as answer,
    ):
        received.extend(answer.iter_raw())

    assert b"".join(received).count(b"data: ") == 2


def receive_chunks(rule):
    """Return the chunks of the connection, as delimited by the chunked transfer encoding."""
    body = {"model": "m", "messages": user("Go"), "stream": True}
    with (
        StandIn([rule]) as standin,
        httpx.stream("POST", f"{standin.openai_base_url}/chat/completions", json=body) as answer,
    ):
        return list(answer.iter_raw())


@pytest.mark.slow
def test_one_event_is_one_chunk():
    chunks = receive_chunks(Rule(text="Once upon a time", delta_size=4, chunk_delay=0.02))

    assert all(chunk.startswith(b"data: ") and chunk.endswith(b"\n\n") for chunk in chunks)
    assert len(chunks) == 7


@pytest.mark.slow
def test_a_chunk_can_end_inside_a_character():
    chunks = receive_chunks(Rule(text="üüüüüüüü", chunk_size=1, chunk_delay=0.0005))

    assert b"".join(chunks).decode().count("ü") == 8
    assert b"\xc3" in chunks


@pytest.mark.slow
def test_the_deltas_of_several_calls_can_be_interleaved():
    calls = [ScriptedCall("A", {"text": "one and two"}), ScriptedCall("B", {"text": "three"})]
    with (
        StandIn([Rule(calls=calls, interleave=True, delta_size=8)]) as standin,
        openai.OpenAI(base_url=standin.openai_base_url, api_key="any") as client,
    ):
        chunks = list(client.chat.completions.create(model="m", messages=user("?"), stream=True))

    order = [part.index for chunk in chunks for part in chunk.choices[0].delta.tool_calls or ()]
    assert order == [0, 1, 0, 1, 0, 1, 0]
    assert [json.loads(call["text"]) for call in join_calls(chunks)] == [
        {"text": "one and two"},
        {"text": "three"},
    ]


@pytest.mark.slow
def test_a_rule_can_define_the_whole_body():
    with StandIn([Rule(prompt="JSON", body={"any": 1}), Rule(body="data: {}\n\ndata: [DONE]\n\n")]) as standin:
        assert ask(standin, "JSON").json() == {"any": 1}
        assert ask(standin, "Events", stream=True).text == "data: {}\n\ndata: [DONE]\n\n"


def test_request_bodies_can_be_compressed_or_chunked(standin):
    content = json.dumps({"model": "m", "messages": user("Greet")}).encode()
    url = f"{standin.openai_base_url}/chat/completions"
    with httpx.Client() as client:
        answers = [
            client.post(url, content=gzip.compress(content), headers={"content-encoding": "gzip"}),
            client.post(url, content=zlib.compress(content), headers={"content-encoding": "deflate"}),
            client.post(url, content=iter([content[:10], content[10:]])),
        ]
        unknown = client.post(url, content=content, headers={"content-encoding": "snappy"})

    assert [answer.json()["choices"][0]["message"]["content"] for answer in answers] == ["Grüße aus Köln"] * 3
    assert standin.requests[-1].content == content
    assert unknown.status_code == 400
    assert unknown.text == "the stand-in cannot read the request body: the content-encoding snappy is not supported\n"


@pytest.mark.slow
def test_a_connection_serves_many_requests():
    with StandIn() as standin, httpx.Client() as client:
        for _ in range(3):
            client.post(f"{standin.openai_base_url}/chat/completions", json={"messages": user("Go")})

        assert len(standin.requests) == 3
        assert standin.connections == 1


def test_many_threads_can_share_one_client(standin):
    failures = []
    with openai.OpenAI(base_url=standin.openai_base_url, api_key="any") as client:

        def several():
            for _ in range(5):
                answer = client.chat.completions.create(model="m", messages=user("Greet"))
                if answer.choices[0].message.content != "Grüße aus Köln":
                    failures.append(answer)

        threads = [threading.Thread(target=several) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert failures == []


def test_a_tool_without_valid_arguments_is_reported_as_an_error(standin):
    impossible = tool("Impossible", value={"type": "string", "pattern": "^(?!a)"})

    answer = ask(standin, "Anything else", tools=[impossible])

    assert answer.status_code == 500
    assert answer.json()["error"]["message"] == (
        "multitrack.standin: no valid arguments can be generated for the tool Impossible (#/value: found no string "
        "that matches the pattern '^(?!a)': assert_not is not supported); add a rule for this tool"
    )
