"""Tools and messages as each wire's requests write them."""

import copy

import pytest

from multitrack.wires import Tool, tools
from multitrack.wires.gemini_messages import conversation

WEATHER = {
    "type": "object",
    "properties": {"location": {"type": "string"}},
    "required": ["location"],
}


def test_openai_chat():
    assert tools([Tool("Weather", "At a place.", WEATHER), Tool("Ping", None, {"type": "object"})], "openai.chat") == [
        {
            "type": "function",
            "function": {"name": "Weather", "description": "At a place.", "parameters": WEATHER},
        },
        {"type": "function", "function": {"name": "Ping", "parameters": {"type": "object"}}},
    ]


def test_openai_responses():
    assert tools([Tool("Weather", "At a place.", WEATHER)], "openai.responses.stream") == [
        {
            "type": "function",
            "name": "Weather",
            "description": "At a place.",
            "parameters": WEATHER,
            "strict": False,
        }
    ]


def test_gemini_takes_no_empty_object():
    assert tools([Tool("Ping", None, {"type": "object", "properties": {}})], "gemini") == [
        {"functionDeclarations": [{"name": "Ping"}]}
    ]
    assert tools([], "gemini") == []


def test_an_unknown_wire():
    with pytest.raises(ValueError, match=r"^unknown wire 'grok'; known: openai\.chat, "):
        tools([], "grok")


def test_gemini_messages():
    messages = [
        {"role": "system", "content": "Use tools."},
        {"role": "developer", "content": [{"type": "text", "text": "Always."}]},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Where is this?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.jpg?size=2"}},
                {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "mp3"}},
                {"type": "file", "file": {"file_data": "data:application/pdf;base64,aGk="}},
            ],
        },
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "Weather", "arguments": '{"x": 1}'}},
                {"id": "b", "type": "function", "function": {"name": "Ping", "arguments": ""}},
            ],
        },
        {"role": "tool", "tool_call_id": "b", "content": '{"pong": true}'},
        {"role": "tool", "tool_call_id": "a", "content": "warm"},
        {"role": "user", "content": "And now?"},
        {"role": "assistant", "content": None, "refusal": "I cannot."},
    ]
    before = copy.deepcopy(messages)
    assert conversation(messages) == (
        [{"text": "Use tools."}, {"text": "Always."}],
        [
            {
                "role": "user",
                "parts": [
                    {"text": "Where is this?"},
                    {"inlineData": {"mimeType": "image/png", "data": "aGk="}},
                    {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://example.com/a.jpg?size=2"}},
                    {"inlineData": {"mimeType": "audio/mpeg", "data": "aGk="}},
                    {"inlineData": {"mimeType": "application/pdf", "data": "aGk="}},
                ],
            },
            {
                "role": "model",
                "parts": [
                    {"text": "I look."},
                    {"functionCall": {"name": "Weather", "args": {"x": 1}}},
                    {"functionCall": {"name": "Ping", "args": {}}},
                ],
            },
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {"name": "Ping", "response": {"pong": True}}},
                    {"functionResponse": {"name": "Weather", "response": {"output": "warm"}}},
                ],
            },
            {"role": "user", "parts": [{"text": "And now?"}]},
            {"role": "model", "parts": [{"text": "I cannot."}]},
        ],
    )
    assert messages == before


USER = {"role": "user", "content": "hi"}


def holding(*content):
    return [{"role": "user", "content": list(content)}]


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        (["hi"], "messages[0] is a str, and no dictionary with role and content"),
        ([{"content": "hi"}], "messages[0] has the role None, which Gemini does not know"),
        ([{"role": "user", "content": None}], "messages[0] has no content"),
        (
            [USER, {"role": "system", "content": "x"}],
            "messages[1] has the role 'system', which Gemini takes at the beginning only; "
            "move it there, or give it the role 'user'",
        ),
        (
            [{"role": "system", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}],
            "messages[0].content[0] is of the type 'image_url', which cannot be sent to Gemini there",
        ),
        (
            holding({"type": "video"}),
            "messages[0].content[0] is of the type 'video', which cannot be sent to Gemini there",
        ),
        (holding({"type": "text"}), "messages[0].content[0] has no text"),
        (holding({"type": "image_url"}), "messages[0].content[0] has no image_url.url"),
        (
            holding({"type": "image_url", "image_url": {"url": "https://example.com/a"}}),
            "messages[0].content[0] has the URL 'https://example.com/a', which does not tell the type of the image",
        ),
        (
            holding({"type": "image_url", "image_url": {"url": "data:image/svg+xml,%3Csvg/%3E"}}),
            "messages[0].content[0] has a data URL that is not in base64",
        ),
        (
            holding({"type": "file", "file": {"file_id": "file-1"}}),
            "messages[0].content[0] has no file.file_data with a data URL; Gemini knows no files of OpenAI's",
        ),
        (holding({"type": "input_audio"}), "messages[0].content[0] has no input_audio.data and input_audio.format"),
        ([USER, {"role": "assistant"}], "messages[1] has neither content nor tool_calls"),
        (
            [USER, {"role": "assistant", "tool_calls": [{"id": "a", "function": {}}]}],
            "messages[1].tool_calls[0] has no function.name",
        ),
        (
            [USER, {"role": "assistant", "tool_calls": [{"function": {"name": "A", "arguments": "[]"}}]}],
            "messages[1].tool_calls[0] has arguments that are no JSON object, which Gemini cannot be told",
        ),
        (
            [USER, {"role": "tool", "tool_call_id": "a", "content": "x"}],
            "messages[1] answers the call 'a', which no message before it makes",
        ),
    ],
)
def test_messages_that_gemini_cannot_be_told(messages, message):
    with pytest.raises(ValueError, match="messages") as raised:
        conversation(messages)
    assert str(raised.value) == message
