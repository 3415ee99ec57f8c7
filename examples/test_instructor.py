"""instructor: an application written for instructor runs with Multitrack after one import is changed."""

import pytest

import weather_instructor


@pytest.mark.cassette
def test_ask():
    assert weather_instructor.ask() == [
        "location='Toronto' units='metric'",
        "location='Dallas' units='imperial'",
        "query='who won the super bowl'",
    ]
