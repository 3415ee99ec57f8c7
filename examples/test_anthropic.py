"""Anthropic: an application that creates its client at module level, tested without changes."""

from collections.abc import Iterable

import pytest

import weather_anthropic
from tools import GoogleSearch, Weather

QUESTION = "What is the weather in toronto and dallas and who won the super bowl?"

pytestmark = pytest.mark.cassette


def test_plan(calls_snapshot):
    assert weather_anthropic.plan(QUESTION) == calls_snapshot


def test_a_stream(calls_snapshot):
    stream = weather_anthropic.client.messages.create(
        model="claude-sonnet-5",
        max_tokens=1024,
        messages=[{"role": "user", "content": QUESTION}],
        response_model=Iterable[Weather | GoogleSearch],
        stream=True,
    )
    assert list(stream) == calls_snapshot


def test_what_was_sent(tape):
    weather_anthropic.plan(QUESTION)
    assert [(sent.model, sent.tools) for sent in tape.sent] == [("claude-sonnet-5", ("Weather", "GoogleSearch"))]
