"""urllib3-future, which niquests requires, is refused: it takes the place of urllib3."""

import asyncio

import niquests
import pytest
import urllib3
from app import request_for, url

SESSION = niquests.Session()
POOL = urllib3.PoolManager()
# a request before any tape is open, so that the pools keep a connection
SESSION.get(url())
POOL.request("GET", url())


async def send_async():
    async with niquests.AsyncSession() as session:
        await session.post(**request_for())


REQUESTS = {
    "niquests": lambda: niquests.post(**request_for()),
    "session": lambda: SESSION.post(**request_for()),
    "asyncio": lambda: asyncio.run(send_async()),
    "urllib3": lambda: urllib3.PoolManager().request("POST", url()),
    "pool": lambda: POOL.request("POST", url()),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_refused(tape, name):
    blocked = pytest.raises(BaseException, match="blocked a request of urllib3-future")
    with tape.expect_misses() as violations, blocked:
        REQUESTS[name]()
    assert len(violations) == 1
    assert "pip uninstall --yes urllib3-future" in str(violations[0])
