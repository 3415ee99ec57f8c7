"""Amazon Bedrock: an application that creates its client at module level, tested without changes."""

from collections.abc import Iterable

import pytest

import weather_bedrock
from tools import GoogleSearch, Weather

QUESTION = "What is the weather in toronto and dallas and who won the super bowl?"

pytestmark = pytest.mark.cassette


def test_plan(calls_snapshot):
    assert weather_bedrock.plan(QUESTION) == calls_snapshot


def test_a_stream(calls_snapshot):
    stream = weather_bedrock.client.create(
        modelId="us.amazon.nova-pro-v1:0",
        messages=[{"role": "user", "content": [{"text": QUESTION}]}],
        response_model=Iterable[Weather | GoogleSearch],
        stream=True,
    )
    assert list(stream) == calls_snapshot


def test_what_was_sent(tape):
    weather_bedrock.plan(QUESTION)
    assert [(sent.model, sent.tools) for sent in tape.sent] == [
        ("us.amazon.nova-pro-v1:0", ("Weather", "GoogleSearch"))
    ]
