"""Tools as each wire's requests write them."""

import pytest

from multitrack.wires import ToolDefinition, write_tools

WEATHER = {
    "type": "object",
    "properties": {"location": {"type": "string"}},
    "required": ["location"],
}


def test_openai_chat():
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


def test_openai_responses():
    assert write_tools([ToolDefinition("Weather", "At a place.", WEATHER)], "openai.responses.stream") == [
        {
            "type": "function",
            "name": "Weather",
            "description": "At a place.",
            "parameters": WEATHER,
            "strict": False,
        }
    ]


def test_gemini_takes_no_empty_object():
    assert write_tools([ToolDefinition("Ping", None, {"type": "object", "properties": {}})], "gemini") == [
        {"functionDeclarations": [{"name": "Ping"}]}
    ]
    assert write_tools([], "gemini") == []


def test_an_unknown_wire():
    with pytest.raises(ValueError, match=r"^unknown wire 'grok'; known: openai\.chat, "):
        write_tools([], "grok")
