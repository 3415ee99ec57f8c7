"""Code written for instructor runs with only its import changed."""

import pytest

import weather_instructor


@pytest.mark.cassette
def test_ask():
    assert weather_instructor.ask() == [
        "location='Toronto' units='metric'",
        "location='Dallas' units='imperial'",
        "query='who won the super bowl'",
    ]
