"""Mocked requests are not recorded; all other requests are recorded."""

import httpx
import pytest
import respx
from app import ask


@pytest.mark.cassette
def test_mocked_and_recorded(tape):
    with respx.mock(assert_all_mocked=False) as mock:
        mock.get("https://mocked.example.com/").respond(json={"mocked": True})
        assert httpx.get("https://mocked.example.com/").json() == {"mocked": True}
    assert "weather" in ask()
    assert len(tape.sent) == 1


@respx.mock
def test_mocked_only():
    respx.get("https://mocked.example.com/").respond(204)
    assert httpx.get("https://mocked.example.com/").status_code == 204
