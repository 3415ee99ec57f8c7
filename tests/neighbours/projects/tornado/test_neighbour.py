"""Tornado's client is not recorded; a blocked request ends at once."""

import asyncio
import time

import pytest
from tornado.httpclient import AsyncHTTPClient


async def fetch(address):
    # without limits, the client would wait forever
    client = AsyncHTTPClient(force_instance=True)
    return await client.fetch(address, connect_timeout=0, request_timeout=0)


@pytest.mark.parametrize("address", ["http://192.0.2.1/", "https://192.0.2.1/"])
def test_blocked(tape, address):
    started = time.monotonic()
    blocked = pytest.raises(BaseException, match="blocked a socket that would bypass the tape")
    with tape.expect_misses() as violations, blocked:
        asyncio.run(asyncio.wait_for(fetch(address), 20))
    assert len(violations) == 1
    assert time.monotonic() - started < 10
