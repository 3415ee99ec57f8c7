"""xAI over gRPC: an application without ``response_model``. A ``Toolset`` validates its decoded responses."""

import pytest

pytest.importorskip("xai_sdk", reason="xai-sdk is not installed; pip install xai-sdk")
import weather_xai

QUESTION = "What is the weather in toronto and dallas and who won the super bowl?"

pytestmark = pytest.mark.cassette


def test_plan(calls_snapshot):
    assert weather_xai.plan(QUESTION) == calls_snapshot


def test_a_stream(calls_snapshot):
    *_, (response, _) = weather_xai.ask(QUESTION).stream()
    assert response.tool_calls == calls_snapshot
