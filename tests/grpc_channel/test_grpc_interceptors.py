"""Interceptors run above the tape: on live calls, while recording, and on replay."""

from __future__ import annotations

import json
from typing import NamedTuple

import grpc
import pytest

from multitrack.errors import CassetteMiss
from multitrack.tape.active import activate


class Details(NamedTuple):
    method: str
    timeout: float | None
    metadata: tuple
    credentials: object
    wait_for_ready: bool | None
    compression: object


class Signing(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    """Adds metadata and notes what comes back."""

    def __init__(self):
        self.seen = []

    def intercept_unary_unary(self, continuation, client_call_details, request):
        call = continuation(self._signed(client_call_details), request)
        self.seen.append((call.code(), call.exception() is None))
        return call

    def intercept_unary_stream(self, continuation, client_call_details, request):
        stream = continuation(self._signed(client_call_details), request)
        stream.add_done_callback(lambda call: self.seen.append(call.code()))
        return stream

    def _signed(self, details):
        metadata = (*(details.metadata or ()), ("x-signature", "s"))
        return Details(details.method, details.timeout, metadata, details.credentials, None, None)


class Retrying(grpc.UnaryUnaryClientInterceptor):
    """Calls again, up to three times, whatever the failure."""

    def intercept_unary_unary(self, continuation, client_call_details, request):
        for _ in range(3):
            call = continuation(client_call_details, request)
            if call.exception() is None:
                break
        return call


def test_an_interceptor_sees_the_same_live_and_replayed(connect, stub_of, record_then_replay, talk_types, router):
    ask, _ = talk_types
    signing = Signing()
    stub = stub_of(grpc.intercept_channel(connect(), signing))

    def everything():
        signing.seen.clear()
        results = [stub.once(ask(text="a")).text, stub.once.future(ask(text="b")).result(timeout=5).text]
        response, call = stub.once.with_call(ask(text="c"))
        results += [response.text, call.code(), *(said.text for said in stub.watch(ask(text="d")))]
        with pytest.raises(grpc.RpcError) as caught:
            stub.once(ask(text="fail"))
        return results, caught.value.code(), list(signing.seen)

    live, replayed = record_then_replay(everything)
    assert replayed == live
    assert len(replayed[2]) == 5
    assert all(request.header("x-signature") == "s" for request in router.requests)
    assert json.loads(router.requests[0].body) == {"text": "a"}


def test_a_retrying_interceptor_records_and_replays_each_attempt(
    connect, stub_of, record_then_replay, talk_types, router
):
    ask, _ = talk_types
    stub = stub_of(grpc.intercept_channel(connect(), Retrying()))

    def failure():
        with pytest.raises(grpc.RpcError) as caught:
            stub.once(ask(text="fail"))
        return caught.value.code()

    live, replayed = record_then_replay(failure)
    assert replayed is live is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert len(router.recordings) == 3
    assert len(router.requests) == 6


def test_no_interceptor_can_swallow_a_miss(connect, stub_of, talk, talk_types, router):
    ask, _ = talk_types
    stub = stub_of(grpc.intercept_channel(connect(), Retrying(), Signing()))
    router.mode = "replay"
    with activate(router):
        for call in (stub.once, stub.once.with_call, stub.once.future, stub.watch):
            with pytest.raises(CassetteMiss):
                call(ask(text="unseen"))
    assert len(router.requests) == 4
    assert talk.hits == 0
