"""The time is frozen."""

import datetime

import pytest
from app import ask
from freezegun import freeze_time


@freeze_time("2012-01-14")
@pytest.mark.cassette
def test_frozen():
    assert datetime.date.today().year == 2012
    assert "weather" in ask()


@pytest.mark.cassette
def test_frozen_in_part():
    with freeze_time("2012-01-14", tick=True):
        assert "weather" in ask()
    assert "weather" in ask("Lima")
