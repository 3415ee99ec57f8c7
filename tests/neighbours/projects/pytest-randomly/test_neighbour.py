"""The order of the tests is random, but the requests of each test are not."""

import random

import pytest
from app import ask


@pytest.mark.cassette
@pytest.mark.parametrize("place", ["Lima", "Oslo", "Cairo"])
def test_any_order(place):
    assert "weather" in ask(place)
    assert random.random() < 1
