"""Tests that send and receive secrets in every part of a request and a response, for ``test_secrets_of_a_run.py``."""

import os
import sys
from pathlib import Path

import httpx
import pytest

VALUE, SHAPE = os.environ["THEIR_SECRET"], Path("shape.txt").read_text(encoding="utf-8")
BOTH = f"{VALUE} {SHAPE}"
WORDING = os.environ.get("WORDING", "")


def ask(prompt):
    tool = {"name": f"tool_{VALUE}", "description": prompt, "parameters": {"properties": {VALUE: {"title": SHAPE}}}}
    return httpx.post(
        f"{os.environ['PROVIDER']}/v1/chat/completions",
        params={"tag": VALUE, "key": SHAPE},
        headers={"x-api-key": VALUE, f"x-{VALUE}": SHAPE, "cookie": f"session={VALUE}", "connection": "close"},
        json={
            "model": f"model-{VALUE}",
            "messages": [{"role": "user", "content": f"{prompt} {WORDING} {BOTH}"}],
            "tools": [{"type": "function", "function": tool}],
            "user": SHAPE,
        },
    )


def read_files():
    """Yield the name and the text of each file that the run has written so far."""
    for path in Path().rglob("*"):
        if path.is_file() and path.suffix not in (".py", ".pyc") and path.name != "shape.txt":
            yield path.name, path.read_bytes().decode("utf-8", "replace")


def documented():
    """Print both secrets.

    >>> print(BOTH)
    something else
    """


@pytest.mark.cassette
def test_asks():
    answer = ask("ask")
    assert answer.status_code == 200


@pytest.mark.cassette
def test_calls(calls_snapshot):
    assert ask("call").json()["choices"][0]["message"]["tool_calls"] == calls_snapshot


@pytest.mark.cassette
def test_stays_pending():
    assert ask("fail").json() == BOTH


@pytest.mark.cassette
def test_is_refused():
    ask("refuse").raise_for_status()


@pytest.mark.cassette(redact="run_places:fail")
def test_function_of_the_project():
    ask("function")


def fail(text):
    raise KeyError(text)


class Described:
    def __repr__(self):
        return f"Described({BOTH})"


@pytest.fixture(params=[VALUE, SHAPE, Described(), {"key": [VALUE, SHAPE]}])
def parameter(request):
    return request.param


def test_parameter(parameter):
    assert parameter


@pytest.mark.skipif("--record" not in sys.argv, reason="later, the cassettes contain secrets on purpose")
def test_files_during_the_run():
    files = dict(read_files())
    assert len(files) > 2
    assert [name for name, text in files.items() if VALUE in text or SHAPE in text] == []
