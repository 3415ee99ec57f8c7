"""Vertex AI's GenerativeModel with a response_model: the real SDK, over gRPC and REST, and in the process."""

import asyncio
import os
import subprocess
import sys
import warnings
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel

import multitrack
from multitrack import Mode, ToolCall, model_context
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
MODELS = "Extraction([Weather(location='Toronto', units='metric', days=3), GoogleSearch(query='super bowl')])"
CALLS = (
    '(ToolCall(id=None, name=\'Weather\', arguments=\'{"days":3,"location":"Toronto","units":"metric"}\', '
    "index=0), ToolCall(id=None, name='GoogleSearch', arguments='{\"query\":\"super bowl\"}', index=1))"
)


def test_an_application_extracts_over_grpc_and_rest():
    with ExitStack() as stack:
        processes = {}
        for transport in ("grpc", "rest"):
            standin = stack.enter_context(StandIn(RULES))
            processes[transport] = subprocess.Popen(
                [sys.executable, "-W", "ignore", str(APPLICATION), transport],
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
    assert printed == {"grpc": [CALLS, MODELS, MODELS, "Where to?"], "rest": [CALLS, MODELS, "Where to?"]}


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
        # the SDK says that it will be removed, on import and for each model
        warnings.simplefilter("ignore")
        import vertexai
        from google.auth.credentials import AnonymousCredentials
        from vertexai import generative_models

        vertexai.init(project="project-0", location="us-central1", credentials=AnonymousCredentials())
    return generative_models


class Provider:
    """In the place of the client of Vertex's prediction service."""

    def __init__(self, answer):
        self.answer = answer
        self.sent = []
        self.offered = []

    def generate_content(self, request):
        from google.cloud.aiplatform_v1.types import GenerateContentResponse
        from google.protobuf.json_format import MessageToDict, ParseDict

        self.sent.append(MessageToDict(type(request).pb(request)))
        self.offered.append(dict(model_context.offered_models()))
        response = GenerateContentResponse()
        ParseDict(self.answer, GenerateContentResponse.pb(response))
        return response


class AsyncProvider(Provider):
    async def generate_content(self, request):
        return super().generate_content(request)


def answering(*parts, finish="STOP", **response):
    candidate = {"content": {"role": "model", "parts": list(parts)}, "finishReason": finish}
    return {"candidates": [candidate], "usageMetadata": {"totalTokenCount": 14}, **response}


@pytest.fixture
def model(sdk):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return sdk.GenerativeModel("gemini-1.5-pro", system_instruction="Be kind.")


@pytest.fixture(params=["sync", "async"])
def create(request, model, monkeypatch):
    """`create` or `create_async`, as a plain function of a provider and arguments."""

    def ask(provider_answer, messages=USER, **arguments):
        client = multitrack.from_vertexai(model, mode=Mode.VERTEXAI_PARALLEL_TOOLS)
        if request.param == "async":
            provider = AsyncProvider(provider_answer)
            monkeypatch.setattr(type(model), "_prediction_async_client", provider)
            return asyncio.run(client.create_async(messages=messages, **arguments)), provider
        provider = Provider(provider_answer)
        monkeypatch.setattr(type(model), "_prediction_client", provider)
        return client.create(messages=messages, **arguments), provider

    return ask


def test_parallel_calls_become_models(create, sdk):
    extraction, provider = create(answering(CALL, {"text": "There."}), response_model=Iterable[Weather])
    assert extraction == [Weather(location="Toronto")]
    assert extraction.calls == (ToolCall(None, "Weather", '{"location":"Toronto"}', 0),)
    assert (extraction.text, extraction.usage.total_token_count) == ("There.", 14)
    assert isinstance(extraction.raw, sdk.GenerationResponse)
    assert provider.offered == [{"Weather": Weather}]
    [sent] = provider.sent
    assert sent["contents"] == [{"role": "user", "parts": [{"text": "What is the weather in toronto?"}]}]
    [declaration] = sent["tools"][0]["functionDeclarations"]
    assert (declaration["name"], declaration["description"]) == ("Weather", "The weather at a place.")
    assert "toolConfig" not in sent


def test_system_messages_stand_behind_the_models_own_instruction(create):
    messages = [{"role": "system", "content": "Use tools."}, *USER]
    _, provider = create(answering(CALL), messages, response_model=Iterable[Weather])
    assert provider.sent[0]["systemInstruction"]["parts"] == [{"text": "Be kind."}, {"text": "Use tools."}]
    _, provider = create(answering(CALL), response_model=Iterable[Weather])
    assert provider.sent[0]["systemInstruction"]["parts"] == [{"text": "Be kind."}]


def test_a_conversation_with_calls_and_images(create):
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
    _, provider = create(answering(CALL), messages, response_model=Iterable[Weather])
    sent = [content["parts"] for content in provider.sent[0]["contents"]]
    # fields that not every SDK has
    sent[1][0].pop("thoughtSignature", None)
    for part in (sent[1][0]["functionCall"], sent[2][0]["functionResponse"]):
        assert part.pop("id", "a") == "a"
    assert sent == [
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
def test_a_tool_choice_in_openais_form(create, choice, config):
    _, provider = create(answering(CALL), response_model=Iterable[Weather], tool_choice=choice)
    assert provider.sent[0]["toolConfig"] == {"functionCallingConfig": config}


def test_other_arguments_are_the_sdks(create):
    _, provider = create(
        answering(CALL), response_model=Iterable[Weather], generation_config={"temperature": 0.5}, labels={"a": "b"}
    )
    assert (provider.sent[0]["generationConfig"], provider.sent[0]["labels"]) == ({"temperature": 0.5}, {"a": "b"})


def test_without_response_model_it_is_the_sdks_answer(create, sdk):
    response, provider = create(answering({"text": "Warm."}))
    assert isinstance(response, sdk.GenerationResponse)
    assert "tools" not in provider.sent[0]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (answering({"text": "Where?"}), NoToolCalls),
        (answering(CALL, finish="MAX_TOKENS"), TruncatedResponse),
        (answering(finish="SAFETY"), Refusal),
        ({"promptFeedback": {"blockReason": "SAFETY"}}, Refusal),
        ({}, NoToolCalls),
    ],
)
def test_bad_answers(create, answer, kind, sdk):
    with pytest.raises(kind) as raised:
        create(answer, response_model=Iterable[Weather])
    assert isinstance(raised.value.raw, sdk.GenerationResponse)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
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
def test_what_is_refused_before_any_request(create, arguments, kind, message, model):
    with pytest.raises(kind) as raised:
        create({}, **arguments)
    assert str(raised.value) == message
    assert all(not provider.sent for provider in vars(model).values() if isinstance(provider, Provider))


def test_a_model_with_tools_of_its_own_is_refused(sdk):
    tool = sdk.Tool(
        [sdk.FunctionDeclaration(name="mine", parameters={"type": "object", "properties": {"a": {"type": "string"}}})]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = multitrack.from_vertexai(sdk.GenerativeModel("gemini-1.5-pro", tools=[tool]))
    with pytest.raises(TypeError, match=r"^pass either tools= or response_model=, not both: "):
        client.create(messages=USER, response_model=Iterable[Weather])


def test_wrong_models_and_modes(model):
    with pytest.raises(
        TypeError, match=r"^from_vertexai requires a vertexai\.generative_models\.GenerativeModel, not str$"
    ):
        multitrack.from_vertexai("gemini")
    with pytest.raises(
        ValueError, match=r"^from_vertexai supports mode=Mode\.VERTEXAI_PARALLEL_TOOLS, not Mode\.PARALLEL_TOOLS$"
    ):
        multitrack.from_vertexai(model, mode=Mode.PARALLEL_TOOLS)
