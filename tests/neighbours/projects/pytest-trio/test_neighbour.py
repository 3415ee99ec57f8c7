"""Tests and fixtures of trio."""

import pytest
import trio
from app import ask_async


@pytest.fixture
async def answer():
    return await ask_async("Lima")


@pytest.mark.cassette
async def test_async(answer):
    assert "weather" in answer
    assert "weather" in await ask_async()


@pytest.mark.cassette
async def test_nursery(tape):
    async with trio.open_nursery() as nursery:
        for place in ("Lima", "Oslo"):
            nursery.start_soon(ask_async, place)
    assert len(tape.sent) == 2
