"""A tape of Azure's replays where nobody names an endpoint, an API version or a key."""

import os
import subprocess
import sys

import pytest

from multitrack.standin import Rule, StandIn

TEST = """
import openai
import pytest

client = openai.AzureOpenAI()


@pytest.mark.cassette
def test_ask():
    for prompt in ("one", "two"):
        answer = client.chat.completions.create(model="planner", messages=[{"role": "user", "content": prompt}])
        assert answer.choices[0].message.content == prompt.upper()
"""
PLACES = {"AZURE_OPENAI_ENDPOINT": "https://harbour.openai.azure.com", "OPENAI_API_VERSION": "2024-10-21"}
KEY = {"AZURE_OPENAI_API_KEY": "0123456789abcdef0123456789abcdef"}


@pytest.fixture
def run(starts_server, tmp_path):
    def run(*flags, **environment):
        (tmp_path / "test_ask.py").write_text(TEST, encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *flags],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout

    with StandIn([Rule(prompt="one", text="ONE"), Rule(prompt="two", text="TWO")]) as standin:
        assert "1 passed" in run("--record", **standin.environment, **PLACES, **KEY)
    return run


@pytest.mark.parametrize(
    "named", [{}, {"OPENAI_API_VERSION": "2024-10-21"}, {"AZURE_OPENAI_ENDPOINT": "https://harbour.openai.azure.com"}]
)
def test_what_nobody_names_is_that_of_the_recording(run, named):
    assert "2 requests replayed" in run(**named)


@pytest.mark.parametrize(
    ("named", "differs"),
    [
        ({**PLACES, "OPENAI_API_VERSION": "2023-05-15"}, "api-version=2023-05-15 (planner) has no recording"),
        ({"OPENAI_API_VERSION": "2023-05-15"}, "api-version=2023-05-15 (planner) has no recording"),
    ],
)
def test_what_somebody_names_must_be_that_of_the_recording(run, named, differs):
    assert differs in run(**named)


def test_what_is_asked_must_be_the_same_all_the_same(run, tmp_path):
    tape = next(tmp_path.rglob("*.yaml"))
    tape.write_text(
        tape.read_text(encoding="utf-8").replace('"content": "two"', '"content": "three"'), encoding="utf-8"
    )
    printed = run()
    assert "CassetteMiss" in printed
    assert 'sent: "two"' in printed
