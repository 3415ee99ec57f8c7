"""``@pytest.mark.behaviour`` in the tests of a project."""

import json
import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

TESTS = """
import httpx
import pytest

import multitrack
from multitrack.library import behaviours

URL = "https://api.openai.com/v1/chat/completions"
TOOL = {"type": "function", "function": {"name": "find", "parameters": {"type": "object", "properties": {}}}}


def ask(*messages, url=URL, **fields):
    messages = [{"role": "user", "content": "x"}, *messages]
    return httpx.post(url, json={"model": "m", "messages": messages, "tools": [TOOL], **fields})


@pytest.mark.behaviour("openai.chat", "one_call")
@pytest.mark.parametrize("stream", [False, True])
def test_passes(stream):
    [call] = multitrack.decode(ask(stream=stream).content)
    assert call.name == "find"


@pytest.mark.behaviour("openai.chat", "one_call")
def test_ends_after_results():
    message = ask().json()["choices"][0]["message"]
    result = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "found"}
    answer = ask(message, result)
    assert multitrack.decode(answer.content) == []
    assert answer.json()["choices"][0]["message"]["content"]
    # the next question gets the behaviour again
    assert multitrack.decode(ask(message, result, {"role": "user", "content": "y"}).content)


@pytest.mark.behaviour("openai.chat", "server_error_then_success")
def test_answers_in_order():
    assert [ask().status_code for _ in range(3)] == [500, 200, 200]


@pytest.mark.behaviour(wire="openai.chat.stream", name="one_call")
def test_only_streams():
    ask()


@pytest.mark.behaviour
@pytest.mark.parametrize("behaviour", behaviours("openai.chat.stream", "one_call"))
def test_parameter(behaviour):
    assert multitrack.decode(ask(stream=True).content, behaviour.wire_format)


@pytest.mark.behaviour("anthropic", "one_call")
def test_other_format_is_not_swallowed():
    try:
        ask()
    except Exception:
        pass


@pytest.mark.behaviour("openai.chat", "one_call")
def test_unknown_format():
    ask(url="https://api.openai.com/v1/embeddings", input="x")


@pytest.mark.behaviour("openai.chat", "invalid_arguments")
def test_no_invalid_arguments():
    ask()


@pytest.mark.behaviour("openai.chat")
def test_one_argument():
    pass


@pytest.mark.behaviour
def test_no_parameter():
    pass


@pytest.mark.behaviour("openai.chat", "one_cal")
def test_unknown_name():
    pass


@pytest.mark.behaviour("openai.responses", "overloaded")
def test_absent():
    pass


@pytest.mark.behavior("openai.chat", "one_call")
def test_spelling():
    pass
"""


class Run:
    def __init__(self, finished, report):
        self.out = finished.stdout
        self.report = report
        # the whole text of each failure, without line breaks
        sections = re.split(r"^_{3,} (?:ERROR at setup of )?(test_\w+)[^\n]*_{3,}$", self.out, flags=re.MULTILINE)
        self.failures = dict(zip(sections[1::2], sections[2::2], strict=True))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("behaviours")
    (folder / "test_it.py").write_text(TESTS, encoding="utf-8")
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:inline_snapshot", "-Wignore::pytest.PytestUnknownMarkWarning"]
    # a behaviour also answers if other tests go live
    command = [sys.executable, "-m", "pytest", *options, "--record", "--calls-report=report.json"]
    finished = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env={"COLUMNS": "200"})
    assert not list(folder.rglob("*.yaml"))
    return Run(finished, json.loads((folder / "report.json").read_text(encoding="utf-8")))


def test_the_other_tests_pass_and_record_nothing(run):
    assert "4 failed, 5 passed, 5 errors" in run.out


def test_the_report_has_the_requests_of_the_tests(run):
    (test,) = (one for one in run.report["tests"] if one["test"].endswith("::test_ends_after_results"))
    requests = [exchange["request"] for cassette in test["cassettes"] for exchange in cassette["exchanges"]]
    assert [len(request["messages"]) for request in requests] == [1, 3, 4]
    assert requests[2]["messages"][3] == {"role": "user", "text": "y"}
    assert all(request["tools"] == ["find"] for request in requests)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("test_only_streams", 'the marker is limited to streamed answers; to answer all requests, write "openai.chat"'),
        ("test_other_format_is_not_swallowed", "format anthropic, but the request has the wire format openai.chat"),
        (
            "test_unknown_format",
            "cannot answer the request: the library has no behaviours in the request's wire format; use ",
        ),
        ("test_no_invalid_arguments", "the tool find accepts all arguments, so no call can be invalid"),
        ("test_one_argument", 'pass the wire format and the name, such as behaviour("anthropic", "one_call")'),
        ("test_no_parameter", "or pass nothing, and parametrize the test with multitrack.library.behaviours()"),
        ("test_unknown_name", "unknown behaviour 'one_cal'; use one of: one_call, "),
        (
            "test_absent",
            "has no answer in the wire format openai.responses, because only Anthropic uses the status 529",
        ),
        ("test_spelling", "@pytest.mark.behavior is an unknown marker, so the test has no behaviour: write "),
    ],
)
def test_a_failure_says_why(run, name, message):
    assert message in run.failures[name]
