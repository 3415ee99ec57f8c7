"""A limit for the time of a test does not disturb its tape."""

import threading

import pytest
from app import ask


@pytest.mark.timeout(30)
@pytest.mark.cassette
def test_limited():
    assert "weather" in ask()


@pytest.mark.timeout(30, method="thread")
@pytest.mark.cassette
def test_request_in_a_thread(tape):
    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert len(tape.sent) == 1
