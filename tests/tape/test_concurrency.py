"""Many concurrent requests from threads, tasks and pools without a context: no response is mixed up or lost."""

import asyncio
import json
import multiprocessing.pool
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import requests
from local_provider import ProviderAnswer

from multitrack.tape.active import activate
from multitrack.tape.exchange import Request
from multitrack.tape.tape import Tape

JSON = (("content-type", "application/json"),)
URL = "http://127.0.0.1:9/ask"  # no server listens here
COUNT, KINDS = 10_000, 2_000


def question(number):
    """Return the body of request ``number``. There are ``KINDS`` different ones."""
    return {"kind": number % KINDS}


@pytest.fixture(scope="module")
def large_cassette(tmp_path_factory):
    """A cassette of ``COUNT`` requests from 8 threads. Equal requests have the responses 0, 1, 2 ... in this order."""
    path = tmp_path_factory.mktemp("crowd") / "tape.yaml"
    tape = Tape(path, mode="record")

    def record(first):
        # one thread sends all equal requests, because their order would be unknown otherwise
        for number in range(first, COUNT, 8):
            recording = tape.route(Request("POST", URL, JSON, json.dumps(question(number)).encode()))
            recording.record_head(200, "OK", JSON)
            recording.record_chunk(b'{"kind": %d, "turn": %d}' % (number % KINDS, number // KINDS))
            recording.record_end()

    assert KINDS % 8 == 0
    threads = [threading.Thread(target=record, args=(first,)) for first in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tape.save().count == COUNT
    return path


def shuffle_numbers():
    numbers = list(range(COUNT))
    random.Random(5).shuffle(numbers)
    return numbers


def check(exchanges):
    """Check that each response fits its request, and that each recorded response was replayed once."""
    assert all(response["kind"] == sent["kind"] for sent, response in exchanges)
    replayed = sorted((response["kind"], response["turn"]) for _, response in exchanges)
    assert replayed == sorted((number % KINDS, number // KINDS) for number in range(COUNT))


def create_requests_client():
    """Return a session, and a function that posts request ``number`` with it."""
    session = requests.Session()
    session.trust_env = False
    return session, lambda number: (question(number), session.post(URL, json=question(number)).json())


@pytest.mark.slow
def test_ten_thousand_requests_from_eight_threads(large_cassette):
    with activate(Tape(large_cassette)) as tape:
        session, ask = create_requests_client()
        with session, multiprocessing.pool.ThreadPool(8) as workers:
            check(list(workers.map(ask, shuffle_numbers())))
    assert len(tape.sent) == len(tape.played) == COUNT
    assert tape.violations == []


@pytest.mark.slow
def test_ten_thousand_requests_from_five_hundred_tasks(large_cassette):
    numbers = shuffle_numbers()

    async def main():
        async with httpx.AsyncClient() as client:

            async def ask(first):
                exchanges = []
                for number in numbers[first::500]:
                    exchanges.append((question(number), (await client.post(URL, json=question(number))).json()))
                    await asyncio.sleep(0)
                return exchanges

            return await asyncio.gather(*map(ask, range(500)))

    with activate(Tape(large_cassette)) as tape:
        check([pair for pairs in asyncio.run(main()) for pair in pairs])
    assert len(tape.sent) == len(tape.played) == COUNT
    assert tape.violations == []


@pytest.fixture
def echo_provider(provider):
    provider.reply = lambda request: ProviderAnswer(request.body)
    return provider


def test_a_thousand_live_requests_from_eight_threads(echo_provider, tmp_path):
    def ask(client, number):
        return client.post(echo_provider.url, json={"n": number}).json()["n"]

    def send_all():
        with httpx.Client() as client, ThreadPoolExecutor(8) as pool:
            return list(pool.map(lambda number: ask(client, number), range(1000)))

    with activate(Tape(tmp_path / "tape.yaml", mode="record")) as tape:
        assert send_all() == list(range(1000))
    assert tape.save().count == 1000
    echo_provider.stop()
    with activate(Tape(tmp_path / "tape.yaml")):
        assert send_all() == list(range(1000))
    assert len(echo_provider.requests) == 1000


def test_a_thousand_live_requests_from_gathered_tasks(echo_provider, tmp_path):
    async def main():
        # a small server's queue does not hold more
        limits = httpx.Limits(max_connections=5)
        async with httpx.AsyncClient(limits=limits, timeout=60) as client:
            posts = (client.post(echo_provider.url, json={"n": number}) for number in range(1000))
            responses = await asyncio.gather(*posts)
        return [response.json()["n"] for response in responses]

    with activate(Tape(tmp_path / "tape.yaml", mode="record")) as tape:
        assert asyncio.run(main()) == list(range(1000))
    assert tape.save().count == 1000
    echo_provider.stop()
    with activate(Tape(tmp_path / "tape.yaml")):
        assert asyncio.run(main()) == list(range(1000))
