"""The requests with which the behaviours are recorded: two tools, one question, and the results of one call."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from multitrack import wires
from multitrack.tool_call import ToolCall
from multitrack.wires import ToolDefinition, ToolResult, WireAnswer

WEATHER = ToolDefinition(
    "Weather",
    "The weather at a place.",
    {
        "type": "object",
        "properties": {
            "location": {"type": "string"},
            "units": {"type": "string", "enum": ["imperial", "metric"]},
        },
        "required": ["location", "units"],
    },
)
SEARCH = ToolDefinition(
    "GoogleSearch",
    "A search of the web.",
    {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
)
QUESTION = "What is the weather in Toronto and Dallas, and who won the super bowl?"
FINAL_TEXT = "It is 12 °C and cloudy in Toronto."
MODELS = {
    "openai.chat": "gpt-4o-mini",
    "openai.responses": "gpt-4o-mini",
    "gemini": "gemini-2.5-flash",
    "gemini.grpc": "gemini-2.5-flash",
    "anthropic": "claude-sonnet-5",
    "bedrock": "anthropic.claude-sonnet-4-5-20250929-v1:0",
}
_URLS = {
    "openai.chat": "https://api.openai.com/v1/chat/completions",
    "openai.responses": "https://api.openai.com/v1/responses",
    "anthropic": "https://api.anthropic.com/v1/messages",
}


@dataclass(frozen=True)
class WireRequest:
    """A request. ``url`` is empty for gRPC."""

    url: str
    document: dict[str, Any]


@dataclass(frozen=True)
class RequestOptions:
    """What differs between the requests: the tools, the model, and fields that a behaviour requires."""

    tools: tuple[ToolDefinition, ...] = (WEATHER, SEARCH)
    model: str | None = None
    fields: dict[str, Any] = field(default_factory=dict)


def build_request(cell: str, options: RequestOptions, *, has_results: bool = False) -> WireRequest:
    """Return the request for a cell of the catalogue.

    Args:
        cell: The wire format, with ``.stream`` for a stream.
        options: What differs from other requests.
        has_results: Whether the conversation continues with a call and its result.
    """
    wire = cell.removesuffix(".stream")
    is_streamed = cell.endswith(".stream")
    format_name = wire.replace(".grpc", "")
    model = options.model or MODELS[wire]
    messages = [_build_question(format_name)]
    if has_results:
        messages += _build_results(format_name)
    tools = wires.write_tools(options.tools, format_name)
    match format_name:
        case "openai.chat" | "openai.responses" | "anthropic":
            conversation = "input" if format_name == "openai.responses" else "messages"
            document = {
                "model": model,
                conversation: messages,
                **({"tools": tools} if tools else {}),
                **({"max_tokens": 1024} if format_name == "anthropic" else {}),
                **({"stream": True} if is_streamed else {}),
                **options.fields,
            }
            return WireRequest(_URLS[format_name], document)
        case "bedrock":
            method = "converse-stream" if is_streamed else "converse"
            url = f"https://bedrock-runtime.us-east-1.amazonaws.com/model/{model.replace(':', '%3A')}/{method}"
            configuration = {"toolConfig": {"tools": tools}} if tools else {}
            return WireRequest(url, {"messages": messages, **configuration, **options.fields})
        case _:
            document = {"contents": messages, **({"tools": tools} if tools else {}), **options.fields}
            if wire == "gemini.grpc":
                resource = f"projects/weather-418302/locations/us-central1/publishers/google/models/{model}"
                return WireRequest("", {"model": resource, **document})
            method = "streamGenerateContent?alt=sse" if is_streamed else "generateContent"
            return WireRequest(f"https://generativelanguage.googleapis.com/v1beta/models/{model}:{method}", document)


def _build_question(format_name: str) -> dict[str, Any]:
    match format_name:
        case "gemini":
            return {"role": "user", "parts": [{"text": QUESTION}]}
        case "bedrock":
            return {"role": "user", "content": [{"text": QUESTION}]}
        case _:
            return {"role": "user", "content": QUESTION}


def _build_results(format_name: str) -> list[dict[str, Any]]:
    call_id = None if format_name == "gemini" else "call_1"
    call = ToolCall(call_id, "Weather", '{"location":"Toronto","units":"metric"}', 0)
    document = json.loads(wires.encode_answer(WireAnswer((call,)), format_name))
    return wires.continue_conversation(document, [ToolResult(call, True, "12 °C, cloudy")], format_name)
