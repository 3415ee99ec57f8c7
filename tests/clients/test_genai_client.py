"""google-genai's client with a ``response_model``: the real SDK, for the Gemini API and for Vertex AI."""

import asyncio
import json
import ssl
import subprocess
import sys
from collections.abc import Iterable
from contextlib import contextmanager
from importlib.metadata import version
from typing import Literal

import httpx
import pytest
from google import genai
from google.genai import types
from pydantic import BaseModel, ValidationInfo, field_validator

import multitrack
from multitrack import Mode, ToolCall, model_context, use_cassette
from multitrack.errors import ExtractionError, NoToolCalls, Refusal, TruncatedResponse
from multitrack.standin import Rule, ScriptedCall, StandIn


class Weather(BaseModel):
    """The weather at a place."""

    location: str
    units: Literal["imperial", "metric"] = "metric"
    days: int = 1


class GoogleSearch(BaseModel):
    query: str


class Node(BaseModel):
    kids: list["Node"] = []


USER = [{"role": "user", "content": "What is the weather in toronto?"}]
CALL = {"functionCall": {"name": "Weather", "args": {"location": "Toronto"}}}
BAD = {"functionCall": {"name": "Weather", "args": {"location": None}}}
GEMINI = {"api_key": "key-0"}
VERTEX = {"vertexai": True, "project": "my-project", "location": "us-central1"}
HOSTS = {"gemini": "generativelanguage.googleapis.com", "vertex": "us-central1-aiplatform.googleapis.com"}
# the version of the Gemini API that the SDK requests
VERSION = "v1beta" if version("google-genai") < "3" else "v1"
PATHS = {
    "gemini": f"/{VERSION}/models/gemini-2.0-flash:generateContent",
    "vertex": "/v1beta1/projects/my-project/locations/us-central1/publishers/google/models/"
    "gemini-2.0-flash:generateContent",
}


def gemini_response(*parts, finish="STOP", **response):
    candidate = {"content": {"role": "model", "parts": list(parts)}, "finishReason": finish}
    return {"candidates": [candidate], "usageMetadata": {"totalTokenCount": 14}, **response}


def call_create(client, is_async, **arguments):
    return asyncio.run(client.create_async(**arguments)) if is_async else client.create(**arguments)


@pytest.fixture(params=["sync", "async"])
def is_async(request):
    return request.param == "async"


class Provider:
    """Sends its ``body``, in this process, and stores the requests it receives."""

    def __init__(self):
        self.body = {}
        self.requests = []
        self.models = []
        """The Pydantic models of the tools in each request, by tool name."""
        self.paths = []
        self.client = genai.Client(
            **GEMINI,
            http_options=types.HttpOptions(
                client_args={"transport": httpx.MockTransport(self.reply)},
                async_client_args={"transport": httpx.MockTransport(self.reply)},
            ),
        )

    def reply(self, request):
        self.paths.append(request.url.path)
        self.requests.append(json.loads(request.content))
        self.models.append(dict(model_context.current_models()))
        return httpx.Response(200, json=self.body)


@pytest.fixture
def provider():
    return Provider()


@pytest.fixture
def create(provider, is_async):
    """A function that calls ``create`` or ``create_async`` with the provider's response and arguments."""

    def ask(body, messages=USER, **arguments):
        provider.body = body
        client = multitrack.from_genai(provider.client, mode=Mode.GENAI_PARALLEL_TOOLS, model="gemini-2.0-flash")
        return call_create(client, is_async, messages=messages, **arguments)

    return ask


@pytest.fixture(params=["gemini", "vertex"])
def interface(request):
    return request.param


RULES = [
    Rule(
        prompt="Plan the trip",
        calls=[
            ScriptedCall("Weather", {"location": "Toronto", "units": "metric", "days": 3}),
            ScriptedCall("GoogleSearch", {"query": "super bowl"}),
        ],
    ),
    Rule(prompt="Talk", text="Where to?"),
]


@contextmanager
def reachable_standin():
    """Start a stand-in provider, and set the variables from which Google's libraries read their credentials."""
    with StandIn(RULES) as standin, pytest.MonkeyPatch.context() as environment:
        for name, value in standin.environment.items():
            environment.setenv(name, value)
        yield standin


def plan(interface, is_async, standin=None, prompt="Plan the trip"):
    """Extract over the network. The SDK is given an httpx transport, because otherwise it uses aiohttp if installed."""
    through = {}
    if standin is not None:
        trusting = ssl.create_default_context(cafile=str(standin.certificate_authority))
        through = {"proxy": standin.proxy_url, "verify": trusting}
    messages = [{"role": "system", "content": "You must always use tools"}, {"role": "user", "content": prompt}]
    arguments = {"messages": messages, "response_model": Iterable[Weather | GoogleSearch]}

    def client(**options):
        own = GEMINI if interface == "gemini" else VERTEX
        return multitrack.from_genai(
            genai.Client(**own, http_options=types.HttpOptions(**options)), model="gemini-2.0-flash"
        )

    async def ask():
        async with httpx.AsyncHTTPTransport(**through) as transport:
            return await client(async_client_args={"transport": transport}).create_async(**arguments)

    if is_async:
        return asyncio.run(ask())
    with httpx.HTTPTransport(**through) as transport:
        return client(client_args={"transport": transport}).create(**arguments)


PLAN = [Weather(location="Toronto", units="metric", days=3), GoogleSearch(query="super bowl")]


@pytest.mark.slow
def test_extraction_from_the_real_host_names(interface, is_async):
    with reachable_standin() as standin:
        extraction = plan(interface, is_async, standin)
        with pytest.raises(NoToolCalls) as raised:
            plan(interface, is_async, standin, prompt="Talk")
    assert extraction == PLAN
    assert extraction.calls == (
        ToolCall(None, "Weather", '{"location":"Toronto","units":"metric","days":3}', 0),
        ToolCall(None, "GoogleSearch", '{"query":"super bowl"}', 1),
    )
    assert isinstance(extraction.raw, types.GenerateContentResponse)
    assert raised.value.text == "Where to?"
    received, _ = standin.requests
    assert received.url == f"https://{HOSTS[interface]}{PATHS[interface]}"
    assert received.header("x-goog-api-key") == ("key-0" if interface == "gemini" else None)
    assert [part["text"] for part in received.body["systemInstruction"]["parts"]] == ["You must always use tools"]
    [tool] = received.body["tools"]
    assert [declaration["name"] for declaration in tool["functionDeclarations"]] == ["Weather", "GoogleSearch"]


@pytest.mark.slow
def test_a_cassette_recorded_from_the_standin_replays_without_it_and_without_a_key(
    interface, is_async, monkeypatch, tmp_path
):
    path = tmp_path / "trip.yaml"
    with reachable_standin() as standin, use_cassette(path, mode="record"):
        recorded = plan(interface, is_async, standin)
    assert len(standin.requests) == 1
    monkeypatch.delitem(GEMINI, "api_key")
    for name in ("GOOGLE_API_KEY", "GEMINI_API_KEY", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    with use_cassette(path) as tape:
        replayed = plan(interface, is_async)
    assert len(tape.played) == 1
    assert recorded == replayed == PLAN
    assert recorded.calls == replayed.calls
    text = path.read_text("utf-8")
    assert text.startswith(
        "# 1 · gemini gemini-2.0-flash · 2 calls\n"
        "#   Weather(location='Toronto', units='metric', days=3)\n"
        "#   GoogleSearch(query='super bowl')\n"
    )
    assert "key-0" not in text
    assert "my-project" not in text


def test_parallel_calls_become_models(create, provider):
    extraction = create(
        gemini_response(
            {"functionCall": {"id": "c-0", "name": "Weather", "args": {"location": "Toronto", "days": 3.0}}},
            {"text": "There."},
            {"functionCall": {"id": "c-1", "name": "GoogleSearch", "args": {"query": "super bowl"}}},
        ),
        response_model=Iterable[Weather | GoogleSearch],
    )
    assert extraction == [Weather(location="Toronto", days=3), GoogleSearch(query="super bowl")]
    assert extraction.calls == (
        ToolCall("c-0", "Weather", '{"location":"Toronto","days":3}', 0),
        ToolCall("c-1", "GoogleSearch", '{"query":"super bowl"}', 1),
    )
    assert extraction.text == "There."
    assert extraction.usage.total_token_count == 14
    assert extraction.raw.function_calls[1].name == "GoogleSearch"
    assert provider.models == [{"Weather": Weather, "GoogleSearch": GoogleSearch}]
    [request] = provider.requests
    assert request["contents"] == [{"role": "user", "parts": [{"text": "What is the weather in toronto?"}]}]
    declaration = request["tools"][0]["functionDeclarations"][0]
    assert declaration["name"] == "Weather"
    assert declaration["description"] == "The weather at a place."
    assert declaration["parameters"]["required"] == ["location"]
    assert request.keys() <= {"contents", "tools", "generationConfig"}


def test_null_and_missing_arguments_stay_different(create):
    extraction = create(
        gemini_response(BAD, {"functionCall": {"name": "Weather"}}),
        response_model=Iterable[Weather],
        on_error="collect",
    )
    assert [call.arguments for call in extraction.calls] == ['{"location":null}', None]
    assert len(extraction.errors) == 2


@pytest.mark.parametrize("spelling", ["system_instruction", "systemInstruction"])
@pytest.mark.parametrize(
    "own",
    [
        "Be kind.",
        ["Be kind."],
        types.Part(text="Be kind."),
        types.Content(parts=[types.Part(text="Be kind.")]),
    ],
)
def test_system_messages_are_appended_to_the_configs_own_instruction(create, provider, own, spelling):
    messages = [{"role": "system", "content": "Use tools."}, *USER]
    config = {spelling: own, "temperature": 0.5}
    create(gemini_response(CALL), messages, response_model=Iterable[Weather], config=config)
    create(gemini_response(CALL), messages, config=types.GenerateContentConfig(**config))
    for request in provider.requests:
        assert request["systemInstruction"]["parts"] == [{"text": "Be kind."}, {"text": "Use tools."}]
        assert request["generationConfig"] == {"temperature": 0.5}
    assert config == {spelling: own, "temperature": 0.5}


def test_the_callers_config_is_not_changed(create, provider):
    config = types.GenerateContentConfig(temperature=0.5)
    create(gemini_response(CALL), response_model=Iterable[Weather], config=config)
    assert config == types.GenerateContentConfig(temperature=0.5)
    assert provider.requests[0]["generationConfig"] == {"temperature": 0.5}


def test_a_conversation_with_calls_and_images_is_converted(create, provider):
    messages = [
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,+/8="}}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "a", "type": "function", "function": {"name": "Weather", "arguments": '{"n": 1}'}}],
        },
        {"role": "tool", "tool_call_id": "a", "content": "warm"},
        *USER,
    ]
    create(gemini_response(CALL), messages, response_model=Iterable[Weather])
    image, *others = (content["parts"] for content in provider.requests[0]["contents"])
    # the SDK uses the URL-safe alphabet of base64, which Google accepts as well
    assert image[0]["inlineData"]["data"] in ("+/8=", "-_8=")
    assert others == [
        # "skip_thought_signature_validator", because the call does not come from a thought of Gemini's
        [
            {
                "functionCall": {"id": "a", "name": "Weather", "args": {"n": 1}},
                "thoughtSignature": "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=",
            }
        ],
        [{"functionResponse": {"id": "a", "name": "Weather", "response": {"output": "warm"}}}],
        [{"text": "What is the weather in toronto?"}],
    ]


def test_the_model_of_create_takes_precedence_over_the_clients(create, provider):
    create(gemini_response(CALL), response_model=Iterable[Weather])
    create(gemini_response(CALL), response_model=Iterable[Weather], model="gemini-2.5-pro")
    assert provider.paths == [
        f"/{VERSION}/models/{name}:generateContent" for name in ("gemini-2.0-flash", "gemini-2.5-pro")
    ]


def test_create_without_a_model_is_an_error(provider, is_async):
    with pytest.raises(TypeError, match=r"^create requires a model: pass model= to create or to from_genai$"):
        call_create(multitrack.from_genai(provider.client), is_async, messages=USER, response_model=Iterable[Weather])


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        ("required", {"mode": "ANY"}),
        ({"type": "function", "function": {"name": "Weather"}}, {"mode": "ANY", "allowedFunctionNames": ["Weather"]}),
    ],
)
def test_a_tool_choice_in_openais_format_is_converted(create, provider, choice, config):
    create(gemini_response(CALL), response_model=Iterable[Weather], tool_choice=choice)
    # some versions of the SDK write snake case
    tool_config = types.ToolConfig.model_validate(provider.requests[0]["toolConfig"])
    assert tool_config == types.ToolConfig.model_validate({"functionCallingConfig": config})


def test_without_response_model_the_result_is_the_sdks_response(create, provider):
    response = create(gemini_response({"text": "Warm."}))
    assert isinstance(response, types.GenerateContentResponse)
    assert response.text == "Warm."
    assert "tools" not in provider.requests[0]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (gemini_response({"text": "Where?"}), NoToolCalls),
        (gemini_response(CALL, finish="MAX_TOKENS"), TruncatedResponse),
        (gemini_response(finish="SAFETY"), Refusal),
        ({"promptFeedback": {"blockReason": "SAFETY"}}, Refusal),
        (gemini_response(CALL, BAD), ExtractionError),
        ({}, NoToolCalls),
    ],
)
def test_each_kind_of_bad_response_raises_its_error(create, body, error):
    with pytest.raises(error) as raised:
        create(body, response_model=Iterable[Weather])
    assert isinstance(raised.value.raw, types.GenerateContentResponse)


def test_errors_can_be_collected_and_empty_responses_allowed(create):
    collected = create(gemini_response(CALL, BAD), response_model=Iterable[Weather], on_error="collect")
    assert collected == [Weather(location="Toronto")]
    assert len(collected.errors) == 1
    assert create(gemini_response({"text": "Where?"}), response_model=Iterable[Weather], allow_empty=True) == []


def test_the_context_is_passed_to_validators(create):
    class Place(BaseModel):
        location: str

        @field_validator("location")
        @classmethod
        def look_up(cls, value: str, info: ValidationInfo) -> str:
            return info.context[value]

    body = gemini_response({"functionCall": {"name": "Place", "args": {"location": "Toronto"}}})
    [place] = create(body, response_model=Iterable[Place], context={"Toronto": "YYZ"})
    assert place.location == "YYZ"


TOOLS_AND_RESPONSE_MODEL = "pass either tools= or response_model=, not both: response_model= creates the tools"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"response_model": Weather},
            TypeError,
            "response_model is Weather, but it is not a collection of models; write response_model=Iterable[Weather]",
        ),
        (
            {"response_model": Iterable[Node]},
            TypeError,
            "Node: Gemini's schema language cannot express the recursive type Node (at $.kids[].kids[]); "
            "change the type of the field",
        ),
        ({"response_model": Iterable[Weather], "tools": ["mine"]}, TypeError, TOOLS_AND_RESPONSE_MODEL),
        (
            {"response_model": Iterable[Weather], "config": {"tools": [{"googleSearch": {}}]}},
            TypeError,
            TOOLS_AND_RESPONSE_MODEL,
        ),
        (
            {"response_model": Iterable[Weather], "on_error": "ignore"},
            TypeError,
            "on_error must be 'raise' or 'collect', not 'ignore'",
        ),
        (
            {"response_model": Iterable[Weather], "stream": True, "max_retries": 1},
            TypeError,
            "pass either max_retries= or stream=True, not both: "
            "models that a stream has already yielded cannot be corrected",
        ),
        (
            {"response_model": Iterable[Weather], "messages": [{"role": "bot", "content": "x"}]},
            ValueError,
            "messages[0] has the role 'bot', which is not supported; use system, developer, user, assistant or tool",
        ),
    ],
)
def test_invalid_arguments_are_rejected_before_any_request(create, provider, arguments, error, message):
    with pytest.raises(error) as raised:
        create({}, **arguments)
    assert str(raised.value) == message
    assert provider.requests == []


def test_other_clients_and_modes_are_rejected(provider):
    with pytest.raises(TypeError, match=r"^from_genai requires a google\.genai\.Client, not str$"):
        multitrack.from_genai("gemini")
    with pytest.raises(
        ValueError, match=r"^from_genai supports mode=Mode\.GENAI_PARALLEL_TOOLS, not Mode\.PARALLEL_TOOLS$"
    ):
        multitrack.from_genai(provider.client, mode=Mode.PARALLEL_TOOLS)


@pytest.mark.slow
def test_without_the_sdk_the_error_says_what_to_install():
    code = (
        "import sys\n"
        "sys.modules['google.genai'] = None\n"
        "from multitrack import from_genai\n"
        "try: from_genai(None)\n"
        "except ImportError as error: print(error)\n"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert process.stderr == ""
    assert process.stdout.startswith("from_genai requires the genai SDK (")
    assert "): pip install 'google-genai>=" in process.stdout
