"""Conversations in OpenAI's form, converted to Gemini's, and how both of Google's SDKs read the result."""

import base64
import copy
import itertools
import json
import warnings

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from multitrack.wires.gemini.gemini_messages import convert_messages

USER = {"role": "user", "content": "hi"}


def user_message(*content):
    return [{"role": "user", "content": list(content)}]


def convert_part(**content):
    """Convert one part of a user message to Gemini's form."""
    [message] = convert_messages(user_message(content)).contents
    [written] = message["parts"]
    return written


def assistant_calls(*calls, **message):
    """Return an assistant message with calls. Each call is an id, a function name, and the arguments."""
    tool_calls = [
        {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
        for call_id, name, arguments in calls
    ]
    return {"role": "assistant", "content": None, "tool_calls": tool_calls, **message}


def tool_message(call_id, content="ok", **message):
    return {"role": "tool", "tool_call_id": call_id, "content": content, **message}


def convert(*messages, **flags):
    before = copy.deepcopy(messages)
    contents = convert_messages([USER, *messages], **flags).contents
    assert messages == before, "the messages of the caller have changed"
    assert contents[0]["parts"][0] == {"text": "hi"}
    return contents


def test_a_conversation_is_converted():
    messages = [
        {"role": "system", "content": "Use tools."},
        {"role": "developer", "content": [{"type": "text", "text": "Always."}, {"type": "text", "text": ""}]},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Where is this?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
            ],
        },
        assistant_calls(("a", "Weather", '{"x": 1}'), ("b", "Ping", ""), content="I look."),
        tool_message("b", '{"pong": true}'),
        tool_message("a", "warm"),
        {"role": "user", "content": "And now?"},
        {"role": "assistant", "content": None, "refusal": "I cannot."},
    ]
    before = copy.deepcopy(messages)
    system, contents = convert_messages(messages)
    assert system == [{"text": "Use tools."}, {"text": "Always."}]
    assert contents == [
        {
            "role": "user",
            "parts": [{"text": "Where is this?"}, {"inlineData": {"mimeType": "image/png", "data": "aGk="}}],
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
                {"functionResponse": {"name": "Weather", "response": {"output": "warm"}}},
                {"functionResponse": {"name": "Ping", "response": {"pong": True}}},
            ],
        },
        {"role": "user", "parts": [{"text": "And now?"}]},
        {"role": "model", "parts": [{"text": "I cannot."}]},
    ]
    assert messages == before


def test_messages_of_one_role_become_one_content_but_answers_stay_separate():
    contents = convert(
        {"role": "user", "content": "there"},
        {"role": "assistant", "content": "One."},
        assistant_calls(("a", "F", "{}")),
        tool_message("a"),
        {"role": "user", "content": "And"},
        {"role": "user", "content": "then?"},
    )
    assert [(content["role"], len(content["parts"])) for content in contents] == [
        ("user", 2),
        ("model", 2),
        ("user", 1),
        ("user", 2),
    ]
    assert [part["text"] for part in contents[3]["parts"]] == ["And", "then?"]


def test_consecutive_messages_with_calls_each_get_their_answers():
    contents = convert(
        assistant_calls(("a", "F", "{}")),
        tool_message("a", "1"),
        assistant_calls(("a", "F", "{}")),
        tool_message("a", "2"),
    )
    assert [content["role"] for content in contents] == ["user", "model", "user", "model", "user"]
    assert [contents[n]["parts"][0]["functionResponse"]["response"] for n in (2, 4)] == [{"output": 1}, {"output": 2}]


@pytest.mark.parametrize(
    ("calls", "answers", "outputs"),
    [
        # The same function twice, answered in reverse order.
        ([("a", "F", "{}"), ("b", "F", "{}")], [tool_message("b", "B"), tool_message("a", "A")], ["A", "B"]),
        # One id for two calls.
        ([("a", "F", "{}"), ("a", "F", "{}")], [tool_message("a", "A"), tool_message("a", "B")], ["A", "B"]),
        # No ids, but names.
        (
            [(None, "F", "{}"), ("", "G", "{}"), (None, "F", "{}")],
            [tool_message(None, text, name=name) for text, name in (("G", "G"), ("F1", "F"), ("F2", "F"))],
            ["F1", "G", "F2"],
        ),
        ([("a", "F", "{}")], [tool_message("a", "A", name="F")], ["A"]),
        ([("a", "F", "{}")], [tool_message("a", "A", name=None)], ["A"]),
    ],
)
def test_answers_are_in_the_order_of_the_calls(calls, answers, outputs):
    parts = convert(assistant_calls(*calls), *answers)[-1]["parts"]
    assert [part["functionResponse"]["response"]["output"] for part in parts] == outputs
    assert [part["functionResponse"]["name"] for part in parts] == [name for _, name, _ in calls]


def test_the_legacy_function_call_is_converted():
    contents = convert(
        {"role": "assistant", "content": None, "function_call": {"name": "F", "arguments": '{"x": [1]}'}},
        {"role": "function", "name": "F", "content": "[2]"},
    )
    assert contents[1]["parts"] == [{"functionCall": {"name": "F", "args": {"x": [1]}}}]
    assert contents[2]["parts"] == [{"functionResponse": {"name": "F", "response": {"output": [2]}}}]


def test_the_first_call_with_an_id_keeps_it():
    messages = [
        assistant_calls(("call_1", "F", "{}"), (None, "F", "{}"), ("call_1", "F", "{}"), ("call_2", "G", "{}")),
        tool_message("call_2"),
        tool_message("call_1"),
        tool_message("call_1"),
        tool_message(None, name="F"),
        assistant_calls(("call_1", "F", "{}")),
        tool_message("call_1"),
    ]
    _, calls, answers, later_calls, later_answers = convert(*messages, ids=True)
    assert [part["functionCall"].get("id") for part in calls["parts"]] == ["call_1", None, None, "call_2"]
    assert [part["functionResponse"].get("id") for part in answers["parts"]] == ["call_1", None, None, "call_2"]
    assert "id" not in later_calls["parts"][0]["functionCall"]
    assert "id" not in later_answers["parts"][0]["functionResponse"]
    assert '"id"' not in json.dumps(convert(*messages))


PLACEHOLDER_SIGNATURE = base64.b64encode(b"skip_thought_signature_validator").decode()


def with_signature(signature):
    return {"extra_content": {"google": {"thought_signature": signature}}}


def test_a_thought_signature_stays_with_its_text_or_call():
    message = assistant_calls(("a", "F", "{}"), ("b", "F", "{}"), content="Look.")
    message["tool_calls"][0] |= with_signature("AAAA")
    [_, model, _] = convert(message | with_signature("BBBB"), tool_message("a"), tool_message("b"), signatures=True)
    assert [part.get("thoughtSignature") for part in model["parts"]] == ["BBBB", "AAAA", None]


def test_a_signature_without_text_gets_an_empty_text():
    [_, model] = convert({"role": "assistant", "content": None, **with_signature("BBBB")}, signatures=True)
    assert model["parts"] == [{"text": "", "thoughtSignature": "BBBB"}]


def test_the_first_of_several_unsigned_calls_gets_a_placeholder():
    [_, model, _] = convert(
        assistant_calls(("a", "F", "{}"), ("b", "F", "{}")), tool_message("a"), tool_message("b"), signatures=True
    )
    assert [part.get("thoughtSignature") for part in model["parts"]] == [PLACEHOLDER_SIGNATURE, None]


def test_messages_of_the_sdk_are_converted():
    openai = pytest.importorskip("openai.types.chat")
    document = {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "annotations": [],
        "audio": None,
        "tool_calls": [
            {
                "id": "a",
                "type": "function",
                "function": {"name": "F", "arguments": '{"x": 1}'},
                **with_signature("AAAA"),
            }
        ],
    }
    message = openai.ChatCompletionMessage.model_validate(document)
    before = message.model_copy(deep=True)
    half = {"role": "assistant", "tool_calls": message.tool_calls, "content": ({"type": "text", "text": "Look."},)}
    result = openai.ChatCompletionToolMessageParam(role="tool", tool_call_id="a", content="ok")
    [_, whole, _] = convert_messages([USER, message, result], signatures=True).contents
    assert whole["parts"] == [{"functionCall": {"name": "F", "args": {"x": 1}}, "thoughtSignature": "AAAA"}]
    [_, mixed, _] = convert_messages([USER, half, result], signatures=True).contents
    assert mixed["parts"] == [{"text": "Look."}, *whole["parts"]]
    assert message == before


def test_an_unvalidated_object_of_the_sdk_is_converted():
    openai = pytest.importorskip("openai.types.chat.chat_completion_message")
    # Some providers send the arguments as an object, and the SDK keeps them unchanged.
    message = openai.ChatCompletionMessage.construct(
        role="assistant",
        tool_calls=[{"id": "a", "type": "function", "function": {"name": "F", "arguments": {"x": [1]}}}],
    )
    [_, called, _] = convert_messages([USER, message, tool_message("a")]).contents
    assert called["parts"] == [{"functionCall": {"name": "F", "args": {"x": [1]}}}]
    called["parts"][0]["functionCall"]["args"]["x"].append(2)
    assert convert_messages([USER, message, tool_message("a")]).contents[1]["parts"][0]["functionCall"]["args"] == {
        "x": [1]
    }


BIG = "9007199254740993"


@pytest.mark.parametrize(
    ("content", "response"),
    [
        ("warm", {"output": "warm"}),
        ("", {"output": ""}),
        ('{"pong": true}', {"pong": True}),
        ("{}", {}),
        ("[1, 2]", {"output": [1, 2]}),
        ("21.5", {"output": 21.5}),
        ("null", {"output": None}),
        ('"warm"', {"output": "warm"}),
        ('{"error": "no such place"}', {"error": "no such place"}),
        # Gemini ignores all other keys next to "output" and "error".
        ('{"output": 1, "unit": "C"}', {"output": {"output": 1, "unit": "C"}}),
        ('{"error": null, "value": 1}', {"output": {"error": None, "value": 1}}),
        ('{"output": 1}', {"output": {"output": 1}}),
        # A number that a double cannot hold exactly is sent as text.
        (BIG, {"output": BIG}),
        (f'{{"n": [{BIG}]}}', {"output": f'{{"n": [{BIG}]}}'}),
        (str(2**60), {"output": 2**60}),
        ("NaN", {"output": "NaN"}),
        ("1e999", {"output": "1e999"}),
        ("9" * 400, {"output": "9" * 400}),
        ("[" * 31 + "]" * 31, {"output": "[" * 31 + "]" * 31}),
        ("[" * 100_000, {"output": "[" * 100_000}),
        ([{"type": "text", "text": '{"pong": true}'}], {"pong": True}),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], {"output": ["a", "b"]}),
    ],
    ids=lambda value: str(value)[:30],
)
def test_the_answer_of_a_tool_is_converted(content, response):
    [response_part] = convert(assistant_calls(("a", "F", "{}")), tool_message("a", content))[-1]["parts"]
    assert response_part == {"functionResponse": {"name": "F", "response": response}}


def inline(kind, data="aGk="):
    return {"inlineData": {"mimeType": kind, "data": data}}


def file_at(kind, uri):
    return {"fileData": {"mimeType": kind, "fileUri": uri}}


@pytest.mark.parametrize(
    ("url", "written"),
    [
        ("data:image/png;base64,aGk=", inline("image/png")),
        ("DATA:image/png;charset=utf-8;BASE64,aGk=", inline("image/png")),
        ("data:image/jpg;base64,aGk=", inline("image/jpeg")),
        ("data:application/pdf;base64,aGk=", inline("application/pdf")),
        # Without padding, with line breaks, in the URL-safe alphabet, or percent-encoded.
        ("data:image/png;base64,aGk", inline("image/png")),
        ("data:image/png;base64,aG\nk=\n", inline("image/png")),
        ("data:image/png;base64,-_8=", inline("image/png", "+/8=")),
        ("data:image/png;base64,%2B/8%3D", inline("image/png", "+/8=")),
        ("data:image/svg+xml,%3Csvg/%3E", inline("image/svg+xml", base64.b64encode(b"<svg/>").decode())),
        ("https://example.com/a.jpg?size=2#x", file_at("image/jpeg", "https://example.com/a.jpg?size=2#x")),
        ("http://example.com/a.b/c.PNG", file_at("image/png", "http://example.com/a.b/c.PNG")),
        ("gs://bucket/cat.webp", file_at("image/webp", "gs://bucket/cat.webp")),
    ],
)
def test_an_image_is_converted(url, written):
    assert convert_part(type="image_url", image_url={"url": url, "detail": "auto"}) == written
    assert convert_part(type="image_url", image_url=url) == written
    assert convert_part(type="input_image", image_url=url, detail=None) == written


@pytest.mark.parametrize("url", ["https://example.com/cat", "https://example.com/cat.jpg", "gs://bucket/cat?x=.gif"])
def test_format_overrides_the_type_of_an_image_url(url):
    assert convert_part(type="image_url", image_url={"url": url, "format": "image/jpg"}) == file_at("image/jpeg", url)
    assert convert_part(type="input_image", image_url=url, format="image/png") == file_at("image/png", url)


@pytest.mark.parametrize(
    ("content", "written"),
    [
        ({"type": "text", "text": "a"}, {"text": "a"}),
        ({"type": "input_text", "text": "a"}, {"text": "a"}),
        ({"type": "output_text", "text": "a", "annotations": []}, {"text": "a"}),
        ({"type": "input_audio", "input_audio": {"data": "aGk=", "format": "mp3"}}, inline("audio/mp3")),
        ({"type": "input_audio", "input_audio": {"data": "aGk", "format": "wav"}}, inline("audio/wav")),
        (
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,aGk=", "filename": "a.pdf"}},
            inline("application/pdf"),
        ),
        ({"type": "file", "file": {"file_data": "aGk=", "filename": "A.PDF"}}, inline("application/pdf")),
        ({"type": "file", "file": {"file_data": "aGk=", "format": "text/plain"}}, inline("text/plain")),
        ({"type": "file", "file": {"file_id": "gs://bucket/a.pdf"}}, file_at("application/pdf", "gs://bucket/a.pdf")),
        (
            {"type": "file", "file": {"file_id": "https://example.com/v1beta/files/x", "format": "video/mp4"}},
            file_at("video/mp4", "https://example.com/v1beta/files/x"),
        ),
        ({"type": "input_file", "file_data": "data:text/csv,a%2Cb"}, inline("text/csv", "YSxi")),
        (
            {"type": "input_file", "file_url": "https://example.com/a.pdf"},
            file_at("application/pdf", "https://example.com/a.pdf"),
        ),
    ],
)
def test_text_audio_and_files_are_converted(content, written):
    assert convert_part(**content) == written


def test_a_refusal_of_the_assistant_becomes_text():
    content = [{"type": "text", "text": ""}, {"type": "refusal", "refusal": "No."}, {"type": "text", "text": "Or yes."}]
    assert convert({"role": "assistant", "content": content})[-1]["parts"] == [{"text": "No."}, {"text": "Or yes."}]


def test_an_empty_text_of_the_assistant_is_left_out():
    [called, _] = convert(assistant_calls(("a", "F", "{}"), content=""), tool_message("a"))[1:]
    assert called["parts"] == [{"functionCall": {"name": "F", "args": {}}}]


F = ("a", "F", "{}")
NO_TYPE = (
    "messages[0].content[0] has the URL 'https://example.com/a', whose file type is unknown; "
    "add the type next to the URL, such as 'format': 'image/jpeg', or use a data URL"
)
UNREADABLE = "which Gemini cannot read; use a data URL, or a URL that begins with https:// or gs://"
INVALID_BASE64 = "messages[0].content[0] has data that is not valid base64; encode the bytes with base64.b64encode"


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        (["hi"], "messages[0] is a str; pass a dictionary with role and content"),
        (
            [{"content": "hi"}],
            "messages[0] has the role None, which is not supported; use system, developer, user, assistant or tool",
        ),
        (
            [{"type": "function_call", "call_id": "a", "name": "F", "arguments": "{}"}],
            "messages[0] has the role None, which is not supported; use system, developer, user, assistant or tool",
        ),
        ([], "messages has nothing that Gemini could answer; add a message with the role 'user'"),
        (
            [{"role": "system", "content": "x"}],
            "messages has nothing that Gemini could answer; add a message with the role 'user'",
        ),
        (
            [USER, {"role": "system", "content": "x"}],
            "messages[1] has the role 'system', which Gemini accepts only at the beginning; "
            "move the message there, or change its role to 'user'",
        ),
        (
            [USER, assistant_calls(F), {"role": "developer", "content": "x"}],
            "messages[2] has the role 'developer', which Gemini accepts only at the beginning; "
            "move the message there, or change its role to 'user'",
        ),
        (
            [{**USER, "name": "Ann"}],
            "messages[0] has the key 'name' ('Ann'), but Gemini has no field for the name of a speaker; "
            "put the name into the content",
        ),
        *(
            (
                [{"role": role, "content": content}],
                "messages[0] has no content, and Gemini refuses an empty message; remove the message",
            )
            for role in ("user", "system")
            for content in (None, "", [], [{"type": "text", "text": ""}])
        ),
        (
            [{"role": "user", "content": {"type": "text", "text": "hi"}}],
            "messages[0].content is a dict; pass a string, or a list of parts such as {'type': 'text', 'text': ...}",
        ),
        (user_message("hi"), "messages[0].content[0] is a str; pass a dictionary such as {'type': 'text', ...}"),
        (
            user_message({"type": "video"}),
            "messages[0].content[0] has the type 'video', which Gemini does not support; "
            "use text, image_url, input_audio or file",
        ),
        (
            user_message({"type": "refusal", "refusal": "No."}),
            "messages[0].content[0] has the type 'refusal', which Gemini does not support; "
            "use text, image_url, input_audio or file",
        ),
        (
            [{"role": "system", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}],
            "messages[0].content[0] has the type 'image_url', but a message with the role 'system' can contain only "
            "text; move the part to a message with the role 'user'",
        ),
        (
            [USER, assistant_calls(F), tool_message("a", [{"type": "input_image", "image_url": "x"}])],
            "messages[2].content[0] has the type 'input_image', but a message with the role 'tool' can contain only "
            "text; move the part to a message with the role 'user'",
        ),
        (user_message({"type": "text"}), "messages[0].content[0] has no text; add the text under the key 'text'"),
        (
            user_message({"type": "image_url"}),
            "messages[0].content[0] has no image_url.url; add the URL of the image, or a data URL",
        ),
        (user_message({"type": "image_url", "image_url": {"url": "https://example.com/a"}}), NO_TYPE),
        (user_message({"type": "input_image", "image_url": "https://example.com/a"}), NO_TYPE),
        (
            user_message({"type": "image_url", "image_url": {"url": "/home/cat.png"}}),
            f"messages[0].content[0] refers to '/home/cat.png', {UNREADABLE}",
        ),
        (
            user_message({"type": "image_url", "image_url": {"url": "aGk" * 100}}),
            f"messages[0].content[0] refers to '{('aGk' * 100)[:100]}...', {UNREADABLE}",
        ),
        (user_message({"type": "image_url", "image_url": {"url": "data:image/png;base64,a"}}), INVALID_BASE64),
        (user_message({"type": "input_audio", "input_audio": {"data": "<wav>", "format": "wav"}}), INVALID_BASE64),
        (
            user_message({"type": "image_url", "image_url": {"url": "data:;base64,aGk="}}),
            "messages[0].content[0] has a data URL without a type; write the URL as 'data:<type>;base64,...'",
        ),
        *(
            (
                user_message(image),
                "messages[0].content[0] has the detail 'high', but Gemini has one setting for the whole request; "
                "remove the detail, or set media_resolution for the request",
            )
            for image in (
                {"type": "image_url", "image_url": {"url": "gs://a/b.png", "detail": "high"}},
                {"type": "input_image", "image_url": "gs://a/b.png", "detail": "high"},
            )
        ),
        (
            user_message({"type": "file", "file": {"file_id": "file-1"}}),
            f"messages[0].content[0] refers to 'file-1', {UNREADABLE}",
        ),
        (
            user_message({"type": "input_image", "file_id": "file-1"}),
            f"messages[0].content[0] refers to 'file-1', {UNREADABLE}",
        ),
        (
            user_message({"type": "file", "file": {}}),
            "messages[0].content[0] has no file.file_data; add the file as a data URL",
        ),
        (
            user_message({"type": "file", "file": {"file_data": "aGk=", "filename": "a"}}),
            "messages[0].content[0] has data of an unknown file type; write file.file_data as 'data:<type>;base64,...'",
        ),
        (
            user_message({"type": "input_audio"}),
            "messages[0].content[0] needs input_audio.data and input_audio.format; "
            "add the audio in base64, and its format",
        ),
        *(
            (
                [USER, {"role": "assistant", "content": content}],
                "messages[1] has neither content nor tool_calls, and Gemini refuses an empty message; remove the "
                "message",
            )
            for content in (None, "", [])
        ),
        (
            [USER, {"role": "assistant", "audio": {"id": "audio_1"}}],
            "messages[1] has audio, which Gemini does not accept from the assistant; "
            "write its transcript into the content",
        ),
        (
            [{"role": "assistant", "content": "Hello."}, assistant_calls(F), tool_message("a")],
            "messages[1] calls a function before the first user message, which Gemini refuses; "
            "add a message with the role 'user' before it",
        ),
        (
            [USER, {"role": "assistant", "tool_calls": "F"}],
            "messages[1].tool_calls is a str; pass a list of tool calls",
        ),
        (
            [USER, {"role": "assistant", "tool_calls": ["F"]}],
            "messages[1].tool_calls[0] has the type 'str', but Gemini supports only function calls; remove this call",
        ),
        (
            [USER, {"role": "assistant", "tool_calls": [{"id": "a", "type": "custom", "custom": {"name": "F"}}]}],
            "messages[1].tool_calls[0] has the type 'custom', but Gemini supports only function calls; remove this "
            "call",
        ),
        (
            [USER, {"role": "assistant", "tool_calls": [{"id": "a", "function": {}}]}],
            "messages[1].tool_calls[0].function has no name; add the name of the function that was called",
        ),
        *(
            (
                [USER, assistant_calls(("a", "F", arguments))],
                "messages[1].tool_calls[0].function.arguments is not a JSON object, and Gemini accepts nothing else; "
                "pass a JSON object",
            )
            for arguments in ("[]", "{", 7, "[" * 100_000)
        ),
        (
            [USER, {"role": "assistant", "function_call": {"name": "F", "arguments": f'{{"n": {BIG}}}'}}],
            f"messages[1].function_call.arguments contains the number {BIG}, which Gemini cannot represent exactly; "
            "pass a string",
        ),
        (
            [USER, assistant_calls(("a", "F", '{"n": [Infinity]}'))],
            "messages[1].tool_calls[0].function.arguments contains the number inf, which Gemini cannot represent "
            "exactly; pass a string",
        ),
        (
            [USER, assistant_calls(("a", "F", '{"n": ' * 31 + "1" + "}" * 31))],
            "messages[1].tool_calls[0].function.arguments contains more than 30 levels of nesting, which Gemini "
            "cannot represent exactly; pass a string",
        ),
        (
            [USER, assistant_calls(("a", "F", {"n": b""}))],
            "messages[1].tool_calls[0].function.arguments contains a value of the type bytes, which Gemini "
            "cannot represent exactly; pass a string",
        ),
        (
            [USER, {"role": "tool", "content": "x"}],
            "messages[1] has no tool_call_id; add the id of the tool call that it answers",
        ),
        (
            [USER, tool_message("a")],
            "messages[1] answers the call 'a', which is not waiting for an answer (waiting calls: none); "
            "put one tool message for each call right after the assistant message with the calls",
        ),
        (
            [USER, assistant_calls(F), tool_message("a"), tool_message("a")],
            "messages[3] answers the call 'a', which is not waiting for an answer (waiting calls: none); "
            "put one tool message for each call right after the assistant message with the calls",
        ),
        (
            [USER, assistant_calls(("b", "F", "{}"), (None, "G", "{}")), tool_message("a")],
            "messages[2] answers the call 'a', which is not waiting for an answer (waiting calls: 'b' (F), G); "
            "put one tool message for each call right after the assistant message with the calls",
        ),
        (
            [USER, assistant_calls(F), tool_message("a", name="G")],
            "messages[2] has the name 'G', but it answers a call to 'F'; correct the name, or remove it",
        ),
        *(
            (
                [USER, assistant_calls(F), tool_message("a", content)],
                "messages[2] has no content; add the tool's answer, which can be an empty string",
            )
            for content in (None, [])
        ),
        (
            [USER, assistant_calls(F), tool_message("a", {"pong": True})],
            "messages[2].content is a dict; pass a string, or a list of parts such as {'type': 'text', 'text': ...}",
        ),
        *(
            (
                [USER, assistant_calls(("a", "F", "{}"), ("b", "F", "{}")), tool_message("a"), *following],
                "the call 'b' (F) at messages[1].tool_calls[1] has no answer, but Gemini requires an answer to each "
                "call; after the message with the call, add a message with the role 'tool'",
            )
            for following in (
                [],
                [USER],
                [{"role": "assistant", "content": "So."}],
                [assistant_calls(F), tool_message("a")],
            )
        ),
        (
            [USER, assistant_calls(F)],
            "the call 'a' (F) at messages[1].tool_calls[0] has no answer, but Gemini requires an answer to each "
            "call; after the message with the call, add a message with the role 'tool'",
        ),
        *(
            (
                [USER, message],
                f"{location} has a thought signature, but the installed SDK has no field for it; "
                "upgrade the SDK, or leave extra_content out",
            )
            for location, message in (
                ("messages[1]", {"role": "assistant", "content": "Yes.", **with_signature("AAAA")}),
                (
                    "messages[1].tool_calls[0]",
                    {
                        "role": "assistant",
                        "tool_calls": [{**assistant_calls(F)["tool_calls"][0], **with_signature("AAAA")}],
                    },
                ),
            )
        ),
    ],
    ids=lambda value: value[:60] if isinstance(value, str) else None,
)
def test_a_conversation_that_gemini_does_not_support_is_refused(messages, message):
    before = copy.deepcopy(messages)
    with pytest.raises(ValueError, match="messages") as raised:
        convert_messages(messages)
    assert str(raised.value) == message
    assert messages == before, "the messages of the caller have changed"


TEXT = st.text(min_size=1, max_size=20)
KEYS = TEXT | st.sampled_from(["output", "error"])
NAMES = st.sampled_from(["Weather", "GoogleSearch"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
ARGUMENTS = st.dictionaries(TEXT, JSON, max_size=3)
BYTES = st.binary(min_size=1, max_size=20)
URLS = st.sampled_from(["https://example.com/a.png", "gs://bucket/b.webp"])


def data_url(data):
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


USER_PARTS = st.one_of(
    TEXT.map(lambda text: {"type": "text", "text": text}),
    (BYTES.map(data_url) | URLS).map(lambda url: {"type": "image_url", "image_url": {"url": url}}),
    BYTES.map(
        lambda data: {
            "type": "input_audio",
            "input_audio": {"data": base64.b64encode(data).decode(), "format": "wav"},
        }
    ),
    BYTES.map(lambda data: {"type": "file", "file": {"file_data": data_url(data), "filename": "a.png"}}),
)
TEXT_PARTS = st.lists(TEXT.map(lambda text: {"type": "text", "text": text}), min_size=1, max_size=2)


@st.composite
def exchanges(draw):
    """Draw an assistant message with calls, and the answers to them in any order."""
    calls = draw(st.lists(st.tuples(st.uuids().map(str), NAMES, ARGUMENTS), min_size=1, max_size=4))
    message = assistant_calls(*((call_id, name, json.dumps(arguments)) for call_id, name, arguments in calls))
    message["content"] = draw(st.none() | st.just("") | TEXT | TEXT_PARTS)
    if draw(st.booleans()):
        message["tool_calls"][0] |= with_signature(base64.b64encode(draw(BYTES)).decode())
    contents = st.text(max_size=20) | JSON.map(json.dumps) | TEXT_PARTS
    return [message, *(tool_message(call_id, draw(contents)) for call_id, _, _ in draw(st.permutations(calls)))]


CONVERSATIONS = st.tuples(
    st.lists(st.fixed_dictionaries({"role": st.just("system"), "content": TEXT | TEXT_PARTS}), max_size=2),
    st.lists(
        st.one_of(
            st.fixed_dictionaries(
                {"role": st.just("user"), "content": TEXT | st.lists(USER_PARTS, min_size=1, max_size=3)}
            ).map(lambda message: [message]),
            st.fixed_dictionaries({"role": st.just("assistant"), "content": TEXT | TEXT_PARTS}).map(lambda m: [m]),
            exchanges(),
        ),
        max_size=5,
    ),
).map(lambda drawn: [*drawn[0], USER, *(message for turn in drawn[1] for message in turn)])


@pytest.fixture(scope="module", params=["vertexai", "google-genai"])
def sdk(request):
    """Return how an SDK reads and prints a content, and whether it has fields for ids and for signatures."""
    if request.param == "google-genai":
        genai = pytest.importorskip("google.genai.types")

        def read(content):
            content = genai.Content.model_validate_json(json.dumps(content))
            return content.model_dump(mode="json", by_alias=True, exclude_unset=True)

        return read, True, True
    pytest.importorskip("vertexai")
    with warnings.catch_warnings():
        # The SDK warns that it will be removed.
        warnings.simplefilter("ignore")
        from google.cloud.aiplatform_v1beta1 import types
        from google.protobuf.json_format import MessageToDict
        from vertexai.generative_models import Content

    def read(content):
        sent = types.Content.serialize(Content.from_dict(content)._raw_content)
        return MessageToDict(types.Content.pb(types.Content.deserialize(sent)))

    return read, "id" in types.FunctionCall.meta.fields, "thought_signature" in types.Part.meta.fields


def normalize_base64(value):
    """Return ``value`` with its base64 in the standard alphabet, because the SDKs use different ones."""
    match value:
        case {"data": data}:
            return {**value, "data": data.translate(str.maketrans("-_", "+/"))}
        case {"thoughtSignature": signature, **rest}:
            return {**normalize_base64(rest), "thoughtSignature": signature.translate(str.maketrans("-_", "+/"))}
        case {"functionCall": _} | {"functionResponse": _}:
            return value
        case dict():
            return {key: normalize_base64(item) for key, item in value.items()}
        case list():
            return [normalize_base64(item) for item in value]
        case _:
            return value


@pytest.mark.slow
@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(messages=CONVERSATIONS, ids=st.booleans())
def test_both_sdks_read_any_conversation_completely(sdk, messages, ids):
    read, has_ids, has_signatures = sdk
    ids = ids and has_ids
    for call in calls_in(messages):
        if not has_signatures:
            call.pop("extra_content", None)
    before = copy.deepcopy(messages)
    system, contents = convert_messages(messages, ids=ids, signatures=has_signatures)
    assert messages == before, "the messages of the caller have changed"
    assert [normalize_base64(read(content)) for content in contents] == contents
    check_turns(contents)

    parts = [part for content in contents for part in content["parts"]]
    visible_messages = [message for message in messages if message["role"] in ("user", "assistant")]
    assert [part["text"] for part in system] == texts_of(message for message in messages if message["role"] == "system")
    assert [part["text"] for part in parts if "text" in part] == texts_of(visible_messages)
    assert [part for part in map(read_media, parts) if part] == [
        part for message in visible_messages for part in map(media_of, parts_in(message)) if part
    ]
    calls = calls_in(messages)
    assert [
        (part["functionCall"]["name"], part["functionCall"]["args"]) for part in parts if "functionCall" in part
    ] == [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls]
    answers = {message["tool_call_id"]: message for message in messages if message["role"] == "tool"}
    responses = [part["functionResponse"] for part in parts if "functionResponse" in part]
    assert [response.get("id") for response in responses] == [call["id"] if ids else None for call in calls]
    assert [read_response(response["response"]) for response in responses] == [
        expected_response(texts_of([answers[call["id"]]])) for call in calls
    ]


def check_turns(contents):
    """Check that the turns follow Gemini's rules."""
    assert contents[0]["role"] == "user"
    for earlier, later in itertools.pairwise(contents):
        calls = [part["functionCall"] for part in earlier["parts"] if "functionCall" in part]
        answers = [part["functionResponse"] for part in later["parts"] if "functionResponse" in part]
        assert [(call.get("id"), call["name"]) for call in calls] == [
            (response.get("id"), response["name"]) for response in answers
        ]
        assert len(answers) in (0, len(later["parts"]))
        assert earlier["role"] != later["role"] or "functionResponse" in earlier["parts"][0]


def calls_in(messages):
    return [call for message in messages for call in message.get("tool_calls", ())]


def parts_in(message):
    content = message["content"]
    return content if isinstance(content, list) else [{"type": "text", "text": content or ""}]


def texts_of(messages):
    parts = [part for message in messages for part in parts_in(message)]
    return [part["text"] for part in parts if part["type"] == "text" and part["text"]]


def media_of(part):
    """Return the bytes of a message part in OpenAI's form, or their URL. None for text."""
    match part:
        case {"input_audio": {"data": data}}:
            return base64.b64decode(data)
        case {"image_url": {"url": url}} | {"file": {"file_data": url}}:
            return base64.b64decode(url.partition(",")[2]) if url.startswith("data:") else url


def read_media(part):
    match part:
        case {"inlineData": {"data": data}}:
            return base64.b64decode(data)
        case {"fileData": {"fileUri": uri}}:
            return uri


def read_response(response):
    """Return what Gemini reads as the answer of a function."""
    return response.get("output", response)


def expected_response(texts):
    if len(texts) > 1:
        return texts
    try:
        return json.loads("".join(texts), parse_constant=refuse_constant)
    except ValueError:
        return "".join(texts)


def refuse_constant(constant):
    """Refuse Infinity and NaN, which Python reads although they are not JSON."""
    raise ValueError(constant)
