"""Calls with one response: replayed as they were recorded, by every way a caller can take them."""

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


def told(call):
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


def blocking(stub, message):
    return stub.once(message)


def with_call(stub, message):
    response, call = stub.once.with_call(message)
    assert isinstance(call, grpc.Call)
    return response, *told(call)


def future(stub, message):
    call = stub.once.future(message)
    assert isinstance(call, grpc.Call)
    assert isinstance(call, grpc.Future)
    done = threading.Event()
    call.add_done_callback(lambda finished: done.set() if finished is call else None)
    assert done.wait(5)
    assert call.exception(timeout=5) is None
    assert call.traceback(timeout=5) is None
    return call.result(timeout=5), *told(call)


@pytest.mark.parametrize("way", [blocking, with_call, future])
def test_a_response_is_replayed_without_the_server(way, stub, record_then_replay, talk_types, router):
    ask, said = talk_types
    live, replayed = record_then_replay(lambda: way(stub, ask(text="hello")))
    assert replayed == live
    response = replayed if way is blocking else replayed[0]
    assert response == said(text="heard hello", turn=2**53 + 1)
    assert type(response) is said
    assert len(router.recordings) == 1


def test_the_time_that_remains_is_told(stub, record_then_replay, talk_types):
    ask, _ = talk_types

    def remaining():
        calls = [stub.once.future(ask(text="hello"), timeout=60), stub.watch(ask(text="hello"), timeout=60)]
        return [50 < call.time_remaining() <= 60 for call in calls]

    assert record_then_replay(remaining) == ([True, True], [True, True])


def test_request_and_response_are_written_as_protobuf_json(stub, talk, router, talk_types):
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
    assert (response.status, response.reason) == (200, "OK")
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


def test_metadata_given_as_an_iterator_reaches_the_server(stub, talk, router, talk_types):
    ask, _ = talk_types
    with activate(router):
        stub.once(ask(text="hello"), metadata=iter([("x-key", "1")]))
    assert router.requests[0].header("x-key") == "1"
    assert talk.metadata[0]["x-key"] == "1"


@pytest.mark.parametrize("way", [blocking, with_call, future])
def test_a_failure_is_an_answer_and_replayed_with_its_details(way, stub, record_then_replay, talk_types, router):
    ask, _ = talk_types

    def failure():
        if way is future:
            call = stub.once.future(ask(text="fail"))
            assert isinstance(call.exception(timeout=5), grpc.RpcError)
            assert call.traceback() is not None
        with pytest.raises(grpc.RpcError) as caught:
            call.result(timeout=5) if way is future else way(stub, ask(text="fail"))
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


def test_a_replayed_failure_reads_as_a_live_one(stub, record_then_replay, talk_types):
    ask, _ = talk_types

    def text():
        with pytest.raises(grpc.RpcError) as caught:
            stub.once(ask(text="late failure"))
        return str(caught.value).splitlines()[1:3]

    live, replayed = record_then_replay(text)
    assert replayed == live == ["\tstatus = StatusCode.ABORTED", '\tdetails = "changed my mind"']


def test_initial_and_trailing_metadata_of_a_late_failure_stay_apart(stub, record_then_replay, talk_types):
    ask, _ = talk_types

    def metadata():
        with pytest.raises(grpc.RpcError) as caught:
            stub.once(ask(text="late failure"))
        return [tuple(map(tuple, part())) for part in (caught.value.initial_metadata, caught.value.trailing_metadata)]

    live, replayed = record_then_replay(metadata)
    assert replayed == live
    assert replayed[0][0] == ("x-talk", "initial")
    assert replayed[1][0] == ("x-cost", "3")


def test_a_server_that_is_down_is_down_again_on_replay(stub, talk, router, talk_types):
    ask, _ = talk_types
    talk.stop()
    calls = (
        lambda: stub.once(ask(text="hello")),
        lambda: stub.once.future(ask(text="hello")).result(timeout=5),
        lambda: list(stub.watch(ask(text="hello"))),
        lambda: stub.gather(iter([ask(text="hello")])),
    )
    told = []
    for router.mode in ("record", "replay"):
        with activate(router):
            for call in calls:
                with pytest.raises(grpc.RpcError) as caught:
                    call()
                assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
                told.append(caught.value.details())
    assert told[:4] == told[4:]
    assert [response.ending for response in router.responses] == ["broken"] * 4


def test_a_deadline_that_passed_passes_again_on_replay(stub, router, talk_types):
    ask, _ = talk_types
    for router.mode in ("record", "replay"):
        with activate(router), pytest.raises(grpc.RpcError) as caught:
            stub.once(ask(text="sleep"), timeout=0.1)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert router.responses[0].ending == "broken"


def test_a_closed_channel_stays_an_error_while_recording(connect, stub_of, router, talk_types):
    ask, _ = talk_types
    channel = connect()
    stub = stub_of(channel)
    channel.close()
    with activate(router):
        for call in (stub.once, stub.once.future, stub.watch):
            with pytest.raises(ValueError, match="Cannot invoke RPC"):
                call(ask(text="hello"))
    assert [type(recording.error) for recording in router.recordings] == [ValueError] * 3


def test_channels_are_caught_whenever_they_were_made(connect, stub_of, talk, router, talk_types):
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


def test_a_tape_can_let_a_call_through(stub, talk, router, talk_types):
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


def test_a_miss_is_raised_at_the_call_and_never_retried(stub, talk, router, talk_types):
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


def test_threads_get_their_own_answers(stub, record_then_replay, talk_types, router):
    ask, _ = talk_types

    def everything():
        with ThreadPoolExecutor(8) as pool:
            asked = [f"{number}" for number in range(80)]
            return list(pool.map(lambda text: stub.once(ask(text=text)).text, asked))

    live, replayed = record_then_replay(everything)
    assert replayed == live == [f"heard {number}" for number in range(80)]
    assert len(router.requests) == 160


def test_equal_requests_play_in_the_order_of_their_answers(stub, router, talk_types):
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


def test_a_request_that_cannot_be_serialized_fails_as_it_does_live(stub, talk, router):
    def failure():
        with pytest.raises(grpc.RpcError) as caught:
            stub.once("no message")
        return caught.value.code(), caught.value.details()

    outcomes = [failure()]
    for router.mode in ("record", "replay"):
        with activate(router):
            outcomes.append(failure())
    assert outcomes == [(grpc.StatusCode.INTERNAL, "Exception serializing request!")] * 3
    assert router.requests == []
    assert talk.hits == 0


def test_bytes_in_and_out_are_kept_as_they_are(connect, record_then_replay, router, talk_types):
    ask, said = talk_types
    call = connect().unary_unary("/multitrack.talk.Talk/Once")
    live, replayed = record_then_replay(lambda: call(ask(text="hello").SerializeToString()))
    assert replayed == live
    assert said.FromString(replayed).text == "heard hello"
    wire = base64.b64encode(ask(text="hello").SerializeToString()).decode()
    assert json.loads(router.requests[0].body) == {"@wire": wire}


def test_a_deserializer_of_ones_own_is_given_the_same_bytes(connect, record_then_replay, talk_types):
    ask, said = talk_types
    read = []

    def own(wire):
        read.append(wire)
        return said.FromString(wire).text

    call = connect().unary_unary("/multitrack.talk.Talk/Once", ask.SerializeToString, own)
    assert record_then_replay(lambda: call(ask(text="hello"))) == ("heard hello", "heard hello")
    assert read[0] == read[1]


def test_a_future_dropped_by_its_caller_ends_its_recording(stub, router, talk_types):
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


def test_waiting_for_an_answer_that_its_caller_did_not_wait_for_is_a_miss(stub, router, talk_types, monkeypatch):
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
        "the recorded request has no response: its caller gave up before one arrived, but is still waiting on replay\n"
        "  to record a response: pytest --record"
    )
    assert router.refused[0] is caught.value


def test_a_damaged_answer_is_told_and_not_taken_for_an_empty_one(stub, router, talk, talk_types):
    ask, _ = talk_types
    with activate(router):
        stub.once(ask(text="hello"))
    router.mode = "replay"
    ((key, answers),) = router.answers.items()
    intact = answers.pop()
    url = f"grpc://localhost:{talk.port}/multitrack.talk.Talk/Once"
    for body, reason in (
        (b'{"text": 3}', "not a valid multitrack.talk.Said: "),
        (b'{"text"', "Expecting ':' delimiter"),
        (b'{"@wire": "*"}', "@wire is not valid base64"),
    ):
        router.answers[key].append(intact.with_body(body))
        with activate(router), pytest.raises(CassetteMiss) as caught:
            stub.once(ask(text="hello"))
        assert str(caught.value).startswith(f"the recorded response to POST {url} cannot be read: {reason}")
        assert router.refused[-1] is caught.value
        assert str(caught.value).endswith("\n  restore the cassette, or record it again: pytest --record")
