"""Conversations in OpenAI's form as Gemini is told them, and what both of Google's SDKs make of them."""

import base64
import copy
import itertools
import json
import warnings

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from multitrack.wires.gemini_messages import convert_messages

USER = {"role": "user", "content": "hi"}


def said(*content):
    return [{"role": "user", "content": list(content)}]


def part(**content):
    """The one part that Gemini is told of a user's one part."""
    [told] = convert_messages(said(content)).contents
    [written] = told["parts"]
    return written


def calling(*calls, **message):
    """A message of the assistant; a call is its id, the function's name, and the arguments."""
    tool_calls = [
        {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
        for call_id, name, arguments in calls
    ]
    return {"role": "assistant", "content": None, "tool_calls": tool_calls, **message}


def answer(call_id, content="ok", **message):
    return {"role": "tool", "tool_call_id": call_id, "content": content, **message}


def told(*messages, **flags):
    before = copy.deepcopy(messages)
    contents = convert_messages([USER, *messages], **flags).contents
    assert messages == before
    assert contents[0]["parts"][0] == {"text": "hi"}
    return contents


def test_a_conversation():
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
        calling(("a", "Weather", '{"x": 1}'), ("b", "Ping", ""), content="I look."),
        answer("b", '{"pong": true}'),
        answer("a", "warm"),
        {"role": "user", "content": "And now?"},
        {"role": "assistant", "content": None, "refusal": "I cannot."},
    ]
    before = copy.deepcopy(messages)
    assert convert_messages(messages) == (
        [{"text": "Use tools."}, {"text": "Always."}],
        [
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
        ],
    )
    assert messages == before


def test_messages_of_one_role_become_one_content_and_answers_stand_alone():
    contents = told(
        {"role": "user", "content": "there"},
        {"role": "assistant", "content": "One."},
        calling(("a", "F", "{}")),
        answer("a"),
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


def test_calls_of_messages_after_one_another_are_answered_one_after_another():
    contents = told(calling(("a", "F", "{}")), answer("a", "1"), calling(("a", "F", "{}")), answer("a", "2"))
    assert [content["role"] for content in contents] == ["user", "model", "user", "model", "user"]
    assert [contents[n]["parts"][0]["functionResponse"]["response"] for n in (2, 4)] == [{"output": 1}, {"output": 2}]


@pytest.mark.parametrize(
    ("calls", "answers", "outputs"),
    [
        # the same function twice, answered in the other order
        ([("a", "F", "{}"), ("b", "F", "{}")], [answer("b", "B"), answer("a", "A")], ["A", "B"]),
        # one id for two calls
        ([("a", "F", "{}"), ("a", "F", "{}")], [answer("a", "A"), answer("a", "B")], ["A", "B"]),
        # no ids, but names
        (
            [(None, "F", "{}"), ("", "G", "{}"), (None, "F", "{}")],
            [answer(None, text, name=name) for text, name in (("G", "G"), ("F1", "F"), ("F2", "F"))],
            ["F1", "G", "F2"],
        ),
        ([("a", "F", "{}")], [answer("a", "A", name="F")], ["A"]),
        ([("a", "F", "{}")], [answer("a", "A", name=None)], ["A"]),
    ],
)
def test_answers_stand_in_the_order_of_the_calls(calls, answers, outputs):
    parts = told(calling(*calls), *answers)[-1]["parts"]
    assert [part["functionResponse"]["response"]["output"] for part in parts] == outputs
    assert [part["functionResponse"]["name"] for part in parts] == [name for _, name, _ in calls]


def test_the_function_call_of_old():
    contents = told(
        {"role": "assistant", "content": None, "function_call": {"name": "F", "arguments": '{"x": [1]}'}},
        {"role": "function", "name": "F", "content": "[2]"},
    )
    assert contents[1]["parts"] == [{"functionCall": {"name": "F", "args": {"x": [1]}}}]
    assert contents[2]["parts"] == [{"functionResponse": {"name": "F", "response": {"output": [2]}}}]


def test_ids():
    messages = [
        calling(("call_1", "F", "{}"), (None, "F", "{}"), ("call_1", "F", "{}"), ("call_2", "G", "{}")),
        answer("call_2"),
        answer("call_1"),
        answer("call_1"),
        answer(None, name="F"),
        calling(("call_1", "F", "{}")),
        answer("call_1"),
    ]
    _, called, answered, called_again, answered_again = told(*messages, ids=True)
    assert [part["functionCall"].get("id") for part in called["parts"]] == ["call_1", None, None, "call_2"]
    assert [part["functionResponse"].get("id") for part in answered["parts"]] == ["call_1", None, None, "call_2"]
    assert "id" not in called_again["parts"][0]["functionCall"]
    assert "id" not in answered_again["parts"][0]["functionResponse"]
    assert '"id"' not in json.dumps(told(*messages))


UNSIGNED = base64.b64encode(b"skip_thought_signature_validator").decode()


def signed(signature):
    return {"extra_content": {"google": {"thought_signature": signature}}}


def test_signatures_of_thoughts_stay_with_what_they_came_with():
    message = calling(("a", "F", "{}"), ("b", "F", "{}"), content="Look.")
    message["tool_calls"][0] |= signed("AAAA")
    [_, model, _] = told(message | signed("BBBB"), answer("a"), answer("b"), signatures=True)
    assert [part.get("thoughtSignature") for part in model["parts"]] == ["BBBB", "AAAA", None]


def test_a_signature_that_came_without_text():
    [_, model] = told({"role": "assistant", "content": None, **signed("BBBB")}, signatures=True)
    assert model["parts"] == [{"text": "", "thoughtSignature": "BBBB"}]


def test_calls_without_any_signature_say_so_once():
    [_, model, _] = told(calling(("a", "F", "{}"), ("b", "F", "{}")), answer("a"), answer("b"), signatures=True)
    assert [part.get("thoughtSignature") for part in model["parts"]] == [UNSIGNED, None]


def test_messages_of_the_sdk():
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
                **signed("AAAA"),
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


def test_an_object_of_an_sdk_that_was_never_validated():
    openai = pytest.importorskip("openai.types.chat.chat_completion_message")
    # providers that send the arguments as an object: the SDK keeps them as they came
    message = openai.ChatCompletionMessage.construct(
        role="assistant",
        tool_calls=[{"id": "a", "type": "function", "function": {"name": "F", "arguments": {"x": [1]}}}],
    )
    [_, called, _] = convert_messages([USER, message, answer("a")]).contents
    assert called["parts"] == [{"functionCall": {"name": "F", "args": {"x": [1]}}}]
    called["parts"][0]["functionCall"]["args"]["x"].append(2)
    assert convert_messages([USER, message, answer("a")]).contents[1]["parts"][0]["functionCall"]["args"] == {"x": [1]}


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
        # Gemini reads nothing beside these two keys
        ('{"output": 1, "unit": "C"}', {"output": {"output": 1, "unit": "C"}}),
        ('{"error": null, "value": 1}', {"output": {"error": None, "value": 1}}),
        ('{"output": 1}', {"output": {"output": 1}}),
        # what a double cannot hold stays the text that it is
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
def test_what_tools_answer(content, response):
    [answered] = told(calling(("a", "F", "{}")), answer("a", content))[-1]["parts"]
    assert answered == {"functionResponse": {"name": "F", "response": response}}


def inline(kind, data="aGk="):
    return {"inlineData": {"mimeType": kind, "data": data}}


def behind(kind, uri):
    return {"fileData": {"mimeType": kind, "fileUri": uri}}


@pytest.mark.parametrize(
    ("url", "written"),
    [
        ("data:image/png;base64,aGk=", inline("image/png")),
        ("DATA:image/png;charset=utf-8;BASE64,aGk=", inline("image/png")),
        ("data:image/jpg;base64,aGk=", inline("image/jpeg")),
        ("data:application/pdf;base64,aGk=", inline("application/pdf")),
        # without padding, with line breaks, in the other alphabet, or with escapes
        ("data:image/png;base64,aGk", inline("image/png")),
        ("data:image/png;base64,aG\nk=\n", inline("image/png")),
        ("data:image/png;base64,-_8=", inline("image/png", "+/8=")),
        ("data:image/png;base64,%2B/8%3D", inline("image/png", "+/8=")),
        ("data:image/svg+xml,%3Csvg/%3E", inline("image/svg+xml", base64.b64encode(b"<svg/>").decode())),
        ("https://example.com/a.jpg?size=2#x", behind("image/jpeg", "https://example.com/a.jpg?size=2#x")),
        ("http://example.com/a.b/c.PNG", behind("image/png", "http://example.com/a.b/c.PNG")),
        ("gs://bucket/cat.webp", behind("image/webp", "gs://bucket/cat.webp")),
    ],
)
def test_images(url, written):
    assert part(type="image_url", image_url={"url": url, "detail": "auto"}) == written
    assert part(type="image_url", image_url=url) == written
    assert part(type="input_image", image_url=url, detail=None) == written


@pytest.mark.parametrize("url", ["https://example.com/cat", "https://example.com/cat.jpg", "gs://bucket/cat?x=.gif"])
def test_the_type_of_an_image_may_stand_beside_its_address(url):
    assert part(type="image_url", image_url={"url": url, "format": "image/jpg"}) == behind("image/jpeg", url)
    assert part(type="input_image", image_url=url, format="image/png") == behind("image/png", url)


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
        ({"type": "file", "file": {"file_id": "gs://bucket/a.pdf"}}, behind("application/pdf", "gs://bucket/a.pdf")),
        (
            {"type": "file", "file": {"file_id": "https://example.com/v1beta/files/x", "format": "video/mp4"}},
            behind("video/mp4", "https://example.com/v1beta/files/x"),
        ),
        ({"type": "input_file", "file_data": "data:text/csv,a%2Cb"}, inline("text/csv", "YSxi")),
        (
            {"type": "input_file", "file_url": "https://example.com/a.pdf"},
            behind("application/pdf", "https://example.com/a.pdf"),
        ),
    ],
)
def test_other_parts(content, written):
    assert part(**content) == written


def test_refusals_and_empty_texts_of_the_assistant():
    content = [{"type": "text", "text": ""}, {"type": "refusal", "refusal": "No."}, {"type": "text", "text": "Or yes."}]
    assert told({"role": "assistant", "content": content})[-1]["parts"] == [{"text": "No."}, {"text": "Or yes."}]
    [called, _] = told(calling(("a", "F", "{}"), content=""), answer("a"))[1:]
    assert called["parts"] == [{"functionCall": {"name": "F", "args": {}}}]


F = ("a", "F", "{}")
NO_TYPE = (
    "messages[0].content[0] has the URL 'https://example.com/a', which does not tell the type that Gemini must be "
    "told; write it beside the URL, as in 'format': 'image/jpeg', or send a data URL"
)
NOT_READ = "from where Gemini reads nothing; write a data URL, or an address that begins with https:// or gs://"
NO_BASE64 = "messages[0].content[0] holds data that is no base64; encode the bytes with base64.b64encode"


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        (["hi"], "messages[0] is a str; write a dictionary with role and content"),
        (
            [{"content": "hi"}],
            "messages[0] has the role None, which Gemini does not know; write system, developer, user, assistant "
            "or tool",
        ),
        (
            [{"type": "function_call", "call_id": "a", "name": "F", "arguments": "{}"}],
            "messages[0] has the role None, which Gemini does not know; write system, developer, user, assistant "
            "or tool",
        ),
        ([], "messages holds nothing that Gemini could answer; add a message of the role 'user'"),
        (
            [{"role": "system", "content": "x"}],
            "messages holds nothing that Gemini could answer; add a message of the role 'user'",
        ),
        (
            [USER, {"role": "system", "content": "x"}],
            "messages[1] has the role 'system', which Gemini takes at the beginning only; "
            "move it there, or give it the role 'user'",
        ),
        (
            [USER, calling(F), {"role": "developer", "content": "x"}],
            "messages[2] has the role 'developer', which Gemini takes at the beginning only; "
            "move it there, or give it the role 'user'",
        ),
        (
            [{**USER, "name": "Ann"}],
            "messages[0] has the name 'Ann', and Gemini knows no names of those who speak; write it into the content",
        ),
        *(
            (
                [{"role": role, "content": content}],
                "messages[0] has no content, and Gemini takes no message without; leave it out",
            )
            for role in ("user", "system")
            for content in (None, "", [], [{"type": "text", "text": ""}])
        ),
        (
            [{"role": "user", "content": {"type": "text", "text": "hi"}}],
            "messages[0].content is a dict; it may be text, or a list of parts such as {'type': 'text', 'text': ...}",
        ),
        (said("hi"), "messages[0].content[0] is a str; a part is a dictionary such as {'type': 'text', ...}"),
        (
            said({"type": "video"}),
            "messages[0].content[0] is of the type 'video', which Gemini cannot be told; "
            "a part may be of the types text, image_url, input_audio and file",
        ),
        (
            said({"type": "refusal", "refusal": "No."}),
            "messages[0].content[0] is of the type 'refusal', which Gemini cannot be told; "
            "a part may be of the types text, image_url, input_audio and file",
        ),
        (
            [{"role": "system", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}],
            "messages[0].content[0] is of the type 'image_url', and a message of the role 'system' may hold text "
            "only; put it into a message of the role 'user'",
        ),
        (
            [USER, calling(F), answer("a", [{"type": "input_image", "image_url": "x"}])],
            "messages[2].content[0] is of the type 'input_image', and a message of the role 'tool' may hold text "
            "only; put it into a message of the role 'user'",
        ),
        (said({"type": "text"}), "messages[0].content[0] has no text; write what is said into 'text'"),
        (
            said({"type": "image_url"}),
            "messages[0].content[0] has no image_url.url; write the picture's address there, or a data URL",
        ),
        (said({"type": "image_url", "image_url": {"url": "https://example.com/a"}}), NO_TYPE),
        (said({"type": "input_image", "image_url": "https://example.com/a"}), NO_TYPE),
        (
            said({"type": "image_url", "image_url": {"url": "/home/cat.png"}}),
            f"messages[0].content[0] names '/home/cat.png', {NOT_READ}",
        ),
        (
            said({"type": "image_url", "image_url": {"url": "aGk" * 100}}),
            f"messages[0].content[0] names '{('aGk' * 100)[:100]}...', {NOT_READ}",
        ),
        (said({"type": "image_url", "image_url": {"url": "data:image/png;base64,a"}}), NO_BASE64),
        (said({"type": "input_audio", "input_audio": {"data": "<wav>", "format": "wav"}}), NO_BASE64),
        (
            said({"type": "image_url", "image_url": {"url": "data:;base64,aGk="}}),
            "messages[0].content[0] has a data URL without a type; write it as 'data:<type>;base64,...'",
        ),
        *(
            (
                said(image),
                "messages[0].content[0] asks for the detail 'high', which Gemini sets for a request as a whole; "
                "leave it out, or set the request's media_resolution",
            )
            for image in (
                {"type": "image_url", "image_url": {"url": "gs://a/b.png", "detail": "high"}},
                {"type": "input_image", "image_url": "gs://a/b.png", "detail": "high"},
            )
        ),
        (said({"type": "file", "file": {"file_id": "file-1"}}), f"messages[0].content[0] names 'file-1', {NOT_READ}"),
        (said({"type": "input_image", "file_id": "file-1"}), f"messages[0].content[0] names 'file-1', {NOT_READ}"),
        (
            said({"type": "file", "file": {}}),
            "messages[0].content[0] has no file.file_data; write the file there, as a data URL",
        ),
        (
            said({"type": "file", "file": {"file_data": "aGk=", "filename": "a"}}),
            "messages[0].content[0] does not tell the file's type; write file.file_data as 'data:<type>;base64,...'",
        ),
        (
            said({"type": "input_audio"}),
            "messages[0].content[0] has no input_audio.data and input_audio.format; write the sound there, in base64",
        ),
        *(
            (
                [USER, {"role": "assistant", "content": content}],
                "messages[1] has neither content nor tool_calls, and Gemini takes no empty message; leave it out",
            )
            for content in (None, "", [])
        ),
        (
            [USER, {"role": "assistant", "audio": {"id": "audio_1"}}],
            "messages[1] has audio, which Gemini cannot be told; write its transcript into the content",
        ),
        (
            [{"role": "assistant", "content": "Hello."}, calling(F), answer("a")],
            "messages[1] calls a function before a user has said anything, which Gemini refuses; "
            "put a message of the role 'user' before it",
        ),
        (
            [USER, {"role": "assistant", "tool_calls": "F"}],
            "messages[1].tool_calls is a str; write a list of calls",
        ),
        (
            [USER, {"role": "assistant", "tool_calls": ["F"]}],
            "messages[1].tool_calls[0] is of the type 'str', and Gemini knows calls of functions only; leave it out",
        ),
        (
            [USER, {"role": "assistant", "tool_calls": [{"id": "a", "type": "custom", "custom": {"name": "F"}}]}],
            "messages[1].tool_calls[0] is of the type 'custom', and Gemini knows calls of functions only; leave it out",
        ),
        (
            [USER, {"role": "assistant", "tool_calls": [{"id": "a", "function": {}}]}],
            "messages[1].tool_calls[0].function has no name; write which function was called",
        ),
        *(
            (
                [USER, calling(("a", "F", arguments))],
                "messages[1].tool_calls[0].function.arguments is no JSON object, and Gemini can be told of no other; "
                "write one",
            )
            for arguments in ("[]", "{", 7, "[" * 100_000)
        ),
        (
            [USER, {"role": "assistant", "function_call": {"name": "F", "arguments": f'{{"n": {BIG}}}'}}],
            f"messages[1].function_call.arguments holds the number {BIG}, which Gemini cannot be told exactly; "
            "write it as a string",
        ),
        (
            [USER, calling(("a", "F", '{"n": [Infinity]}'))],
            "messages[1].tool_calls[0].function.arguments holds the number inf, which Gemini cannot be told exactly; "
            "write it as a string",
        ),
        (
            [USER, calling(("a", "F", '{"n": ' * 31 + "1" + "}" * 31))],
            "messages[1].tool_calls[0].function.arguments holds more than 30 levels of nesting, which Gemini cannot "
            "be told exactly; write it as a string",
        ),
        (
            [USER, calling(("a", "F", {"n": b""}))],
            "messages[1].tool_calls[0].function.arguments holds a bytes, which Gemini cannot be told exactly; "
            "write it as a string",
        ),
        (
            [USER, {"role": "tool", "content": "x"}],
            "messages[1] has no tool_call_id; write the id of the call that it answers",
        ),
        (
            [USER, answer("a")],
            "messages[1] answers the call 'a', but no call is open here; put it behind the message of the assistant "
            "that makes the call, once for each call",
        ),
        (
            [USER, calling(F), answer("a"), answer("a")],
            "messages[3] answers the call 'a', but no call is open here; put it behind the message of the assistant "
            "that makes the call, once for each call",
        ),
        (
            [USER, calling(("b", "F", "{}"), (None, "G", "{}")), answer("a")],
            "messages[2] answers the call 'a', but open here: 'b' (F), G; put it behind the message of the assistant "
            "that makes the call, once for each call",
        ),
        (
            [USER, calling(F), answer("a", name="G")],
            "messages[2] has the name 'G', and the call that it answers is of 'F'; write that, or no name",
        ),
        *(
            (
                [USER, calling(F), answer("a", content)],
                "messages[2] has no content; write what the tool answered, which may be ''",
            )
            for content in (None, [])
        ),
        (
            [USER, calling(F), answer("a", {"pong": True})],
            "messages[2].content is a dict; it may be text, or a list of parts such as {'type': 'text', 'text': ...}",
        ),
        *(
            (
                [USER, calling(("a", "F", "{}"), ("b", "F", "{}")), answer("a"), *following],
                "messages[1].tool_calls[1] is the call 'b' (F), which no message answers, and Gemini refuses it "
                "without; put a message of the role 'tool' behind the message that makes the call",
            )
            for following in ([], [USER], [{"role": "assistant", "content": "So."}], [calling(F), answer("a")])
        ),
        (
            [USER, calling(F)],
            "messages[1].tool_calls[0] is the call 'a' (F), which no message answers, and Gemini refuses it "
            "without; put a message of the role 'tool' behind the message that makes the call",
        ),
        *(
            (
                [USER, message],
                f"{place} has the signature of a thought, for which the installed SDK has no field; "
                "install a newer one, or leave extra_content out",
            )
            for place, message in (
                ("messages[1]", {"role": "assistant", "content": "Yes.", **signed("AAAA")}),
                (
                    "messages[1].tool_calls[0]",
                    {"role": "assistant", "tool_calls": [{**calling(F)["tool_calls"][0], **signed("AAAA")}]},
                ),
            )
        ),
    ],
    ids=lambda value: value[:60] if isinstance(value, str) else None,
)
def test_what_gemini_cannot_be_told(messages, message):
    before = copy.deepcopy(messages)
    with pytest.raises(ValueError, match="messages") as raised:
        convert_messages(messages)
    assert str(raised.value) == message
    assert messages == before


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
ADDRESSES = st.sampled_from(["https://example.com/a.png", "gs://bucket/b.webp"])


def data_url(data):
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


USERS_PARTS = st.one_of(
    TEXT.map(lambda text: {"type": "text", "text": text}),
    (BYTES.map(data_url) | ADDRESSES).map(lambda url: {"type": "image_url", "image_url": {"url": url}}),
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
    """A message of the assistant with calls, and the answers to them in any order."""
    calls = draw(st.lists(st.tuples(st.uuids().map(str), NAMES, ARGUMENTS), min_size=1, max_size=4))
    message = calling(*((call_id, name, json.dumps(arguments)) for call_id, name, arguments in calls))
    message["content"] = draw(st.none() | st.just("") | TEXT | TEXT_PARTS)
    if draw(st.booleans()):
        message["tool_calls"][0] |= signed(base64.b64encode(draw(BYTES)).decode())
    contents = st.text(max_size=20) | JSON.map(json.dumps) | TEXT_PARTS
    return [message, *(answer(call_id, draw(contents)) for call_id, _, _ in draw(st.permutations(calls)))]


CONVERSATIONS = st.tuples(
    st.lists(st.fixed_dictionaries({"role": st.just("system"), "content": TEXT | TEXT_PARTS}), max_size=2),
    st.lists(
        st.one_of(
            st.fixed_dictionaries(
                {"role": st.just("user"), "content": TEXT | st.lists(USERS_PARTS, min_size=1, max_size=3)}
            ).map(lambda message: [message]),
            st.fixed_dictionaries({"role": st.just("assistant"), "content": TEXT | TEXT_PARTS}).map(lambda m: [m]),
            exchanges(),
        ),
        max_size=5,
    ),
).map(lambda drawn: [*drawn[0], USER, *(message for turn in drawn[1] for message in turn)])


@pytest.fixture(scope="module", params=["vertexai", "google-genai"])
def sdk(request):
    """How an SDK reads a content and says what it has read, and which fields it has."""
    if request.param == "google-genai":
        genai = pytest.importorskip("google.genai.types")

        def read(content):
            content = genai.Content.model_validate_json(json.dumps(content))
            return content.model_dump(mode="json", by_alias=True, exclude_unset=True)

        return read, True, True
    pytest.importorskip("vertexai")
    with warnings.catch_warnings():
        # the SDK says that it will be removed
        warnings.simplefilter("ignore")
        from google.cloud.aiplatform_v1beta1 import types
        from google.protobuf.json_format import MessageToDict
        from vertexai.generative_models import Content

    def read(content):
        sent = types.Content.serialize(Content.from_dict(content)._raw_content)
        return MessageToDict(types.Content.pb(types.Content.deserialize(sent)))

    return read, "id" in types.FunctionCall.meta.fields, "thought_signature" in types.Part.meta.fields


def in_one_alphabet(value):
    """``value`` with its base64 in the common alphabet: the SDKs differ in theirs."""
    match value:
        case {"data": data}:
            return {**value, "data": data.translate(str.maketrans("-_", "+/"))}
        case {"thoughtSignature": signature, **rest}:
            return {**in_one_alphabet(rest), "thoughtSignature": signature.translate(str.maketrans("-_", "+/"))}
        case {"functionCall": _} | {"functionResponse": _}:
            return value
        case dict():
            return {key: in_one_alphabet(item) for key, item in value.items()}
        case list():
            return [in_one_alphabet(item) for item in value]
        case _:
            return value


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(messages=CONVERSATIONS, ids=st.booleans())
def test_any_conversation_reaches_the_sdks_whole(sdk, messages, ids):
    read, knows_ids, knows_signatures = sdk
    ids = ids and knows_ids
    for call in calls_in(messages):
        if not knows_signatures:
            call.pop("extra_content", None)
    before = copy.deepcopy(messages)
    system, contents = convert_messages(messages, ids=ids, signatures=knows_signatures)
    assert messages == before
    assert [in_one_alphabet(read(content)) for content in contents] == contents
    assert_turns(contents)

    parts = [part for content in contents for part in content["parts"]]
    spoken = [message for message in messages if message["role"] in ("user", "assistant")]
    assert [part["text"] for part in system] == texts_of(message for message in messages if message["role"] == "system")
    assert [part["text"] for part in parts if "text" in part] == texts_of(spoken)
    assert [part for part in map(media_told, parts) if part] == [
        part for message in spoken for part in map(media_in, parts_in(message)) if part
    ]
    calls = calls_in(messages)
    assert [
        (part["functionCall"]["name"], part["functionCall"]["args"]) for part in parts if "functionCall" in part
    ] == [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls]
    answers = {message["tool_call_id"]: message for message in messages if message["role"] == "tool"}
    responses = [part["functionResponse"] for part in parts if "functionResponse" in part]
    assert [response.get("id") for response in responses] == [call["id"] if ids else None for call in calls]
    assert [taken_as(response["response"]) for response in responses] == [
        meant_by(texts_of([answers[call["id"]]])) for call in calls
    ]


def assert_turns(contents):
    """The turns are as Gemini demands them."""
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


def media_in(part):
    """What a part of a message holds beside text: its bytes, or where they are."""
    match part:
        case {"input_audio": {"data": data}}:
            return base64.b64decode(data)
        case {"image_url": {"url": url}} | {"file": {"file_data": url}}:
            return base64.b64decode(url.partition(",")[2]) if url.startswith("data:") else url


def media_told(part):
    match part:
        case {"inlineData": {"data": data}}:
            return base64.b64decode(data)
        case {"fileData": {"fileUri": uri}}:
            return uri


def taken_as(response):
    """What Gemini takes for the answer of a function."""
    return response.get("output", response)


def meant_by(texts):
    if len(texts) > 1:
        return texts
    try:
        return json.loads("".join(texts), parse_constant=float_word)
    except ValueError:
        return "".join(texts)


def float_word(word):
    """Infinity and NaN are words of Python's, and no JSON."""
    raise ValueError(word)
