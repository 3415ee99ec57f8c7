"""Gemini on Vertex AI, over the SDK's two transports; on replay without a project, a key or a metadata server."""

import pytest

import weather_vertex

QUESTION = "What is the weather in toronto and dallas and who won the super bowl?"

pytestmark = [
    pytest.mark.cassette,
    pytest.mark.usefixtures("vertex_configuration"),
    # the SDK announces the removal of its generative module whenever a GenerativeModel is made
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
