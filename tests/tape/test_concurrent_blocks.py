"""Blocks of ``use_cassette`` that are open at the same time: a request uses the block of its own task or thread."""

import asyncio
import contextvars
import threading

import httpx
import pytest

from multitrack import use_cassette
from multitrack.errors import CassetteMiss
from multitrack.tape import active

pytestmark = pytest.mark.slow

NAMES = ("a", "b", "c")


def recorded_paths(tape):
    return [interaction.request.url.rpartition("/")[2] for interaction in tape.interactions]


def test_each_task_records_to_its_own_cassette(provider, tmp_path):
    async def record(name, barrier):
        async with use_cassette(tmp_path / f"{name}.yaml", mode="record") as tape, httpx.AsyncClient() as client:
            await barrier.wait()
            await client.get(f"{provider.url}/{name}")
            await barrier.wait()
            return recorded_paths(tape)

    async def main():
        barrier = asyncio.Barrier(len(NAMES))
        return await asyncio.gather(*(record(name, barrier) for name in NAMES))

    assert asyncio.run(main()) == [["a"], ["b"], ["c"]]


def test_each_thread_records_to_its_own_cassette(provider, tmp_path):
    barrier = threading.Barrier(len(NAMES))
    found = {}

    def record(name):
        with use_cassette(tmp_path / f"{name}.yaml", mode="record") as tape:
            barrier.wait()
            httpx.get(f"{provider.url}/{name}")
            barrier.wait()
            found[name] = recorded_paths(tape)

    threads = [threading.Thread(target=record, args=[name]) for name in NAMES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {"a": ["a"], "b": ["b"], "c": ["c"]}


async def send_in_a_copy_of_the_context(url):
    thread = threading.Thread(target=contextvars.copy_context().run, args=[httpx.get, url])
    thread.start()
    thread.join()


async def send_with_to_thread(url):
    await asyncio.to_thread(httpx.get, url)


# the error in the next test advises both ways to send a request
@pytest.mark.parametrize("send", [send_in_a_copy_of_the_context, send_with_to_thread])
def test_a_request_of_a_helper_thread_goes_to_the_cassette_of_the_task_that_called_it(provider, tmp_path, send):
    async def record(name, barrier):
        async with use_cassette(tmp_path / f"{name}.yaml", mode="record") as tape:
            await barrier.wait()
            await send(f"{provider.url}/{name}")
            await barrier.wait()
            return recorded_paths(tape)

    async def main():
        barrier = asyncio.Barrier(2)
        return await asyncio.gather(record("a", barrier), record("b", barrier))

    assert asyncio.run(main()) == [["a"], ["b"]]


def test_a_request_that_could_belong_to_several_cassettes_is_an_error(tmp_path):
    errors = []

    def send():
        try:
            httpx.get("http://example.test/x")
        except BaseException as error:
            errors.append(error)

    async def hold(name, barrier):
        async with use_cassette(tmp_path / f"{name}.yaml") as tape:
            with tape.expect_misses():
                await barrier.wait()
                if name == "a":
                    thread = threading.Thread(target=send, name="plain")
                    thread.start()
                    thread.join()
                await barrier.wait()

    async def main():
        barrier = asyncio.Barrier(2)
        await asyncio.gather(hold("a", barrier), hold("b", barrier))

    asyncio.run(main())
    (error,) = errors
    assert isinstance(error, CassetteMiss)
    assert "the thread 'plain', and none of the 2 open cassettes belongs to this thread" in str(error)


def test_a_block_within_a_block_receives_the_requests_of_threads(tmp_path):
    with use_cassette(tmp_path / "outer.yaml"), use_cassette(tmp_path / "inner.yaml") as inner:
        found = []
        thread = threading.Thread(target=lambda: found.append(active.current_tape()))
        thread.start()
        thread.join()
        assert found == [inner]


def test_a_block_that_was_opened_in_another_context_still_counts(tmp_path):
    """A fixture of pytest-asyncio opens such a block, after the event loop has copied its context."""
    with use_cassette(tmp_path / "outer.yaml"), asyncio.Runner() as runner:
        runner.run(asyncio.sleep(0))
        with use_cassette(tmp_path / "inner.yaml") as inner:

            async def find():
                return active.current_tape()

            assert runner.run(find()) is inner
    assert active.current_tape() is None
