"""On replay no channel connects, whatever the caller asks of it; counted where it would connect to."""

from __future__ import annotations

import asyncio
import socket
import threading

import grpc
import pytest

from multitrack.tape.active import activate

READY = grpc.ChannelConnectivity.READY


class Listener:
    """Takes the server's place, and counts who connects."""

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
        listeners.append(Listener(talk.port))
        return listeners[-1]

    yield listen
    for listener in listeners:
        listener.close()


def test_calls_connect_to_nothing(callers, listen, router):
    live, replayed = [], []
    for router.mode, answers in (("record", live), ("replay", replayed)):
        listener = listen() if router.mode == "replay" else None
        with activate(router):
            caller = callers()
            answers += [caller(kind, "hello") for kind in ("once", "watch", "gather", "chat")]
    assert replayed == live
    assert listener.accepted == 0
    # the listener does count
    assert caller("once", "hello")[1] is grpc.StatusCode.UNAVAILABLE
    assert listener.accepted > 0


def test_a_channel_is_ready_at_once(connect, listen, router):
    listener = listen()
    router.mode = "replay"
    with activate(router):
        channel = connect()
        grpc.channel_ready_future(channel).result(timeout=5)
        seen = []
        channel.subscribe(seen.append, try_to_connect=True)
        channel.unsubscribe(seen.append)
        grpc.channel_ready_future(grpc.intercept_channel(channel)).result(timeout=5)
    assert seen == [READY]
    assert listener.accepted == 0


def test_an_asyncio_channel_is_ready_at_once_and_stays_so(async_connect, listen, router):
    async def use():
        async with async_connect() as channel:
            await asyncio.wait_for(channel.channel_ready(), 5)
            assert channel.get_state(try_to_connect=True) is READY
            await channel.wait_for_state_change(grpc.ChannelConnectivity.IDLE)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(channel.wait_for_state_change(READY), 0.05)

    listener = listen()
    router.mode = "replay"
    with activate(router):
        asyncio.run(use())
    assert listener.accepted == 0


@pytest.mark.parametrize("mode", ["record", "replay"])
def test_a_channel_connects_where_its_calls_may_leave(mode, connect, async_connect, talk, router):
    async def wait():
        async with async_connect() as channel:
            await asyncio.wait_for(channel.channel_ready(), 5)
            return channel.get_state()

    router.mode = mode
    router.allowed = [("localhost", talk.port)]
    with activate(router):
        grpc.channel_ready_future(connect()).result(timeout=5)
        assert asyncio.run(wait()) is READY
