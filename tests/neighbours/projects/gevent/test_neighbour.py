"""Requests in greenlets."""

import urllib.request

import gevent
import pytest
from app import ask, request_for


@pytest.mark.cassette
def test_greenlets(tape):
    jobs = [gevent.spawn(ask, place) for place in ("Lima", "Oslo", "Cairo")]
    gevent.joinall(jobs, raise_error=True)
    assert len(tape.sent) == 3


@pytest.mark.cassette
def test_urllib():
    request = urllib.request.Request(request_for()["url"], data=b"{}", headers={"content-type": "application/json"})
    with urllib.request.urlopen(request) as response:
        assert b"weather" in response.read()
