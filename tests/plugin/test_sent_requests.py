"""``tape.sent``: the requests as sent, printed by pytest without their credentials."""

import re

import pytest

from multitrack.tape.exchange import Request
from multitrack.tape.sent import Sent

TOOL = '{"name": "Weather", "parameters": {}}'
CHAT = f'{{"model": "gpt-4o-mini", "messages": [], "tools": [{{"type": "function", "function": {TOOL}}}]}}'
RESPONSES = '{"model": "gpt-4o-mini", "input": "x", "tools": [{"type": "function", "name": "Weather"}]}'
GEMINI = f'{{"contents": [], "tools": [{{"functionDeclarations": [{TOOL}]}}]}}'
GRPC = GEMINI.replace("{", '{"model": "projects/p/locations/l/publishers/google/models/gemini-2.0-flash", ', 1)
GOOGLE = "https://aiplatform.googleapis.com/v1/projects/p/locations/l/publishers/google/models"


@pytest.mark.parametrize(
    ("url", "body", "model"),
    [
        ("https://api.openai.com/v1/chat/completions", CHAT, "gpt-4o-mini"),
        ("https://api.openai.com/v1/responses", RESPONSES, "gpt-4o-mini"),
        (f"{GOOGLE}/gemini-2.0-flash:generateContent", GEMINI, "gemini-2.0-flash"),
        (f"{GOOGLE}/gemini-2.0-flash:streamGenerateContent?alt=sse", GEMINI, "gemini-2.0-flash"),
        ("grpc://host/google.cloud.aiplatform.v1.PredictionService/GenerateContent", GRPC, "gemini-2.0-flash"),
    ],
)
def test_the_model_and_tools_are_read_from_each_wire_format(url, body, model):
    sent = Sent(Request("POST", url, (("content-type", "application/json"),), body.encode()))
    assert sent.method == "POST"
    assert sent.url == url
    assert sent.model == model
    assert sent.tools == ("Weather",)
    assert sent.headers == {"content-type": "application/json"}
    assert sent.json["tools"]
    assert sent.body == body.encode()


def test_a_multipart_form_has_no_json():
    headers = (("content-type", "multipart/form-data; boundary=b"), ("Authorization".lower(), "Bearer sk-1"))
    sent = Sent(
        Request("POST", "https://api.openai.com/v1/files?key=AIza-1&x=1", headers, b"--b\r\n\r\nhello\r\n--b--")
    )
    assert sent.model is None
    assert sent.tools == ()
    assert b"hello" in sent.body
    message = (
        "the body of <Sent: POST https://api.openai.com/v1/files> is not JSON (content type: multipart/form-data); "
    )
    message += "use .body instead"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        sent.json  # noqa: B018 - reading it is the test
    assert sent.headers["authorization"] == "Bearer sk-1"
    assert sent.headers["authorization"].removeprefix("Bearer ") == "sk-1"
    assert repr(sent.headers) == "{'content-type': 'multipart/form-data; boundary=b', 'authorization': '[credential]'}"
    assert sent.url == "https://api.openai.com/v1/files?key=AIza-1&x=1"
    assert repr(sent.url) == "'https://api.openai.com/v1/files?key=[credential]&x=1'"


@pytest.mark.parametrize(
    "claim",
    [
        'tape.sent[0].headers["authorization"] == "Bearer mine"',
        '"x-mine" in tape.sent[0].headers',
        "tape.sent[0].headers == {}",
        'tape.sent[0].url == "https://mine"',
        "not tape.sent",
        'tape.sent[0].model == "mine"',
    ],
)
@pytest.mark.parametrize("style", ["long", "native"])
def test_a_failed_assertion_prints_no_credential(project, claim, style):
    project.write_test(
        f"""
        @pytest.mark.cassette
        def test_sent(tape):
            ask("plan", extra_query=dict(key="AIzaSy" + "0123456789" * 3))
            headers, url = (tape.sent[0].headers, tape.sent[0].url) if tape.sent else (None, None)
            assert {claim}
        """
    )
    run = project.record("--record", "-vv", "--showlocals", f"--tb={style}")
    assert run.counts == {"failed": 1}
    assert "sk-proj-inner" not in run.out
    assert "AIzaSy0123" not in run.out
    assert "0123456789" * 2 not in run.out
