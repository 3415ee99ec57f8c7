"""instructor: code written for it runs after its import is changed."""

import pytest

import weather_instructor


@pytest.mark.cassette
def test_ask():
    assert weather_instructor.ask() == [
        "location='Toronto' units='metric'",
        "location='Dallas' units='imperial'",
        "query='who won the super bowl'",
    ]
