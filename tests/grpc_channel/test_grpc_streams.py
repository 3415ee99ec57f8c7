"""Calls that stream their responses or their requests."""

from __future__ import annotations

import gc
import json
import threading
import time

import grpc
import pytest
from google.api_core import exceptions, grpc_helpers

from multitrack.errors import CassetteMiss, LiveCall
from multitrack.tape.active import activate

SINGLE_THREADED = {grpc.experimental.ChannelOptions.SingleThreadedUnaryStream: 1}


@pytest.fixture(params=[{}, SINGLE_THREADED], ids=["spin thread", "single thread"])
def stub(request, connect, stub_of):
    return stub_of(connect(**request.param))


def test_a_stream_is_replayed_message_by_message(stub, record_then_replay, talk_types, router):
    ask, said = talk_types

    def watch_stream():
        stream = stub.watch(ask(text="hello"))
        for kind in (grpc.Call, grpc.Future):
            assert isinstance(stream, kind)
        assert iter(stream) is stream
        first = next(stream)
        seen = [first, stream.is_active(), stream.running(), stream.done(), stream.cancelled()]
        notifications = []
        assert stream.add_callback(lambda: notifications.append("callback"))
        stream.add_done_callback(lambda call: notifications.append(call is stream))
        seen += stream
        seen += [notifications, stream.code(), stream.details(), stream.time_remaining()]
        seen += [tuple(map(tuple, part())) for part in (stream.initial_metadata, stream.trailing_metadata)]
        seen += [stream.is_active(), stream.done(), stream.cancel(), stream.exception(), stream.traceback()]
        assert not stream.add_callback(lambda: None)
        assert next(stream, None) is None
        return seen

    live, replayed = record_then_replay(watch_stream)
    assert replayed == live
    assert replayed[0] == said(text="hello 1", turn=1)
    (response,) = router.responses
    assert response.ending == "complete"
    assert json.loads(response.body) == [{"text": f"hello {turn}", "turn": f"{turn}"} for turn in (1, 2, 3)]
    assert response.headers == (
        ("content-type", "application/grpc"),
        ("x-talk", "initial"),
        ("grpc-status", "0"),
        ("x-cost", "3"),
    )


def test_each_message_arrives_while_it_is_recorded(stub, talk, router, talk_types):
    ask, _ = talk_types
    with activate(router):
        stream = stub.watch(ask(text="pause"))
        bodies = []
        for turn in (1, 2, 3):
            assert next(stream).turn == turn  # the server waits for `go_on` before it sends the next message
            bodies.append(b"".join(router.recordings[0].chunks).decode())
            talk.go_on.release()
        assert next(stream, None) is None
    assert [body.count("text") for body in bodies] == [1, 2, 3]
    assert router.responses[0].body.decode() == bodies[-1] + "]"


@pytest.mark.parametrize("text", ["fail", "break"])
def test_a_failure_of_a_stream_is_replayed_at_the_same_position(text, stub, record_then_replay, talk_types, router):
    ask, _ = talk_types

    def failure():
        stream, seen = stub.watch(ask(text=text)), []
        with pytest.raises(grpc.RpcError) as caught:
            seen.extend(said.turn for said in stream)
        error = caught.value
        assert isinstance(error, grpc.Call)
        assert isinstance(error, grpc.Future)
        with pytest.raises(grpc.RpcError):
            next(stream)
        with pytest.raises(grpc.RpcError):
            stream.result()
        mapped = exceptions.from_grpc_error(error)
        details = [detail.violations[0].description for detail in mapped.details]
        return seen, stream.code(), error.code(), error.details(), type(mapped), details

    live, replayed = record_then_replay(failure)
    assert replayed[1:] == live[1:]
    assert replayed[1:] == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "Quotä\nexceeded 100%",
        exceptions.ResourceExhausted,
        ["10 per minute"],
    )
    # a failure may overtake the messages before it; only those that reached the caller are recorded
    assert replayed[0] == live[0]
    (response,) = router.responses
    assert response.ending == "complete"
    assert [int(message["turn"]) for message in json.loads(response.body)] == live[0]
    assert response.header("grpc-status") == "8"


def test_the_first_message_that_api_core_prefetches_is_replayed(stub, record_then_replay, talk_types):
    ask, _ = talk_types

    def watch_stream():
        watch = grpc_helpers.wrap_errors(stub.watch)
        stream = watch(ask(text="hello"))
        with pytest.raises(exceptions.ResourceExhausted) as caught:
            watch(ask(text="fail"))
        return [said.turn for said in stream], stream.code(), caught.value.message

    live, replayed = record_then_replay(watch_stream)
    assert replayed == live == ([1, 2, 3], grpc.StatusCode.OK, "Quotä\nexceeded 100%")


def abandon_by_cancel(stream):
    assert next(stream).turn == 1
    assert stream.cancel()
    assert not stream.cancel()
    with pytest.raises(grpc.RpcError) as caught:
        next(stream)
    assert caught.value.code() is grpc.StatusCode.CANCELLED
    assert caught.value.details() == "Locally cancelled by application!"
    assert stream.code() is grpc.StatusCode.CANCELLED
    assert stream.cancelled()
    with pytest.raises(grpc.FutureCancelledError):
        stream.result()


def abandon_by_break(stream):
    for said in stream:
        assert said.turn == 1
        break


@pytest.mark.parametrize("abandon", [abandon_by_cancel, abandon_by_break])
def test_a_stream_that_is_not_read_to_its_end_is_recorded_as_left(abandon, stub, talk, router, talk_types):
    ask, _ = talk_types
    with activate(router):
        abandon(stub.watch(ask(text="pause")))
        gc.collect()
    (response,) = router.responses
    assert response.ending == "left"
    assert json.loads(response.body) == [{"text": "pause 1", "turn": "1"}]
    assert response.header("grpc-status") is None
    talk.stop()
    router.mode = "replay"
    with activate(router):
        abandon(stub.watch(ask(text="pause")))
    assert talk.hits == 1


def test_reading_more_than_was_recorded_is_a_miss(stub, talk, router, talk_types):
    ask, _ = talk_types
    with activate(router):
        abandon_by_break(stub.watch(ask(text="pause")))
        gc.collect()
    router.mode = "replay"
    with activate(router):
        stream = stub.watch(ask(text="pause"))
        assert next(stream).turn == 1
        with pytest.raises(CassetteMiss) as caught:
            next(stream)
    assert str(caught.value) == (
        f"the recorded response to POST grpc://localhost:{talk.port}/multitrack.talk.Talk/Watch ends early, "
        "because the recorded client stopped reading; now the client reads more\n"
        "  to record all of it: pytest --record"
    )
    assert router.violations == [caught.value]


def test_a_stream_still_open_when_the_tape_was_closed_can_be_replayed(stub, router, talk_types):
    ask, _ = talk_types
    with activate(router):
        stream = stub.watch(ask(text="pause"))
        assert next(stream).turn == 1
    (recording,) = router.recordings
    assert recording.response is None
    recording.close()
    router.mode = "replay"
    with activate(router):
        assert next(stub.watch(ask(text="pause"))).turn == 1
    assert stream.cancel()


def test_a_broken_stream_is_replayed_with_its_messages_and_its_status(stub, talk, router, talk_types):
    ask, _ = talk_types
    with activate(router):
        stream = stub.watch(ask(text="pause"))
        assert next(stream).turn == 1
        stopping = threading.Timer(0.05, lambda: talk._server.stop(0))
        stopping.start()
        with pytest.raises(grpc.RpcError) as live:
            next(stream)
        stopping.join()
    (response,) = router.responses
    assert response.ending == "broken"
    assert json.loads(response.body) == [{"text": "pause 1", "turn": "1"}]
    router.mode = "replay"
    with activate(router):
        stream = stub.watch(ask(text="pause"))
        assert next(stream).turn == 1
        with pytest.raises(grpc.RpcError) as replayed:
            next(stream)
    assert replayed.value.code() is live.value.code() is grpc.StatusCode.UNAVAILABLE
    assert replayed.value.details() == live.value.details()


def test_a_stream_that_is_never_read_is_recorded_as_left(stub, router, talk_types):
    ask, _ = talk_types
    with activate(router):
        stub.watch(ask(text="hello"))
        gc.collect()
    assert [(response.ending, response.body) for response in router.responses] == [("left", b"[]")]


def create_requests(ask, *texts):
    for text in texts:
        yield ask(text=text)


def gather(stub, requests):
    return stub.gather(requests)


def gather_with_call(stub, requests):
    response, call = stub.gather.with_call(request_iterator=requests)
    assert call.code() is grpc.StatusCode.OK
    return response


def gather_future(stub, requests):
    return stub.gather.future(requests).result(timeout=5)


@pytest.mark.parametrize("call_style", [gather, gather_with_call, gather_future])
def test_streamed_requests_are_recorded_as_one_request(call_style, stub, record_then_replay, talk_types, router):
    ask, said = talk_types
    live, replayed = record_then_replay(lambda: call_style(stub, create_requests(ask, "a", "b")))
    assert replayed == live == said(text="a and b")
    assert json.loads(router.requests[0].with_sent_messages.body) == [{"text": "a"}, {"text": "b"}]
    router.mode = "replay"
    with activate(router), pytest.raises(CassetteMiss):
        call_style(stub, create_requests(ask, "b", "a"))


def test_an_empty_stream_of_requests_is_recorded_as_an_empty_array(stub, record_then_replay, talk_types, router):
    _, said = talk_types
    live, replayed = record_then_replay(lambda: stub.gather(iter(())))
    assert replayed == live == said()
    assert router.requests[0].with_sent_messages.body == b"[]"


@pytest.mark.parametrize("mode", ["record", "replay"])
def test_the_callback_of_a_future_runs_if_the_server_is_down(mode, stub, talk, router, talk_types):
    ask, _ = talk_types
    talk.stop()
    called, codes = threading.Event(), []
    if mode == "replay":
        with activate(router), pytest.raises(grpc.RpcError):
            stub.gather(create_requests(ask, "a"))
        with activate(router), pytest.raises(grpc.RpcError):
            stub.once(ask(text="a"))
    router.mode = mode
    with activate(router):
        for call in (stub.gather.future(create_requests(ask, "a")), stub.once.future(ask(text="a"))):
            called.clear()
            call.add_done_callback(lambda finished: (codes.append(finished.code()), called.set()))
            assert called.wait(5)
    assert codes == [grpc.StatusCode.UNAVAILABLE] * 2
    assert [response.ending for response in router.responses] == ["broken"] * 2


def create_unserializable(ask):
    yield ask(text="a")
    yield "not a message"


def create_raising(ask):
    yield ask(text="a")
    raise KeyError("b")


def create_violating(ask):
    yield ask(text="a")
    raise LiveCall("blocked a socket")


def test_a_violation_in_the_request_iterator_ends_the_call(stub, router, talk_types):
    ask, _ = talk_types
    with activate(router), pytest.raises(grpc.RpcError) as caught:
        stub.gather(create_violating(ask), timeout=5)
    assert caught.value.details() == "Exception iterating requests!"
    router.mode = "replay"
    with activate(router), pytest.raises(LiveCall):
        stub.gather(create_violating(ask))


@pytest.mark.parametrize("requests", [create_unserializable, create_raising])
@pytest.mark.parametrize("call_style", [gather, gather_future, lambda stub, requests: list(stub.chat(requests))])
def test_a_failure_in_the_request_iterator_has_the_status_of_a_live_call(
    call_style, requests, stub, record_then_replay, router, talk_types
):
    ask, _ = talk_types

    def failure():
        with pytest.raises(grpc.RpcError) as caught:
            call_style(stub, requests(ask))
        return caught.value.code(), caught.value.details()

    live = failure()
    recorded, replayed = record_then_replay(failure)
    assert replayed == recorded == live
    assert replayed in [
        (grpc.StatusCode.UNKNOWN, "Exception iterating requests!"),
        (grpc.StatusCode.INTERNAL, "Exception serializing request!"),
    ]
    assert json.loads(router.requests[0].with_sent_messages.body) == [{"text": "a"}]


def create_failing_late(ask, seconds):
    yield ask(text="listen")
    time.sleep(seconds)
    raise KeyError("b")


def test_a_request_iterator_that_fails_late_has_the_recorded_status(stub, router, talk_types):
    ask, _ = talk_types
    for router.mode, seconds in (("record", 0.0), ("replay", 0.2)):
        with activate(router), pytest.raises(grpc.RpcError) as caught:
            list(stub.chat(create_failing_late(ask, seconds)))
        assert caught.value.details() == "Exception iterating requests!"


def test_requests_that_no_longer_fail_are_a_miss(stub, router, talk_types):
    ask, _ = talk_types
    with activate(router), pytest.raises(grpc.RpcError):
        list(stub.chat(create_failing_late(ask, 0.0)))
    router.mode = "replay"
    with activate(router), pytest.raises(CassetteMiss, match="ends early"):
        list(stub.chat(create_requests(ask, "listen")))
