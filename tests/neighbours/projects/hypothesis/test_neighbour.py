"""Every example of a property sends the same requests."""

import pytest
from app import ask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


@pytest.mark.cassette(allow_repeats=True)
@settings(max_examples=5, derandomize=True, database=None, deadline=None)
@given(place=st.sampled_from(["Lima", "Oslo"]))
def test_property(place):
    assert "weather" in ask(place)


@settings(
    max_examples=5,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@pytest.mark.cassette(allow_repeats=True)
@given(number=st.integers())
def test_property_with_the_fixture(tape, number):
    assert "weather" in ask()
    assert isinstance(number, int)
