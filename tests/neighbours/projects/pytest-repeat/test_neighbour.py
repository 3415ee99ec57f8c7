"""Repetitions replay the same cassette."""

import pytest
from app import ask


@pytest.mark.repeat(3)
@pytest.mark.cassette
def test_repeated():
    assert "weather" in ask()
