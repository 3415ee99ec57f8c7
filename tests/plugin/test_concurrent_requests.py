"""Ten thousand requests of many tests, in random order over two workers: each gets its own response."""

from multitrack.tape.exchange import Request
from multitrack.tape.tape import Tape

TESTS, EACH = 40, 250
URL = "http://127.0.0.1:9/ask"  # no server listens here

ASKING = f"""
import asyncio, random
from concurrent.futures import ThreadPoolExecutor
import httpx
import pytest


def shuffled():
    numbers = list(range({EACH}))
    random.shuffle(numbers)
    return numbers


@pytest.mark.cassette
@pytest.mark.parametrize("test", range({TESTS}))
def test_ask(test, tape):
    def question(number):
        return dict(json={{"test": test, "number": number}})

    async def tasks():
        async with httpx.AsyncClient() as client:
            found = [client.post("{URL}", **question(number)) for number in shuffled()]
            return await asyncio.gather(*found)

    if test % 2:
        answers = asyncio.run(tasks())
    else:
        with httpx.Client() as client, ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda number: client.post("{URL}", **question(number)), shuffled()))
    assert sorted(answer.json()["answer"] for answer in answers) == [f"{{test}}/{{n:03}}" for n in range({EACH})]
    assert len(tape.played) == {EACH}
"""
SHUFFLING = """
import random

def pytest_collection_modifyitems(items):
    # pytest-xdist requires the same order in all workers
    random.Random(7).shuffle(items)
"""


def test_ten_thousand_requests_over_two_workers(project):
    for test in range(TESTS):
        node = f"test_it.py::test_ask[{test}]"
        tape = Tape(project.cassette(f"test_it/test_ask[{test}]"), mode="record", test=node)
        for number in range(EACH):
            body = b'{"test": %d, "number": %d}' % (test, number)
            recording = tape.route(Request("POST", URL, (("content-type", "application/json"),), body))
            recording.record_head(200, "OK", (("content-type", "application/json"),))
            recording.record_chunk(b'{"answer": "%d/%03d"}' % (test, number))
            recording.record_end()
        assert tape.save().state == "written"
    project.write("test_it.py", ASKING)
    project.write("conftest.py", SHUFFLING)
    run = project.run("-n", "2")
    assert run.counts == {"passed": TESTS}
    assert run.changed == set()
    assert f"multitrack: {TESTS} tests used a cassette, {TESTS * EACH} requests replayed" in run.lines
