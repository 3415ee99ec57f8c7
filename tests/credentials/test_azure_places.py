"""A cassette of Azure OpenAI replays if no endpoint, API version or key is configured."""

import os
import shutil
import subprocess

import pytest
from nested_runs import FEWER_PLUGINS
from warm_python import find_warm_python

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


@pytest.fixture(scope="module")
def recorded(starts_server, tmp_path_factory):
    """A folder with the test and its cassette, which no test of this module changes."""
    folder = tmp_path_factory.mktemp("recorded")
    (folder / "test_ask.py").write_text(TEST, encoding="utf-8")
    with StandIn([Rule(prompt="one", text="ONE"), Rule(prompt="two", text="TWO")]) as standin:
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **FEWER_PLUGINS}
        done = subprocess.run(
            [*find_warm_python(), "-m", "pytest", "-q", "-p", "no:cacheprovider", "--record"],
            cwd=folder,
            env=environment | standin.environment | PLACES | KEY,
            capture_output=True,
            text=True,
            check=False,
        )
    assert "1 passed" in done.stdout
    return folder


@pytest.fixture
def replay(recorded, pytester, monkeypatch, bare_environment):
    """Return ``replay(**environment)``, which replays the cassette and returns the output of pytest."""
    shutil.copytree(recorded, pytester.path, dirs_exist_ok=True)

    def replay(**environment):
        with monkeypatch.context() as patch:
            for name, value in (FEWER_PLUGINS | environment).items():
                patch.setenv(name, value)
            return pytester.runpytest_inprocess("-p", "no:cacheprovider").stdout.str()

    return replay


@pytest.mark.parametrize(
    "configured",
    [{}, {"OPENAI_API_VERSION": "2024-10-21"}, {"AZURE_OPENAI_ENDPOINT": "https://harbour.openai.azure.com"}],
)
def test_an_endpoint_or_version_that_is_not_configured_matches_the_recording(replay, configured):
    assert "2 requests replayed" in replay(**configured)


@pytest.mark.parametrize(
    ("configured", "miss"),
    [
        ({**PLACES, "OPENAI_API_VERSION": "2023-05-15"}, "api-version=2023-05-15 (planner) has no recording"),
        ({"OPENAI_API_VERSION": "2023-05-15"}, "api-version=2023-05-15 (planner) has no recording"),
    ],
)
def test_a_configured_version_must_be_the_recorded_one(replay, configured, miss):
    assert miss in replay(**configured)


def test_the_body_must_match_in_any_case(replay, pytester):
    cassette = next(pytester.path.rglob("*.yaml"))
    cassette.write_text(
        cassette.read_text(encoding="utf-8").replace('"content": "two"', '"content": "three"'), encoding="utf-8"
    )
    printed = replay()
    assert "CassetteMiss" in printed
    assert 'sent: "two"' in printed
