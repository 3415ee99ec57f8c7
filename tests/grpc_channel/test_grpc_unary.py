"""Calls with one request and one response, through each method of a multi-callable."""

from __future__ import annotations

import base64
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.api_core import exceptions, grpc_helpers, retry

from multitrack.errors import CassetteMiss
from multitrack.tape.active import activate
from multitrack.tape.interceptors import abandoned


def read_call(call):
    return (
        call.code(),
        call.details(),
        tuple(map(tuple, call.initial_metadata())),
        tuple(map(tuple, call.trailing_metadata())),
        call.is_active(),
        call.time_remaining(),
        call.add_callback(lambda: None),
        call.cancel(),
        call.done(),
        call.running(),
        call.cancelled(),
    )


def call_blocking(stub, message):
    return stub.once(message)


def call_with_call(stub, message):
    response, call = stub.once.with_call(message)
    assert isinstance(call, grpc.Call)
    return response, *read_call(call)


def call_future(stub, message):
    call = stub.once.future(message)
    assert isinstance(call, grpc.Call)
    assert isinstance(call, grpc.Future)
    done = threading.Event()
    call.add_done_callback(lambda finished: done.set() if finished is call else None)
    assert done.wait(5)
    assert call.exception(timeout=5) is None
    assert call.traceback(timeout=5) is None
    return call.result(timeout=5), *read_call(call)


@pytest.mark.parametrize("call_style", [call_blocking, call_with_call, call_future])
def test_a_response_is_replayed_without_the_server(call_style, stub, record_then_replay, talk_types, router):
    ask, said = talk_types
    live, replayed = record_then_replay(lambda: call_style(stub, ask(text="hello")))
    assert replayed == live
    response = replayed if call_style is call_blocking else replayed[0]
    assert response == said(text="heard hello", turn=2**53 + 1)
    assert type(response) is said
    assert len(router.recordings) == 1


def test_time_remaining_counts_down_to_the_deadline(stub, record_then_replay, talk_types):
    ask, _ = talk_types

    def remaining():
        calls = [stub.once.future(ask(text="hello"), timeout=60), stub.watch(ask(text="hello"), timeout=60)]
        return [50 < call.time_remaining() <= 60 for call in calls]

    assert record_then_replay(remaining) == ([True, True], [True, True])


def test_request_and_response_are_recorded_as_protobuf_json(stub, talk, router, talk_types):
    ask, _ = talk_types
    message = ask(text="grüße", big_number=2**53 + 1, mood=2, counts={"b": 2, "a": 1})
    message.detail.update({"days": 3})
    with activate(router):
        stub.once(message, metadata=(("x-key", "1"), ("x-raw-bin", b"\x00\xff")))
    (request,) = router.requests
    assert request.method == "POST"
    assert request.url == f"grpc://localhost:{talk.port}/multitrack.talk.Talk/Once"
    assert request.headers == (("x-key", "1"), ("x-raw-bin", "AP8="))
    assert json.loads(request.body) == {
        "text": "grüße",
        "bigNumber": "9007199254740993",
        "mood": "CROSS",
        "counts": {"a": 1, "b": 2},
        "detail": {"days": 3.0},
    }
    assert "grüße".encode() in request.body
    (response,) = router.responses
    assert response.ending == "complete"
    assert response.status == 200
    assert response.reason == "OK"
    assert json.loads(response.body) == {"text": "heard grüße", "turn": "9007199254740993"}
    assert response.headers == (
        ("content-type", "application/grpc"),
        ("x-talk", "initial"),
        ("x-talk-bin", "AP8="),
        ("grpc-status", "0"),
        ("x-cost", "3"),
        ("x-cost-bin", "Af4="),
    )
    assert talk.metadata[0]["x-key"] == "1"


def test_metadata_from_an_iterator_reaches_the_server(stub, talk, router, talk_types):
    ask, _ = talk_types
    with activate(router):
        stub.once(ask(text="hello"), metadata=iter([("x-key", "1")]))
    assert router.requests[0].header("x-key") == "1"
    assert talk.metadata[0]["x-key"] == "1"


@pytest.mark.parametrize("call_style", [call_blocking, call_with_call, call_future])
def test_a_failure_is_replayed_with_its_details(call_style, stub, record_then_replay, talk_types, router):
    ask, _ = talk_types

    def failure():
        if call_style is call_future:
            call = stub.once.future(ask(text="fail"))
            assert isinstance(call.exception(timeout=5), grpc.RpcError)
            assert call.traceback() is not None
        with pytest.raises(grpc.RpcError) as caught:
            call.result(timeout=5) if call_style is call_future else call_style(stub, ask(text="fail"))
        error = caught.value
        assert isinstance(error, grpc.Call)
        assert isinstance(error, grpc.Future)
        with pytest.raises(grpc.RpcError) as again:
            error.result()
        assert again.value is error
        mapped = exceptions.from_grpc_error(error)
        assert type(mapped) is exceptions.ResourceExhausted
        return (
            error.code(),
            error.details(),
            error.initial_metadata(),
            tuple(map(tuple, error.trailing_metadata())),
            mapped.message,
            [detail.violations[0].description for detail in mapped.details],
        )

    live, replayed = record_then_replay(failure)
    assert replayed == live
    assert replayed[-1] == ["10 per minute"]
    (response,) = router.responses
    assert response.body == b""
    assert response.ending == "complete"
    assert response.header("grpc-status") == "8"
    assert response.header("grpc-message") == "Quotä\nexceeded 100%"
    assert base64.b64decode(response.header("grpc-status-details-bin")) == live[3][0][1]


def test_a_replayed_failure_has_the_text_of_a_live_one(stub, record_then_replay, talk_types):
    ask, _ = talk_types

    def text():
        with pytest.raises(grpc.RpcError) as caught:
            stub.once(ask(text="late failure"))
        return str(caught.value).splitlines()[1:3]

    live, replayed = record_then_replay(text)
    assert replayed == live == ["\tstatus = StatusCode.ABORTED", '\tdetails = "changed my mind"']


def test_initial_and_trailing_metadata_of_a_late_failure_are_replayed(stub, record_then_replay, talk_types):
    ask, _ = talk_types

    def metadata():
        with pytest.raises(grpc.RpcError) as caught:
            stub.once(ask(text="late failure"))
        return [tuple(map(tuple, part())) for part in (caught.value.initial_metadata, caught.value.trailing_metadata)]

    live, replayed = record_then_replay(metadata)
    assert replayed == live
    assert replayed[0][0] == ("x-talk", "initial")
    assert replayed[1][0] == ("x-cost", "3")


def test_a_server_that_is_down_is_replayed_as_unavailable(stub, talk, router, talk_types):
    ask, _ = talk_types
    talk.stop()
    calls = (
        lambda: stub.once(ask(text="hello")),
        lambda: stub.once.future(ask(text="hello")).result(timeout=5),
        lambda: list(stub.watch(ask(text="hello"))),
        lambda: stub.gather(iter([ask(text="hello")])),
    )
    details = []
    for router.mode in ("record", "replay"):
        with activate(router):
            for call in calls:
                with pytest.raises(grpc.RpcError) as caught:
                    call()
                assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
                details.append(caught.value.details())
    assert details[:4] == details[4:]
    assert [response.ending for response in router.responses] == ["broken"] * 4


def test_an_exceeded_deadline_is_replayed(stub, router, talk_types):
    ask, _ = talk_types
    for router.mode in ("record", "replay"):
        with activate(router), pytest.raises(grpc.RpcError) as caught:
            stub.once(ask(text="sleep"), timeout=0.1)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert router.responses[0].ending == "broken"


def test_a_closed_channel_raises_its_own_error_while_recording(connect, stub_of, router, talk_types):
    ask, _ = talk_types
    channel = connect()
    stub = stub_of(channel)
    channel.close()
    with activate(router):
        for call in (stub.once, stub.once.future, stub.watch):
            with pytest.raises(ValueError, match="Cannot invoke RPC"):
                call(ask(text="hello"))
    assert [type(recording.error) for recording in router.recordings] == [ValueError] * 3


def test_channels_are_intercepted_whenever_they_were_created(connect, stub_of, talk, router, talk_types):
    ask, said = talk_types
    before = stub_of(connect())
    assert before.once(ask(text="live")).text == "heard live"
    with activate(router):
        during = stub_of(connect())
        assert before.once(ask(text="before")).text == "heard before"
        assert during.once(ask(text="during")).text == "heard during"
    assert [json.loads(request.body)["text"] for request in router.requests] == ["before", "during"]
    router.mode = "replay"
    with activate(router):
        assert stub_of(connect()).once(ask(text="before")) == said(text="heard before", turn=2**53 + 1)
        assert talk.hits == 3
    assert during.once(ask(text="live")).text == "heard live"
    assert talk.hits == 4
    assert len(router.requests) == 3


def test_passthrough_goes_live_and_is_not_recorded(stub, talk, router, talk_types):
    ask, _ = talk_types
    router.mode = "passthrough"
    with activate(router):
        assert stub.once(ask(text="hello")).text == "heard hello"
        assert stub.once.future(ask(text="hello")).result(timeout=5).text == "heard hello"
        assert [said.turn for said in stub.watch(ask(text="hello"))] == [1, 2, 3]
        assert stub.gather(iter([ask(text="a"), ask(text="b")])).text == "a and b"
        assert [said.text for said in stub.chat(iter([ask(text="a")]))] == ["heard a"]
    assert talk.hits == 5
    assert router.recordings == []


def test_a_miss_is_raised_by_the_call_and_never_retried(stub, talk, router, talk_types):
    ask, _ = talk_types
    router.mode = "replay"
    anything = retry.Retry(predicate=retry.if_exception_type(Exception), initial=0.01, timeout=5)
    with activate(router):
        for callee in (stub.once, stub.watch):
            wrapped = anything(grpc_helpers.wrap_errors(callee))
            with pytest.raises(CassetteMiss, match="nothing recorded for POST grpc://"):
                wrapped(ask(text="unseen"))
        for call in (stub.once.with_call, stub.once.future):
            with pytest.raises(CassetteMiss):
                call(ask(text="unseen"))
    assert len(router.requests) == 4
    assert talk.hits == 0


def test_threads_get_their_own_responses(stub, record_then_replay, talk_types, router):
    ask, _ = talk_types

    def call_in_threads():
        with ThreadPoolExecutor(8) as pool:
            texts = [f"{number}" for number in range(80)]
            return list(pool.map(lambda text: stub.once(ask(text=text)).text, texts))

    live, replayed = record_then_replay(call_in_threads)
    assert replayed == live == [f"heard {number}" for number in range(80)]
    assert len(router.requests) == 160


def test_equal_requests_are_replayed_once_each(stub, router, talk_types):
    ask, _ = talk_types
    with activate(router):
        stub.once(ask(text="hello"))
        stub.once(ask(text="hello"))
    router.mode = "replay"
    with activate(router):
        stub.once(ask(text="hello"))
        stub.once(ask(text="hello"))
        with pytest.raises(CassetteMiss):
            stub.once(ask(text="hello"))


def test_a_request_that_cannot_be_serialized_fails_as_in_a_live_call(stub, talk, router):
    def failure():
        with pytest.raises(grpc.RpcError) as caught:
            stub.once("not a message")
        return caught.value.code(), caught.value.details()

    outcomes = [failure()]
    for router.mode in ("record", "replay"):
        with activate(router):
            outcomes.append(failure())
    assert outcomes == [(grpc.StatusCode.INTERNAL, "Exception serializing request!")] * 3
    assert router.requests == []
    assert talk.hits == 0


def test_calls_without_serializers_are_replayed_as_bytes(connect, record_then_replay, router, talk_types):
    ask, said = talk_types
    call = connect().unary_unary("/multitrack.talk.Talk/Once")
    live, replayed = record_then_replay(lambda: call(ask(text="hello").SerializeToString()))
    assert replayed == live
    assert said.FromString(replayed).text == "heard hello"
    wire = base64.b64encode(ask(text="hello").SerializeToString()).decode()
    assert json.loads(router.requests[0].body) == {"@wire": wire}


def test_a_custom_deserializer_receives_the_same_bytes(connect, record_then_replay, talk_types):
    ask, said = talk_types
    received = []

    def deserialize(wire):
        received.append(wire)
        return said.FromString(wire).text

    call = connect().unary_unary("/multitrack.talk.Talk/Once", ask.SerializeToString, deserialize)
    assert record_then_replay(lambda: call(ask(text="hello"))) == ("heard hello", "heard hello")
    assert received[0] == received[1]


def test_a_future_that_is_cancelled_or_dropped_ends_its_recording(stub, router, talk_types):
    ask, _ = talk_types
    with activate(router):
        call = stub.once.future(ask(text="sleep"))
        assert call.cancel()
        assert call.cancelled()
        with pytest.raises(grpc.FutureCancelledError):
            call.result()
        stub.once.future(ask(text="sleep"))
    assert [response.ending for response in router.responses] == ["unanswered"] * 2
    router.mode = "replay"
    with activate(router):
        call = stub.once.future(ask(text="sleep"))
        assert not call.done()
        assert call.cancel()
        with pytest.raises(grpc.FutureCancelledError):
            call.result()


def test_waiting_for_a_response_that_the_recorded_caller_did_not_await_is_a_miss(stub, router, talk_types, monkeypatch):
    monkeypatch.setattr(abandoned, "_GRACE_SECONDS", 0.1)
    ask, _ = talk_types
    with activate(router):
        for _ in range(2):
            assert stub.once.future(ask(text="sleep")).cancel()
    router.mode = "replay"
    with activate(router):
        call = stub.once.future(ask(text="sleep"))
        with pytest.raises(grpc.FutureTimeoutError):
            call.result(timeout=0.01)
        with pytest.raises(CassetteMiss) as caught:
            call.result()
        with pytest.raises(CassetteMiss):
            stub.once(ask(text="sleep"))
    assert str(caught.value) == (
        "no response was recorded for this request, because its caller stopped waiting during the recording; "
        "this time the caller waited longer\n"
        "  to record a response: pytest --record"
    )
    assert router.violations[0] is caught.value


def test_a_damaged_response_is_reported_instead_of_replayed_as_empty(stub, router, talk, talk_types):
    ask, _ = talk_types
    with activate(router):
        stub.once(ask(text="hello"))
    router.mode = "replay"
    ((key, responses),) = router.stored_responses.items()
    intact = responses.pop()
    url = f"grpc://localhost:{talk.port}/multitrack.talk.Talk/Once"
    for body, reason in (
        (b'{"text": 3}', "not a valid multitrack.talk.Said: "),
        (b'{"text"', "Expecting ':' delimiter"),
        (b'{"@wire": "*"}', "@wire is not valid base64"),
    ):
        router.stored_responses[key].append(intact.with_body(body))
        with activate(router), pytest.raises(CassetteMiss) as caught:
            stub.once(ask(text="hello"))
        assert str(caught.value).startswith(f"the recorded response to POST {url} cannot be read: {reason}")
        assert router.violations[-1] is caught.value
        assert str(caught.value).endswith("\n  restore the cassette, or record it again: pytest --record")
