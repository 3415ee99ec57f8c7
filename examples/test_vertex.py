"""Gemini on Vertex AI, over both transports of the SDK. Replay needs no project, key or metadata server."""

import pytest

import weather_vertex

QUESTION = "What is the weather in toronto and dallas and who won the super bowl?"

pytestmark = [
    pytest.mark.cassette,
    pytest.mark.usefixtures("vertex_configuration"),
    # The SDK warns about the removal of its generative module whenever a GenerativeModel is created.
    pytest.mark.filterwarnings("ignore:This feature is deprecated:UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def test_grpc(calls_snapshot):
    plan = weather_vertex.plan(QUESTION, project="harbour-forecast-7", location="us-central1", api_transport="grpc")
    assert plan == calls_snapshot


def test_rest(calls_snapshot):
    plan = weather_vertex.plan(QUESTION, project="harbour-forecast-7", location="us-central1", api_transport="rest")
    assert plan == calls_snapshot


def test_no_arguments(calls_snapshot):
    assert weather_vertex.plan(QUESTION) == calls_snapshot
