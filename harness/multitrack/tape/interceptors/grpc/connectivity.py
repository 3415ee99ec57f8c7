"""Prevent gRPC channels from connecting while a cassette is being replayed.

A replayed call needs no connection. Some callers explicitly ask for a connection, and wait until the channel is
ready. The patches make the channel appear ready to these callers.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import grpc

from multitrack.hosts import split_host_and_port
from multitrack.tape.interceptors import CurrentTape
from multitrack.tape.interceptors.grpc import callables
from multitrack.tape.interceptors.grpc.grpc_call import method_url
from multitrack.tape.patching import Patch

Function = Callable[..., Any]


def patches(module: ModuleType, current_tape: CurrentTape) -> list[Patch]:
    """Return the patches that prevent channels of ``grpc`` from connecting, and make them appear ready."""
    del module
    kinds = callables.channels()

    def is_offline(target: str) -> bool:
        tape = current_tape()
        if tape is None or tape.mode != "replay":
            return False
        return not tape.allows_connection(*split_host_and_port(method_url(target, "/")))

    def wrap_subscribe(original: Function) -> Function:
        @functools.wraps(original)
        def subscribe_offline(
            channel: Any, callback: Callable[[Any], None], try_to_connect: bool | None = False
        ) -> None:
            if is_offline(callables.channel_target(channel)):
                callback(grpc.ChannelConnectivity.READY)
            else:
                original(channel, callback, try_to_connect)

        return subscribe_offline

    def wrap_get_state(original: Function) -> Function:
        @functools.wraps(original)
        def get_offline_state(channel: Any, try_to_connect: bool = False) -> Any:
            if is_offline(callables.asyncio_channel_target(channel)):
                return grpc.ChannelConnectivity.READY
            return original(channel, try_to_connect)

        return get_offline_state

    def wrap_wait_for_state_change(original: Function) -> Function:
        @functools.wraps(original)
        async def wait_offline(channel: Any, last_observed_state: Any) -> None:
            if not is_offline(callables.asyncio_channel_target(channel)):
                await original(channel, last_observed_state)
            elif last_observed_state is grpc.ChannelConnectivity.READY:
                # the state never changes, and a caller that watches it in a loop must not spin
                await asyncio.get_running_loop().create_future()

        return wait_offline

    return [
        Patch(kinds.plain, "subscribe", wrap_subscribe),
        Patch(kinds.asyncio, "get_state", wrap_get_state),
        Patch(kinds.asyncio, "wait_for_state_change", wrap_wait_for_state_change),
    ]
