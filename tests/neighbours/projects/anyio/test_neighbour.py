"""Tests and fixtures of anyio, with the backend asyncio."""

import anyio
import pytest
from app import ask_async

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
async def answer():
    return await ask_async("Lima")


@pytest.mark.cassette
async def test_async(answer):
    assert "weather" in answer
    assert "weather" in await ask_async()


@pytest.mark.cassette
async def test_task_group(tape):
    async with anyio.create_task_group() as group:
        for place in ("Lima", "Oslo"):
            group.start_soon(ask_async, place)
    assert len(tape.sent) == 2
