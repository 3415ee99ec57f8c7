"""Write tools in the form of each wire format."""

import re

import pytest

from multitrack.wires import WIRES, ToolDefinition, write_tools

WEATHER = {
    "type": "object",
    "properties": {"location": {"type": "string"}},
    "required": ["location"],
}


def test_tools_of_openai_chat():
    assert write_tools(
        [ToolDefinition("Weather", "At a place.", WEATHER), ToolDefinition("Ping", None, {"type": "object"})],
        "openai.chat",
    ) == [
        {
            "type": "function",
            "function": {"name": "Weather", "description": "At a place.", "parameters": WEATHER},
        },
        {"type": "function", "function": {"name": "Ping", "parameters": {"type": "object"}}},
    ]


def test_tools_of_openai_responses():
    assert write_tools([ToolDefinition("Weather", "At a place.", WEATHER)], "openai.responses.stream") == [
        {
            "type": "function",
            "name": "Weather",
            "description": "At a place.",
            "parameters": WEATHER,
            "strict": False,
        }
    ]


def test_gemini_gets_no_parameters_instead_of_an_empty_object():
    assert write_tools([ToolDefinition("Ping", None, {"type": "object", "properties": {}})], "gemini") == [
        {"functionDeclarations": [{"name": "Ping"}]}
    ]


def test_gemini_gets_no_tools_instead_of_an_empty_declaration():
    assert write_tools([], "gemini") == []


def test_an_unknown_wire_is_an_error():
    message = f"unknown wire format 'grok'; use one of: {', '.join(WIRES)}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        write_tools([], "grok")
