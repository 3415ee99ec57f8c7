"""The requests of the generated test suites of ``replayed_suites``.

This file is copied next to the generated tests, whose environment may not have this project. For each client,
``create_<name>`` returns the client as an application creates it, ``mock_<name>`` returns a client whose transport
returns a fixed response, and ``ask_<name>`` makes one request and returns the tool calls of the response. After
``remove_network_<name>``, the clients of ``create_<name>`` receive this response, too, and load no CA certificates.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

QUESTION = "Question {}: what is the weather in Toronto and Dallas, and who won the super bowl?"
MODEL = "projects/harbour-forecast-7/locations/us-central1/publishers/google/models/gemini-2.0-flash"

_PLACE = {"type": "object", "properties": {"location": {"type": "string"}, "units": {"type": "string"}}}
_QUERY = {"type": "object", "properties": {"query": {"type": "string"}}}
_TOOLS = (("Weather", "The weather at a place.", _PLACE), ("GoogleSearch", "A search of the web.", _QUERY))


def _find_library(client_class: Any) -> Any:
    """Return the HTTP library that ``client_class`` is based on: httpx, or a fork of it."""
    return import_module(client_class.__mro__[1].__module__.partition(".")[0])


def _mock_transport(library: Any, name: str) -> Any:
    """Return a transport of ``library`` that always returns the response in ``<name>.json``."""
    body = Path(__file__).with_name(f"{name}.json").read_bytes()
    headers = {"content-type": "application/json"}
    return library.MockTransport(lambda _: library.Response(200, content=body, headers=headers))


def _remove_network(library: Any, name: str) -> None:
    """Make all clients of ``library`` return the response of the mock."""
    mock = _mock_transport(library, name)
    library.HTTPTransport.handle_request = lambda _, request: mock.handle_request(request)
    library.AsyncHTTPTransport.handle_async_request = lambda _, request: mock.handle_async_request(request)
    _skip_certificates()


def _skip_certificates() -> None:
    context: Any = ssl.SSLContext
    context.load_verify_locations = context.set_default_verify_paths = lambda *_, **__: None


def create_openai() -> Any:
    import openai

    return openai.OpenAI()


def mock_openai() -> Any:
    import openai

    transport = _mock_transport(_find_library(openai.DefaultHttpxClient), "openai")
    return openai.OpenAI(api_key="unused", http_client=openai.DefaultHttpxClient(transport=transport))


def remove_network_openai() -> None:
    import openai

    _remove_network(_find_library(openai.DefaultHttpxClient), "openai")


def _openai_arguments(number: int) -> Any:
    tools = [
        {"type": "function", "function": {"name": name, "description": text, "parameters": schema}}
        for name, text, schema in _TOOLS
    ]
    messages = [{"role": "user", "content": QUESTION.format(number)}]
    return {"model": "gpt-4o-mini", "messages": messages, "tools": tools}


def ask_openai(client: Any, number: int) -> Any:
    return client.chat.completions.create(**_openai_arguments(number)).choices[0].message.tool_calls


def create_async_openai() -> Any:
    import openai

    return openai.AsyncOpenAI()


def mock_async_openai() -> Any:
    import openai

    transport = _mock_transport(_find_library(openai.DefaultAsyncHttpxClient), "async_openai")
    return openai.AsyncOpenAI(api_key="unused", http_client=openai.DefaultAsyncHttpxClient(transport=transport))


def remove_network_async_openai() -> None:
    import openai

    _remove_network(_find_library(openai.DefaultAsyncHttpxClient), "async_openai")


def ask_async_openai(client: Any, number: int) -> Any:
    async def ask() -> Any:
        return (await client.chat.completions.create(**_openai_arguments(number))).choices[0].message.tool_calls

    return asyncio.run(ask())


def create_anthropic() -> Any:
    import anthropic

    return anthropic.Anthropic()


def mock_anthropic() -> Any:
    import anthropic

    transport = _mock_transport(_find_library(anthropic.DefaultHttpxClient), "anthropic")
    return anthropic.Anthropic(api_key="unused", http_client=anthropic.DefaultHttpxClient(transport=transport))


def remove_network_anthropic() -> None:
    import anthropic

    _remove_network(_find_library(anthropic.DefaultHttpxClient), "anthropic")


def ask_anthropic(client: Any, number: int) -> Any:
    tools = [{"name": name, "description": text, "input_schema": schema} for name, text, schema in _TOOLS]
    messages = [{"role": "user", "content": QUESTION.format(number)}]
    message = client.messages.create(model="claude-sonnet-4-0", max_tokens=500, messages=messages, tools=tools)
    return [block for block in message.content if block.type == "tool_use"]


def _gemini_tools() -> Any:
    return [
        {
            "function_declarations": [
                {"name": name, "description": text, "parameters_json_schema": schema} for name, text, schema in _TOOLS
            ]
        }
    ]


def create_genai() -> Any:
    from google import genai

    return genai.Client()


def mock_genai() -> Any:
    import httpx
    from google import genai

    options = {"client_args": {"transport": _mock_transport(httpx, "genai")}}
    return genai.Client(api_key="unused", http_options=options)  # type: ignore[arg-type]


def remove_network_genai() -> None:
    import httpx

    _remove_network(httpx, "genai")


def ask_genai(client: Any, number: int) -> Any:
    config = {"tools": _gemini_tools(), "automatic_function_calling": {"disable": True}}
    model = "gemini-2.0-flash"
    return client.models.generate_content(model=model, contents=QUESTION.format(number), config=config).function_calls


def create_vertex() -> Any:
    from google.cloud import aiplatform_v1

    return aiplatform_v1.PredictionServiceClient(
        client_options={"api_endpoint": "us-central1-aiplatform.googleapis.com"}
    )


def mock_vertex() -> Any:
    from google.cloud import aiplatform_v1
    from google.cloud.aiplatform_v1.services.prediction_service.transports.grpc import PredictionServiceGrpcTransport

    return aiplatform_v1.PredictionServiceClient(transport=PredictionServiceGrpcTransport(channel=_mock_channel()))


def remove_network_vertex() -> None:
    import google.auth
    from google.auth import credentials
    from google.cloud.aiplatform_v1.services.prediction_service.transports.grpc import PredictionServiceGrpcTransport

    auth: Any = google.auth
    anonymous: Any = credentials.AnonymousCredentials
    auth.default = lambda *_, **__: (anonymous(), "unused")
    transport: Any = PredictionServiceGrpcTransport
    channel = _mock_channel()
    transport.create_channel = lambda *_, **__: channel
    _skip_certificates()


def _mock_channel() -> Any:
    """Return a channel whose methods always return the response in ``vertex.json``."""
    from google.cloud import aiplatform_v1

    body = Path(__file__).with_name("vertex.json").read_text(encoding="utf-8")
    wire = aiplatform_v1.GenerateContentResponse.serialize(aiplatform_v1.GenerateContentResponse.from_json(body))
    return make_channel(lambda _: wire)


def make_channel(respond: Callable[[Any], bytes]) -> Any:
    """Return a channel without a connection. ``respond`` returns the bytes of the response to a request's message."""
    import grpc

    class Method:
        def __init__(self, deserialize: Any) -> None:
            self._deserialize = deserialize

        def __call__(self, request: Any, *_: Any, **__: Any) -> Any:
            return self._deserialize(respond(request))

        def with_call(self, request: Any, *_: Any, **__: Any) -> Any:
            return self(request), None

    base: Any = grpc.Channel

    class Channel(base):  # type: ignore[misc]
        def unary_unary(
            self, _: str, request_serializer: Any = None, response_deserializer: Any = None, *__: Any, **___: Any
        ) -> Any:
            del request_serializer
            return Method(response_deserializer)

        unary_stream = stream_unary = stream_stream = unary_unary

        def subscribe(self, *_: Any, **__: Any) -> None: ...

        def unsubscribe(self, *_: Any) -> None: ...

        def close(self) -> None: ...

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: Any) -> None: ...

    return Channel()


def ask_vertex(client: Any, number: int) -> Any:
    from google.cloud import aiplatform_v1

    names = [{"name": name, "description": text} for name, text, _ in _TOOLS]
    request = aiplatform_v1.GenerateContentRequest(
        model=MODEL,
        contents=[{"role": "user", "parts": [{"text": QUESTION.format(number)}]}],
        tools=[{"function_declarations": names}],
    )
    parts = client.generate_content(request).candidates[0].content.parts
    return [part.function_call for part in parts if part.function_call.name]
