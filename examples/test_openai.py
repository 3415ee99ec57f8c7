"""OpenAI: an application that creates its client at module level, tested without changes."""

import pytest

import weather_openai
import weather_patched

QUESTION = "What is the weather in toronto and dallas and who won the super bowl?"

pytestmark = pytest.mark.cassette


def test_plan(calls_snapshot):
    assert weather_openai.plan(QUESTION) == calls_snapshot


def test_main_prints_the_calls(capsys):
    weather_openai.main()
    assert capsys.readouterr().out.splitlines() == [
        "location='Toronto' units='metric'",
        "location='Dallas' units='imperial'",
        "query='who won the super bowl'",
    ]


def test_what_was_sent(tape):
    weather_openai.plan(QUESTION)
    assert [(sent.model, sent.tools) for sent in tape.sent] == [("gpt-4o-mini", ("Weather", "GoogleSearch"))]


def test_patched_client(calls_snapshot):
    assert weather_patched.plan(QUESTION) == calls_snapshot
