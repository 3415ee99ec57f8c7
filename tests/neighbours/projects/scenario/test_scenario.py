"""The tests of a user, which run beside each neighbour."""

import pytest
from app import PLACE, ask

from multitrack import decode, use_cassette


@pytest.mark.cassette
def test_snapshot(calls_snapshot):
    assert decode(ask()) == calls_snapshot


@pytest.mark.parametrize("time", ["morning", "evening"])
def test_fixture(tape, time):
    ask(f"{PLACE} in the {time}")
    assert len(tape.sent) == 1


class TestClass:
    @pytest.mark.cassette(name="shared")
    def test_shared(self):
        assert "weather" in ask()


def test_block():
    with use_cassette("cassettes/block.yaml"):
        assert "weather" in ask()


def test_without_a_cassette():
    assert PLACE
