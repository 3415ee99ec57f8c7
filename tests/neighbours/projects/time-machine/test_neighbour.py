"""The tests run at a different time."""

import datetime

import pytest
import time_machine
from app import ask


@time_machine.travel("2012-01-14", tick=False)
@pytest.mark.cassette
def test_frozen():
    assert datetime.date.today().year == 2012
    assert "weather" in ask()


@pytest.mark.cassette
def test_fixture_of_time_machine(time_machine):
    time_machine.move_to("2012-01-14")
    assert "weather" in ask()
