"""A test of pytest-vcr in the same module as a test of Multitrack."""

import pytest
from app import ask


@pytest.mark.cassette
def test_cassette_of_multitrack():
    assert "weather" in ask()
