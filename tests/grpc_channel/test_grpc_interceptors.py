"""gRPC interceptors run on live calls, while recording, and on replay."""

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


class SigningInterceptor(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    """Adds metadata and stores the status codes."""

    def __init__(self):
        self.codes = []

    def intercept_unary_unary(self, continuation, client_call_details, request):
        call = continuation(self._add_signature(client_call_details), request)
        self.codes.append((call.code(), call.exception() is None))
        return call

    def intercept_unary_stream(self, continuation, client_call_details, request):
        stream = continuation(self._add_signature(client_call_details), request)
        stream.add_done_callback(lambda call: self.codes.append(call.code()))
        return stream

    def _add_signature(self, details):
        metadata = (*(details.metadata or ()), ("x-signature", "s"))
        return Details(details.method, details.timeout, metadata, details.credentials, None, None)


class RetryingInterceptor(grpc.UnaryUnaryClientInterceptor):
    """Repeats a call after any failure, up to three times."""

    def intercept_unary_unary(self, continuation, client_call_details, request):
        for _ in range(3):
            call = continuation(client_call_details, request)
            if call.exception() is None:
                break
        return call


def test_an_interceptor_sees_the_same_calls_live_and_replayed(connect, stub_of, record_then_replay, talk_types, router):
    ask, _ = talk_types
    signing = SigningInterceptor()
    stub = stub_of(grpc.intercept_channel(connect(), signing))

    def make_all_calls():
        signing.codes.clear()
        results = [stub.once(ask(text="a")).text, stub.once.future(ask(text="b")).result(timeout=5).text]
        response, call = stub.once.with_call(ask(text="c"))
        results += [response.text, call.code(), *(said.text for said in stub.watch(ask(text="d")))]
        with pytest.raises(grpc.RpcError) as caught:
            stub.once(ask(text="fail"))
        return results, caught.value.code(), list(signing.codes)

    live, replayed = record_then_replay(make_all_calls)
    assert replayed == live
    assert len(replayed[2]) == 5
    assert all(request.header("x-signature") == "s" for request in router.requests)
    assert json.loads(router.requests[0].body) == {"text": "a"}


def test_a_retrying_interceptor_records_and_replays_each_attempt(
    connect, stub_of, record_then_replay, talk_types, router
):
    ask, _ = talk_types
    stub = stub_of(grpc.intercept_channel(connect(), RetryingInterceptor()))

    def fail():
        with pytest.raises(grpc.RpcError) as caught:
            stub.once(ask(text="fail"))
        return caught.value.code()

    live, replayed = record_then_replay(fail)
    assert replayed is live is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert len(router.recordings) == 3
    assert len(router.requests) == 6


def test_no_interceptor_can_swallow_a_miss(connect, stub_of, talk, talk_types, router):
    ask, _ = talk_types
    stub = stub_of(grpc.intercept_channel(connect(), RetryingInterceptor(), SigningInterceptor()))
    router.mode = "replay"
    with activate(router):
        for call in (stub.once, stub.once.with_call, stub.once.future, stub.watch):
            with pytest.raises(CassetteMiss):
                call(ask(text="unseen"))
    assert len(router.requests) == 4
    assert talk.hits == 0
