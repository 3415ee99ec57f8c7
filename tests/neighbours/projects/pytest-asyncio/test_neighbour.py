"""Tests and fixtures of asyncio."""

import asyncio

import pytest
import pytest_asyncio
from app import ask_async


@pytest_asyncio.fixture
async def answer():
    return await ask_async("Lima")


@pytest.mark.asyncio
@pytest.mark.cassette
async def test_async(answer):
    assert "weather" in answer
    assert "weather" in await ask_async()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.cassette
async def test_concurrent_requests(tape):
    await asyncio.gather(*(ask_async(place) for place in ("Lima", "Oslo", "Cairo")))
    assert len(tape.sent) == 3


@pytest.mark.asyncio
async def test_expected_miss(tape):
    if tape.mode == "replay":
        with tape.expect_misses() as misses, pytest.raises(BaseException, match="has no recording"):
            await ask_async("Nowhere")
        assert len(misses) == 1
