"""cassetter has a fixture of its own in every test."""

import pytest
from app import ask


@pytest.mark.cassette
def test_cassette_of_multitrack(tape):
    assert "weather" in ask()
    assert len(tape.sent) == 1
