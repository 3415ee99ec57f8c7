"""On replay, no channel connects. A listener in place of the server counts the connections."""

from __future__ import annotations

import asyncio
import socket
import threading
import weakref

import grpc
import pytest

from multitrack.tape.active import activate
from multitrack.tape.interceptors.grpc import callables

READY = grpc.ChannelConnectivity.READY


class ConnectionCounter:
    """Listens on the port of the server, and counts connections."""

    def __init__(self, port):
        self.accepted = 0
        self._socket = socket.create_server(("127.0.0.1", port))
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.accepted += 1
            connection.close()

    def close(self):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


@pytest.fixture
def listen(talk):
    listeners = []

    def listen():
        talk.stop()
        listeners.append(ConnectionCounter(talk.port))
        return listeners[-1]

    yield listen
    for listener in listeners:
        listener.close()


def test_replayed_calls_do_not_connect(callers, listen, router):
    live, replayed = [], []
    for router.mode, results in (("record", live), ("replay", replayed)):
        listener = listen() if router.mode == "replay" else None
        with activate(router):
            caller = callers()
            results += [caller(kind, "hello") for kind in ("once", "watch", "gather", "chat")]
    assert replayed == live
    assert listener.accepted == 0
    # check that the listener counts
    assert caller("once", "hello")[1] is grpc.StatusCode.UNAVAILABLE
    assert listener.accepted > 0


def test_a_channel_is_ready_without_connecting(connect, listen, router):
    listener = listen()
    router.mode = "replay"
    with activate(router):
        channel = connect()
        grpc.channel_ready_future(channel).result(timeout=5)
        states = []
        channel.subscribe(states.append, try_to_connect=True)
        channel.unsubscribe(states.append)
        grpc.channel_ready_future(grpc.intercept_channel(channel)).result(timeout=5)
    assert states == [READY]
    assert listener.accepted == 0


def test_an_asyncio_channel_is_ready_without_connecting_and_stays_ready(async_connect, listen, router):
    async def check():
        async with async_connect() as channel:
            await asyncio.wait_for(channel.channel_ready(), 5)
            assert channel.get_state(try_to_connect=True) is READY
            await channel.wait_for_state_change(grpc.ChannelConnectivity.IDLE)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(channel.wait_for_state_change(READY), 0.05)

    listener = listen()
    router.mode = "replay"
    with activate(router):
        asyncio.run(check())
    assert listener.accepted == 0


@pytest.mark.parametrize("mode", ["record", "replay"])
def test_a_channel_connects_if_its_host_is_allowed(mode, connect, async_connect, talk, router):
    async def wait():
        async with async_connect() as channel:
            await asyncio.wait_for(channel.channel_ready(), 5)
            return channel.get_state()

    router.mode = mode
    router.allowed_hosts = [("localhost", talk.port)]
    with activate(router):
        grpc.channel_ready_future(connect()).result(timeout=5)
        assert asyncio.run(wait()) is READY


class KeptChannel:
    """Stands in for the channel that keeps gRPC's threads running."""


@pytest.fixture
def kept_channels(monkeypatch):
    created = weakref.WeakSet()

    def create():
        created.add(channel := KeptChannel())
        return channel

    monkeypatch.setattr(callables, "create_core_channel", create)
    return created


@pytest.mark.parametrize(
    ("mode", "fork_support", "count"), [("replay", "1", 1), ("replay", "0", 0), ("record", "1", 0)]
)
def test_one_channel_keeps_the_threads_during_replay_if_forks_are_safe(
    mode, fork_support, count, kept_channels, monkeypatch, router
):
    monkeypatch.setenv("GRPC_ENABLE_FORK_SUPPORT", fork_support)
    router.mode = mode
    with activate(router):
        for _ in range(2):
            grpc.insecure_channel("localhost").close()
        assert len(kept_channels) == count
    assert not kept_channels


def test_an_asyncio_channel_also_keeps_the_threads(kept_channels, router):
    async def create():
        async with grpc.aio.insecure_channel("localhost"):
            pass

    router.mode = "replay"
    with activate(router):
        asyncio.run(create())
        assert len(kept_channels) == 1
    assert not kept_channels
