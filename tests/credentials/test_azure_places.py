"""A cassette of Azure OpenAI replays if no endpoint, API version or key is configured."""

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
        assert "1 passed" in run("--record", **(standin.environment | PLACES | KEY))
    return run


@pytest.mark.parametrize(
    "configured",
    [{}, {"OPENAI_API_VERSION": "2024-10-21"}, {"AZURE_OPENAI_ENDPOINT": "https://harbour.openai.azure.com"}],
)
def test_an_endpoint_or_version_that_is_not_configured_matches_the_recording(run, configured):
    assert "2 requests replayed" in run(**configured)


@pytest.mark.parametrize(
    ("configured", "miss"),
    [
        ({**PLACES, "OPENAI_API_VERSION": "2023-05-15"}, "api-version=2023-05-15 (planner) has no recording"),
        ({"OPENAI_API_VERSION": "2023-05-15"}, "api-version=2023-05-15 (planner) has no recording"),
    ],
)
def test_a_configured_version_must_be_the_recorded_one(run, configured, miss):
    assert miss in run(**configured)


def test_the_body_must_match_in_any_case(run, tmp_path):
    cassette = next(tmp_path.rglob("*.yaml"))
    cassette.write_text(
        cassette.read_text(encoding="utf-8").replace('"content": "two"', '"content": "three"'), encoding="utf-8"
    )
    printed = run()
    assert "CassetteMiss" in printed
    assert 'sent: "two"' in printed
