"""Vertex AI's ``GenerativeModel`` with a ``response_model``: the real SDK over gRPC and REST, and in this process."""

import asyncio
import json
import os
import subprocess
import warnings
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel
from warm_python import find_warm_python

import multitrack
from multitrack import Mode, ToolCall, model_context, wires
from multitrack.errors import NoToolCalls, Refusal, TruncatedResponse
from multitrack.standin import Rule, ScriptedCall, StandIn

APPLICATION = Path(__file__).parent / "applications" / "vertex_extraction.py"
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
EXTRACTION = "Extraction([Weather(location='Toronto', units='metric', days=3), GoogleSearch(query='super bowl')])"
CALLS = (
    '(ToolCall(id=None, name=\'Weather\', arguments=\'{"days":3,"location":"Toronto","units":"metric"}\', '
    "index=0), ToolCall(id=None, name='GoogleSearch', arguments='{\"query\":\"super bowl\"}', index=1))"
)


@pytest.mark.slow
def test_an_application_extracts_over_grpc_and_rest():
    with ExitStack() as stack:
        processes = {}
        for transport in ("grpc", "rest"):
            standin = stack.enter_context(StandIn(RULES))
            processes[transport] = subprocess.Popen(
                [*find_warm_python(), "-W", "ignore", str(APPLICATION), transport],
                env={**os.environ, **standin.environment},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        printed = {}
        for transport, process in processes.items():
            output, errors = process.communicate(timeout=60)
            assert process.returncode == 0, errors
            printed[transport] = output.splitlines()
    assert printed["grpc"] == [CALLS, EXTRACTION, EXTRACTION, "Where to?"]
    assert printed["rest"] == [CALLS, EXTRACTION, "Where to?"]


class Weather(BaseModel):
    """The weather at a place."""

    location: str
    units: Literal["imperial", "metric"] = "metric"


class Node(BaseModel):
    kids: list["Node"] = []


USER = [{"role": "user", "content": "What is the weather in toronto?"}]
CALL = {"functionCall": {"name": "Weather", "args": {"location": "Toronto"}}}


@pytest.fixture(scope="module")
def sdk():
    with warnings.catch_warnings():
        # the SDK warns on import, and for each model, that it will be removed
        warnings.simplefilter("ignore")
        import vertexai
        from google.auth.credentials import AnonymousCredentials
        from vertexai import generative_models

        vertexai.init(project="project-0", location="us-central1", credentials=AnonymousCredentials())
    return generative_models


class Provider:
    """Replaces the SDK's client of Vertex's prediction service, and stores the requests it receives."""

    def __init__(self, body):
        self.body = body
        self.requests = []
        self.models = []
        """The Pydantic models of the tools in each request, by tool name."""

    def generate_content(self, request):
        from google.cloud.aiplatform_v1.types import GenerateContentResponse
        from google.protobuf.json_format import MessageToDict, ParseDict

        self.requests.append(MessageToDict(type(request).pb(request)))
        self.models.append(dict(model_context.current_models()))
        response = GenerateContentResponse()
        ParseDict(self.body, GenerateContentResponse.pb(response))
        return response


class AsyncProvider(Provider):
    async def generate_content(self, request):
        return super().generate_content(request)


def gemini_response(*parts, finish="STOP", **response):
    candidate = {"content": {"role": "model", "parts": list(parts)}, "finishReason": finish}
    return {"candidates": [candidate], "usageMetadata": {"totalTokenCount": 14}, **response}


@pytest.fixture
def model(sdk):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return sdk.GenerativeModel("gemini-1.5-pro", system_instruction="Be kind.")


@pytest.fixture(params=["sync", "async"])
def create(request, model, monkeypatch):
    """A function that calls ``create`` or ``create_async`` and returns the result and the provider."""

    def call_create(body, messages=USER, **arguments):
        client = multitrack.from_vertexai(model, mode=Mode.VERTEXAI_PARALLEL_TOOLS)
        if request.param == "async":
            provider = AsyncProvider(body)
            monkeypatch.setattr(type(model), "_prediction_async_client", provider)
            return asyncio.run(client.create_async(messages=messages, **arguments)), provider
        provider = Provider(body)
        monkeypatch.setattr(type(model), "_prediction_client", provider)
        return client.create(messages=messages, **arguments), provider

    return call_create


def test_parallel_calls_become_models(create, sdk):
    extraction, provider = create(gemini_response(CALL, {"text": "There."}), response_model=Iterable[Weather])
    assert extraction == [Weather(location="Toronto")]
    assert extraction.calls == (ToolCall(None, "Weather", '{"location":"Toronto"}', 0),)
    assert extraction.text == "There."
    assert extraction.usage.total_token_count == 14
    assert isinstance(extraction.raw, sdk.GenerationResponse)
    assert provider.models == [{"Weather": Weather}]
    [request] = provider.requests
    assert request["contents"] == [{"role": "user", "parts": [{"text": "What is the weather in toronto?"}]}]
    [declaration] = request["tools"][0]["functionDeclarations"]
    assert declaration["name"] == "Weather"
    assert declaration["description"] == "The weather at a place."
    assert "toolConfig" not in request


@pytest.mark.parametrize(
    "body",
    [
        gemini_response(
            {"functionCall": {"name": "Weather", "args": {"b": [1, 2.5, [True, None], {"z": "ä", "a": {}}]}}}
        ),
        gemini_response({"functionCall": {"name": "Weather", "args": {}}}, {"functionCall": {"name": "Weather"}}),
        gemini_response({"functionCall": {"args": {"kids": []}}}, {"text": ""}, {"text": "There."}, {"text": " Now."}),
        gemini_response(
            {"inlineData": {"mimeType": "image/png", "data": "aGk="}},
            {"executableCode": {"language": "PYTHON", "code": "1"}},
        ),
        gemini_response({"text": "No."}, finish="MALFORMED_FUNCTION_CALL"),
        gemini_response(finish="FINISH_REASON_UNSPECIFIED"),
        {"candidates": [{"finishReason": "SAFETY", "finishMessage": "unsafe"}]},
        {"candidates": [gemini_response(CALL)["candidates"][0], gemini_response(CALL)["candidates"][0]]},
        {"promptFeedback": {"blockReason": "SAFETY", "blockReasonMessage": "unsafe"}},
    ],
    ids=["values", "no arguments", "no name", "other parts", "failure", "no reason", "filter", "candidates", "prompt"],
)
def test_a_response_is_decoded_like_its_json(create, body):
    from google.protobuf.json_format import MessageToDict

    extraction, _ = create(body, response_model=Iterable[Weather], on_error="collect", allow_empty=True)
    message = extraction.raw._raw_response
    answer = wires.read_answer(json.dumps(MessageToDict(type(message).pb(message)), sort_keys=True), "gemini")
    assert extraction.calls == answer.calls
    assert extraction.text == answer.text


def test_system_messages_are_appended_to_the_models_own_instruction(create):
    messages = [{"role": "system", "content": "Use tools."}, *USER]
    _, provider = create(gemini_response(CALL), messages, response_model=Iterable[Weather])
    assert provider.requests[0]["systemInstruction"]["parts"] == [{"text": "Be kind."}, {"text": "Use tools."}]
    _, provider = create(gemini_response(CALL), response_model=Iterable[Weather])
    assert provider.requests[0]["systemInstruction"]["parts"] == [{"text": "Be kind."}]


def test_a_conversation_with_calls_and_images_is_converted(create):
    messages = [
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "a", "type": "function", "function": {"name": "Weather", "arguments": '{"n": 1}'}}],
        },
        {"role": "tool", "tool_call_id": "a", "content": "warm"},
        *USER,
    ]
    _, provider = create(gemini_response(CALL), messages, response_model=Iterable[Weather])
    parts = [content["parts"] for content in provider.requests[0]["contents"]]
    # not every version of the SDK has these fields
    parts[1][0].pop("thoughtSignature", None)
    for part in (parts[1][0]["functionCall"], parts[2][0]["functionResponse"]):
        assert part.pop("id", "a") == "a"
    assert parts == [
        [{"inlineData": {"mimeType": "image/png", "data": "aGk="}}],
        [{"functionCall": {"name": "Weather", "args": {"n": 1.0}}}],
        [{"functionResponse": {"name": "Weather", "response": {"output": "warm"}}}],
        [{"text": "What is the weather in toronto?"}],
    ]


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        ("required", {"mode": "ANY"}),
        ({"type": "function", "function": {"name": "Weather"}}, {"mode": "ANY", "allowedFunctionNames": ["Weather"]}),
    ],
)
def test_a_tool_choice_in_openais_format_is_converted(create, choice, config):
    _, provider = create(gemini_response(CALL), response_model=Iterable[Weather], tool_choice=choice)
    assert provider.requests[0]["toolConfig"] == {"functionCallingConfig": config}


def test_other_arguments_are_passed_to_the_sdk(create):
    _, provider = create(
        gemini_response(CALL),
        response_model=Iterable[Weather],
        generation_config={"temperature": 0.5},
        labels={"a": "b"},
    )
    assert provider.requests[0]["generationConfig"] == {"temperature": 0.5}
    assert provider.requests[0]["labels"] == {"a": "b"}


def test_without_response_model_the_result_is_the_sdks_response(create, sdk):
    response, provider = create(gemini_response({"text": "Warm."}))
    assert isinstance(response, sdk.GenerationResponse)
    assert "tools" not in provider.requests[0]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (gemini_response({"text": "Where?"}), NoToolCalls),
        (gemini_response(CALL, finish="MAX_TOKENS"), TruncatedResponse),
        (gemini_response(finish="SAFETY"), Refusal),
        ({"promptFeedback": {"blockReason": "SAFETY"}}, Refusal),
        ({}, NoToolCalls),
    ],
)
def test_each_kind_of_bad_response_raises_its_error(create, body, error, sdk):
    with pytest.raises(error) as raised:
        create(body, response_model=Iterable[Weather])
    assert isinstance(raised.value.raw, sdk.GenerationResponse)


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
        (
            {"response_model": Iterable[Weather], "tool_choice": "any"},
            ValueError,
            "tool_choice is 'any', which Gemini does not support; use 'auto', 'none', 'required', "
            "or a dictionary with the type function or allowed_tools",
        ),
        (
            {"response_model": Iterable[Weather], "tools": ["mine"]},
            TypeError,
            "pass either tools= or response_model=, not both: response_model= creates the tools",
        ),
        (
            {"response_model": Iterable[Weather], "messages": [{"role": "bot", "content": "x"}]},
            ValueError,
            "messages[0] has the role 'bot', which is not supported; use system, developer, user, assistant or tool",
        ),
    ],
)
def test_invalid_arguments_are_rejected_before_any_request(create, arguments, error, message, model):
    with pytest.raises(error) as raised:
        create({}, **arguments)
    assert str(raised.value) == message
    assert all(not provider.requests for provider in vars(model).values() if isinstance(provider, Provider))


def test_a_model_with_tools_of_its_own_is_rejected(sdk):
    tool = sdk.Tool(
        [sdk.FunctionDeclaration(name="mine", parameters={"type": "object", "properties": {"a": {"type": "string"}}})]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = multitrack.from_vertexai(sdk.GenerativeModel("gemini-1.5-pro", tools=[tool]))
    with pytest.raises(TypeError, match=r"^pass either tools= or response_model=, not both: "):
        client.create(messages=USER, response_model=Iterable[Weather])


def test_other_objects_and_modes_are_rejected(model):
    with pytest.raises(
        TypeError, match=r"^from_vertexai requires a vertexai\.generative_models\.GenerativeModel, not str$"
    ):
        multitrack.from_vertexai("gemini")
    with pytest.raises(
        ValueError, match=r"^from_vertexai supports mode=Mode\.VERTEXAI_PARALLEL_TOOLS, not Mode\.PARALLEL_TOOLS$"
    ):
        multitrack.from_vertexai(model, mode=Mode.PARALLEL_TOOLS)
