"""A test that fails at first plays its cassette again."""

import pytest
from app import ask

attempts = []


@pytest.mark.flaky(reruns=2)
@pytest.mark.cassette
def test_flaky():
    attempts.append(ask())
    assert len(attempts) == 2
