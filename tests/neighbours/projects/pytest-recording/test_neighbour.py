"""A test of pytest-recording in the same module as a test of Multitrack."""

import pytest
from app import ask


@pytest.mark.vcr
def test_cassette_of_pytest_recording():
    assert "weather" in ask()


@pytest.mark.cassette
def test_cassette_of_multitrack():
    assert "weather" in ask()


@pytest.mark.block_network
def test_blocked_network():
    with pytest.raises(RuntimeError):
        ask()
