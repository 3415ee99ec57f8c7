"""The mock of pytest-httpx answers in the tests that request it, and the tape answers in all other tests."""

import httpx
import pytest
from app import ask


def test_mocked(httpx_mock):
    httpx_mock.add_response(json={"mocked": True})
    assert httpx.get("https://mocked.example.com/").json() == {"mocked": True}


@pytest.mark.cassette
def test_mocked_with_a_tape(httpx_mock, tape):
    httpx_mock.add_response(json={"mocked": True})
    assert httpx.get("https://mocked.example.com/").json() == {"mocked": True}
    assert tape.interactions == ()


@pytest.mark.cassette
def test_recorded():
    assert "weather" in ask()
