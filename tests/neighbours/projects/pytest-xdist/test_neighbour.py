"""Several workers share one cassette."""

import pytest
from app import ask


@pytest.mark.cassette(name="workers")
@pytest.mark.parametrize("place", ["Toronto", "Lima", "Oslo", "Cairo"])
def test_shared(place):
    assert "weather" in ask(place)
