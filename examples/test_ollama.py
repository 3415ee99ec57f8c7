"""Ollama: an application without ``response_model``, whose responses are decoded and validated with a ``Toolset``."""

import pytest

pytest.importorskip("ollama", reason="ollama is not installed; pip install ollama")
import weather_ollama
from multitrack import decode

QUESTION = "What is the weather in toronto and dallas and who won the super bowl?"

pytestmark = pytest.mark.cassette


def test_plan(calls_snapshot):
    assert weather_ollama.plan(QUESTION) == calls_snapshot


def test_a_stream(calls_snapshot):
    stream = weather_ollama.client.chat(
        model="gpt-oss:120b",
        messages=[{"role": "user", "content": QUESTION}],
        tools=weather_ollama.toolset.schemas("ollama"),
        stream=True,
    )
    assert decode([chunk.model_dump() for chunk in stream]) == calls_snapshot
