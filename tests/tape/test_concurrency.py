"""Many concurrent requests from threads, tasks and pools without context: none is mixed up or lost."""

import asyncio
import json
import multiprocessing.pool
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import requests
from local_provider import Answer

from multitrack.tape.active import activate
from multitrack.tape.exchange import Request
from multitrack.tape.tape import Tape

JSON = (("content-type", "application/json"),)
URL = "http://127.0.0.1:9/ask"  # where nobody listens
MANY, KINDS = 10_000, 2_000


def question(number):
    """Every request is sent as often as ``MANY`` has room for ``KINDS`` of them."""
    return {"kind": number % KINDS}


@pytest.fixture(scope="module")
def crowded(tmp_path_factory):
    """A tape of ``MANY`` requests, recorded from 8 threads; equal ones have the answers 0, 1, 2 ... in this order."""
    path = tmp_path_factory.mktemp("crowd") / "tape.yaml"
    tape = Tape(path, mode="record")

    def record(first):
        # equal requests come from one thread: else nobody could say which is the first
        for number in range(first, MANY, 8):
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
    assert tape.save().count == MANY
    return path


def shuffled():
    numbers = list(range(MANY))
    random.Random(5).shuffle(numbers)
    return numbers


def check(answers):
    """Each request got an answer to it, and each answer of the tape came once."""
    assert all(answer["kind"] == sent["kind"] for sent, answer in answers)
    came = sorted((answer["kind"], answer["turn"]) for _, answer in answers)
    assert came == sorted((number % KINDS, number // KINDS) for number in range(MANY))


def by_requests():
    session = requests.Session()
    session.trust_env = False
    return session, lambda number: (question(number), session.post(URL, json=question(number)).json())


@pytest.mark.slow
def test_ten_thousand_requests_from_eight_threads(crowded):
    with activate(Tape(crowded)) as tape:
        session, ask = by_requests()
        with session, multiprocessing.pool.ThreadPool(8) as workers:
            check(list(workers.map(ask, shuffled())))
    assert len(tape.sent) == len(tape.played) == MANY
    assert tape.violations == []


@pytest.mark.slow
def test_ten_thousand_requests_from_five_hundred_tasks(crowded):
    numbers = shuffled()

    async def main():
        async with httpx.AsyncClient() as client:

            async def ask(first):
                answers = []
                for number in numbers[first::500]:
                    answers.append((question(number), (await client.post(URL, json=question(number))).json()))
                    await asyncio.sleep(0)
                return answers

            return await asyncio.gather(*map(ask, range(500)))

    with activate(Tape(crowded)) as tape:
        check([pair for pairs in asyncio.run(main()) for pair in pairs])
    assert len(tape.sent) == len(tape.played) == MANY
    assert tape.violations == []


@pytest.fixture
def echoing(provider):
    provider.reply = lambda request: Answer(request.body)
    return provider


def test_a_thousand_live_requests_from_eight_threads(echoing, tmp_path):
    def ask(client, number):
        return client.post(echoing.url, json={"n": number}).json()["n"]

    def everyone():
        with httpx.Client() as client, ThreadPoolExecutor(8) as pool:
            return list(pool.map(lambda number: ask(client, number), range(1000)))

    with activate(Tape(tmp_path / "tape.yaml", mode="record")) as tape:
        assert everyone() == list(range(1000))
    assert tape.save().count == 1000
    echoing.stop()
    with activate(Tape(tmp_path / "tape.yaml")):
        assert everyone() == list(range(1000))
    assert len(echoing.requests) == 1000


def test_a_thousand_live_requests_from_gathered_tasks(echoing, tmp_path):
    async def main():
        # more would not fit the queue of a small server
        limits = httpx.Limits(max_connections=5)
        async with httpx.AsyncClient(limits=limits, timeout=60) as client:
            found = await asyncio.gather(*(client.post(echoing.url, json={"n": number}) for number in range(1000)))
        return [answer.json()["n"] for answer in found]

    with activate(Tape(tmp_path / "tape.yaml", mode="record")) as tape:
        assert asyncio.run(main()) == list(range(1000))
    assert tape.save().count == 1000
    echoing.stop()
    with activate(Tape(tmp_path / "tape.yaml")):
        assert asyncio.run(main()) == list(range(1000))
