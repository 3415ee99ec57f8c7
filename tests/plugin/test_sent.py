"""``tape.sent``: what was really sent, for a test to look at, and no credential in what pytest prints of it."""

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
def test_what_each_wire_sends(url, body, model):
    sent = Sent(Request("POST", url, (("content-type", "application/json"),), body.encode()))
    assert (sent.method, sent.url, sent.model, sent.tools) == ("POST", url, model, ("Weather",))
    assert sent.headers == {"content-type": "application/json"}
    assert sent.json["tools"]
    assert sent.body == body.encode()


def test_a_form_with_a_file_in_it():
    headers = (("content-type", "multipart/form-data; boundary=b"), ("Authorization".lower(), "Bearer sk-1"))
    sent = Sent(
        Request("POST", "https://api.openai.com/v1/files?key=AIza-1&x=1", headers, b"--b\r\n\r\nhello\r\n--b--")
    )
    assert (sent.model, sent.tools, b"hello" in sent.body) == (None, (), True)
    told = "the body of <Sent: POST https://api.openai.com/v1/files> is not JSON but multipart/form-data; "
    told += "use .body instead"
    with pytest.raises(ValueError, match=f"^{re.escape(told)}$"):
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
def test_no_credential_is_printed_by_an_assertion_that_fails(project, claim, style):
    project.test(
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
