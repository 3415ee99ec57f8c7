"""Mocked requests are not recorded; all other requests are recorded."""

import pytest
import requests
import responses
from app import ask, request_for


@pytest.mark.cassette
@responses.activate
def test_mocked_and_recorded(tape):
    responses.get("https://mocked.example.com/", json={"mocked": True})
    assert requests.get("https://mocked.example.com/", timeout=5).json() == {"mocked": True}
    assert "weather" in ask()
    assert len(tape.sent) == 1


@pytest.mark.cassette
def test_recorded_with_requests():
    assert "weather" in requests.post(**request_for(), timeout=5).text
