"""Cassettes of gRPC calls that cassetter recorded, replayed without a server."""

import asyncio
import shutil
from pathlib import Path

import grpc
import pytest

from multitrack.errors import CassetteCorrupt, CassetteMiss
from multitrack.tape.file import storage
from multitrack.tape.use_cassette import use_cassette

CASSETTE = Path(__file__).parents[1] / "data" / "tapes" / "cassetter-0.16.1-grpc.yaml"
UNREACHABLE = "127.0.0.1:1"
BIG = 2**60


@pytest.fixture
def ask(talk_types):
    return talk_types[0]


@pytest.fixture
def path(tmp_path):
    return Path(shutil.copy(CASSETTE, tmp_path))


def call_with_threads(stub_of, ask):
    with grpc.insecure_channel(UNREACHABLE) as channel:
        stub = stub_of(channel)
        yield stub.once(ask(text="good morning", number=1.5, big_number=BIG, counts={"a": 1, "b": 2}))
        yield from stub.watch(ask(text="count"))
        yield stub.gather(iter([ask(text="one"), ask(text="two")]))
        yield from stub.chat(ask(text=text) for text in ("three", "listen", "four"))
        with pytest.raises(grpc.RpcError) as failed:
            stub.once(ask(text="fail"))
        yield failed.value
        broken = stub.watch(ask(text="break"))
        yield from (next(broken), next(broken))
        with pytest.raises(grpc.RpcError) as failed:
            next(broken)
        yield failed.value


def call_with_asyncio(stub_of, ask):
    async def play():
        async def asks(*texts):
            for text in texts:
                yield ask(text=text)

        async with grpc.aio.insecure_channel(UNREACHABLE) as channel:
            stub = stub_of(channel)
            yield await stub.once(ask(text="good morning", number=1.5, big_number=BIG, counts={"a": 1, "b": 2}))
            async for said in stub.watch(ask(text="count")):
                yield said
            yield await stub.gather(asks("one", "two"))
            async for said in stub.chat(asks("three", "listen", "four")):
                yield said
            with pytest.raises(grpc.RpcError) as failed:
                await stub.once(ask(text="fail"))
            yield failed.value
            broken = stub.watch(ask(text="break"))
            for _ in range(2):
                yield await broken.read()
            with pytest.raises(grpc.RpcError) as failed:
                await broken.read()
            yield failed.value

    async def collect():
        return [result async for result in play()]

    return asyncio.run(collect())


@pytest.mark.parametrize("make_calls", [call_with_threads, call_with_asyncio])
def test_recorded_calls_are_replayed(make_calls, stub_of, ask, path):
    with use_cassette(path):
        found = list(make_calls(stub_of, ask))
    results = [result.text if hasattr(result, "text") else (result.code(), result.details()) for result in found]
    failure = (grpc.StatusCode.RESOURCE_EXHAUSTED, "Quotä\nexceeded 100%")
    assert results == [
        "heard good morning",
        *("count 1", "count 2", "count 3"),
        "one and two",
        *("heard three", "heard listen and four"),
        failure,
        *("break 1", "break 2"),
        failure,
    ]
    assert found[0].turn == 9007199254740993


def test_a_different_message_is_a_miss(stub_of, ask, path):
    with use_cassette(path) as tape, tape.expect_misses() as misses, grpc.insecure_channel(UNREACHABLE) as channel:
        with pytest.raises(CassetteMiss):
            stub_of(channel).once(ask(text="good evening", number=1.5, big_number=BIG, counts={"a": 1, "b": 2}))
        text = str(misses[0])
    assert 'recorded: "good morning"\n      sent: "good evening"' in text


def test_a_request_with_a_secret_matches_its_redacted_recording(stub_of, ask, path, monkeypatch):
    secret = "kettle-blue-4711-tunnel"
    monkeypatch.setenv("TALK_API_KEY", secret)
    with use_cassette(path) as tape, grpc.insecure_channel(UNREACHABLE) as channel:
        assert secret not in str(tape.interactions)
        assert stub_of(channel).once(ask(text=secret)).text == f"heard {secret}"


def test_a_method_of_an_unknown_service_is_reported(path):
    path.write_text(CASSETTE.read_text("utf-8").replace("talk.Talk/Gather", "walk.Walk/Gather"), "utf-8")
    with pytest.raises(CassetteCorrupt) as caught:
        storage.read(path)
    assert "interaction 4: no imported module defines the gRPC method /multitrack.walk.Walk/Gather" in str(caught.value)
    assert "import the module generated for multitrack.walk.Walk before the cassette is opened" in str(caught.value)
