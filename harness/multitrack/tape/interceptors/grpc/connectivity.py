"""The tripwire of gRPC's channels: while a tape replays, none connects.

A call that a tape answers needs no connection. What is left are the callers that ask for one by itself, and wait
until the channel is ready; to them it is.
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
_TLS = 443


def patches(module: ModuleType, current_tape: CurrentTape) -> list[Patch]:
    """The swaps that keep channels of ``grpc`` from connecting, and let them look ready."""
    del module
    kinds = callables.channels()

    def held(target: str) -> bool:
        tape = current_tape()
        if tape is None or tape.mode != "replay":
            return False
        return not tape.allows_connection(*split_host_and_port(method_url(target, "/")))

    def subscribe(original: Function) -> Function:
        @functools.wraps(original)
        def subscribed(channel: Any, callback: Callable[[Any], None], try_to_connect: bool | None = False) -> None:
            if held(callables.channel_target(channel)):
                callback(grpc.ChannelConnectivity.READY)
            else:
                original(channel, callback, try_to_connect)

        return subscribed

    def get_state(original: Function) -> Function:
        @functools.wraps(original)
        def got_state(channel: Any, try_to_connect: bool = False) -> Any:
            if held(callables.asyncio_channel_target(channel)):
                return grpc.ChannelConnectivity.READY
            return original(channel, try_to_connect)

        return got_state

    def wait_for_state_change(original: Function) -> Function:
        @functools.wraps(original)
        async def waited(channel: Any, last_observed_state: Any) -> None:
            if not held(callables.asyncio_channel_target(channel)):
                await original(channel, last_observed_state)
            elif last_observed_state is grpc.ChannelConnectivity.READY:
                # it never changes, and a caller who watches it would go round and round
                await asyncio.get_running_loop().create_future()

        return waited

    return [
        Patch(kinds.plain, "subscribe", subscribe),
        Patch(kinds.asyncio, "get_state", get_state),
        Patch(kinds.asyncio, "wait_for_state_change", wait_for_state_change),
    ]
