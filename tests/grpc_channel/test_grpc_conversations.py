"""Calls that stream their requests, on both kinds of channels: recorded and matched message by message."""

from __future__ import annotations

import gc
import json
import queue
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import grpc
import pytest

from multitrack.errors import CassetteMiss
from multitrack.tape.active import activate
from multitrack.tape.interceptors.grpc import grpc_replay

TURNS = "x-multitrack-turns"
URL = "grpc://localhost:{port}/multitrack.talk.Talk/Chat"


@pytest.fixture
def short_stall(monkeypatch):
    monkeypatch.setattr(grpc_replay, "STALL_SECONDS", 0.2)


def send_and_receive(opened, text):
    opened.send(text)
    return opened.receive()


def find_turns(router):
    return [response.header(TURNS) for response in router.responses]


def find_sent_texts(router):
    return [[message["text"] for message in json.loads(request.with_sent_messages.body)] for request in router.requests]


def find_received_texts(router):
    return [[message["text"] for message in json.loads(response.body)] for response in router.responses]


def test_a_client_may_wait_for_each_response_before_its_next_request(chat, record_then_replay, router):
    def run_ping_pong():
        talk, said = chat(), []
        text = "a"
        for _ in range(3):
            talk.send(text)
            text = talk.receive()
            said.append(text)
        talk.close()
        assert talk.receive() is None
        return said, talk.read_status(), talk.done()

    live, replayed = record_then_replay(run_ping_pong)
    assert replayed == live
    assert replayed[0] == ["heard a", "heard heard a", "heard heard heard a"]
    assert replayed[1] == (grpc.StatusCode.OK, [(("x-talk", "initial"),)])
    assert find_sent_texts(router)[0] == find_sent_texts(router)[1] == ["a", "heard a", "heard heard a"]
    assert find_received_texts(router) == [replayed[0]]
    assert find_turns(router) == ["1 2 3 closed"]
    assert router.responses[0].ending == "complete"
    assert router.conversations[0].response == router.responses[0]


def test_a_client_may_send_all_requests_before_it_reads(chat, record_then_replay, router):
    def send_all_first():
        talk = chat()
        talk.send("listen")
        talk.send("b")
        talk.close()
        return talk.receive(), talk.receive()

    live, replayed = record_then_replay(send_all_first)
    assert replayed == live == ("heard listen and b", None)
    assert find_sent_texts(router)[0] == ["listen", "b"]


def test_a_response_is_not_replayed_before_its_requests_were_sent(chat, router):
    with activate(router):
        talk = chat()
        talk.send("listen")
        talk.send("b")
        assert talk.receive() == "heard listen and b"
        talk.close()
        assert talk.receive() is None
    router.mode = "replay"
    with activate(router):
        talk = chat()
        talk.send("listen")
        talk.send("b")
        assert talk.receive() == "heard listen and b"
        assert not talk.done()
        talk.close()
        assert talk.receive() is None
        assert talk.done()


def test_the_server_may_end_the_call_while_the_client_still_sends(chat, record_then_replay, router):
    def continue_after_hang_up():
        talk = chat()
        talk.send("a")
        said = [talk.receive()]
        talk.send("hang up")
        said.append(talk.receive())
        return said, talk.read_status()[0]

    live, replayed = record_then_replay(continue_after_hang_up)
    assert replayed == live == (["heard a", None], grpc.StatusCode.OK)
    assert find_turns(router) == ["1 2"]


def test_requests_after_the_end_of_the_call_are_not_matched(chat, router):
    for router.mode in ("record", "replay"):
        with activate(router):
            talk = chat()
            for text in ("a", "hang up", *(["more"] if router.mode == "replay" else [])):
                talk.send(text)
            assert talk.receive() == "heard a"
            assert talk.receive() is None
    assert router.violations == []


def test_a_failure_between_two_messages_is_replayed_at_the_same_position(chat, record_then_replay):
    def fail():
        talk = chat()
        talk.send("a")
        said = talk.receive()
        talk.send("fail")
        with pytest.raises(grpc.RpcError) as caught:
            talk.receive()
        error = caught.value
        return said, error.code(), error.details(), [name for name, _ in error.trailing_metadata()]

    live, replayed = record_then_replay(fail)
    assert replayed == live
    assert replayed[0] == "heard a"
    assert replayed[1] is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "grpc-status-details-bin" in replayed[3]


def test_a_cancelled_call_is_recorded_as_left(chat, record_then_replay, router):
    def cancel_early():
        talk = chat()
        talk.send("a")
        said = talk.receive()
        assert talk.cancel()
        assert talk.done()
        return said, talk.read_status()[0]

    live, replayed = record_then_replay(cancel_early)
    assert replayed == live == ("heard a", grpc.StatusCode.CANCELLED)
    assert [response.ending for response in router.responses] == ["left"]
    assert find_turns(router) == ["1"]
    assert router.violations == []


def test_reading_more_than_was_recorded_is_a_miss(chat, talk, router):
    with activate(router):
        opened = chat()
        opened.send("a")
        opened.receive()
        opened.cancel()
    router.mode = "replay"
    with activate(router):
        opened = chat()
        opened.send("a")
        assert opened.receive() == "heard a"
        with pytest.raises(CassetteMiss) as caught:
            opened.receive()
    assert str(caught.value) == (
        f"the recorded response to POST {URL.format(port=talk.port)} ends early, "
        "because the recorded client stopped reading; now the client reads more\n"
        "  to record all of it: pytest --record"
    )
    assert router.violations == [caught.value]


def test_a_call_still_open_when_the_tape_was_closed_can_be_replayed(chat, router):
    with activate(router):
        opened = chat()
        opened.send("a")
        assert opened.receive() == "heard a"
    router.recordings[0].close()
    assert opened.cancel()
    router.mode = "replay"
    with activate(router):
        opened = chat()
        opened.send("a")
        assert opened.receive() == "heard a"


@pytest.fixture
def recorded(chat, router):
    with activate(router):
        opened = chat()
        opened.send("a")
        opened.receive()
        opened.send("b")
        opened.receive()
        opened.close()
        opened.receive()
    router.mode = "replay"


def without_call_site(miss):
    return re.sub("  sent from: .*\n", "", str(miss))


def format_mismatch(talk, reason):
    return (
        f"POST {URL.format(port=talk.port)} stopped matching its recording\n"
        "  cassette: tape.yaml\n"
        f"  reason: {reason}\n"
        "  to record it: pytest --record"
    )


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize("at", [1, 2])
def test_a_different_message_is_a_miss_that_shows_the_difference(at, chat, talk, router):
    with activate(router):
        opened = chat()
        if at == 2:
            assert send_and_receive(opened, "a") == "heard a"
        with pytest.raises(CassetteMiss) as caught:
            send_and_receive(opened, "other")
    before = "ab"[at - 1]
    assert without_call_site(caught.value) == format_mismatch(
        talk,
        f"changed: message {at} differs from the recorded message (interaction 1) in 1 place\n"
        "    $.text\n"
        f'      recorded: "{before}"\n'
        '      sent: "other"',
    )
    assert router.violations == [caught.value]
    assert opened.done()


@pytest.mark.usefixtures("recorded")
def test_an_additional_message_is_a_miss(chat, talk, router):
    with activate(router):
        opened = chat()
        for text in "ab":
            send_and_receive(opened, text)
        with pytest.raises(CassetteMiss) as caught:
            send_and_receive(opened, "c")
    assert without_call_site(caught.value) == format_mismatch(
        talk, "the client sent message 3, but interaction 1 has 2 messages"
    )


@pytest.mark.usefixtures("recorded")
def test_a_missing_message_is_a_miss(chat, talk, router):
    def end(opened):
        opened.close()
        return opened.receive()

    with activate(router):
        opened = chat()
        send_and_receive(opened, "a")
        with pytest.raises(CassetteMiss) as caught:
            end(opened)
    assert without_call_site(caught.value) == format_mismatch(
        talk, "the client stopped after 1 message, but interaction 1 has 2 messages"
    )


@pytest.mark.usefixtures("recorded", "short_stall")
def test_waiting_for_a_response_that_needs_more_requests_is_a_miss_instead_of_a_deadlock(chat, talk, router):
    with activate(router):
        opened = chat()
        send_and_receive(opened, "a")
        with pytest.raises(CassetteMiss) as caught:
            opened.receive()
    assert without_call_site(caught.value) == format_mismatch(
        talk,
        "the client sent 1 message and waits for a response; in interaction 1, the response comes after more messages",
    )
    assert router.violations == [caught.value]


@pytest.mark.usefixtures("recorded")
def test_a_deadline_is_exceeded_while_nothing_is_sent(chat, router):
    with activate(router):
        opened = chat(timeout=0.2)
        opened.send("a")
        opened.receive()
        started = time.monotonic()
        with pytest.raises(grpc.RpcError) as caught:
            opened.receive()
    assert 0.1 < time.monotonic() - started < 5
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert caught.value.details() == "Deadline Exceeded"


@pytest.mark.usefixtures("recorded")
def test_a_recorded_call_is_replayed_once(chat, talk, router):
    with activate(router):
        opened = chat()
        opened.send("a")
        opened.receive()
        with pytest.raises(CassetteMiss, match=f"nothing recorded for POST {URL.format(port=talk.port)}"):
            chat().receive()


def test_calls_match_by_all_their_messages_in_any_order(caller, record_then_replay, router):
    """This includes calls whose first messages are equal."""
    order = [["a", "b"], ["a", "c"], ["a"], ["b", "a"]]

    def call_gather():
        results = {tuple(texts): caller("gather", *texts) for texts in order}
        results |= {("chat", *texts): caller("chat", *texts) for texts in order}
        order.reverse()
        return results

    live, replayed = record_then_replay(call_gather)
    assert replayed == live
    assert replayed["a", "b"][0].text == "a and b"
    assert [said.text for said in replayed["chat", "b", "a"][0]] == ["heard b", "heard a"]
    assert router.violations == []


def test_requests_after_the_response_are_not_required(caller, record_then_replay):
    live, replayed = record_then_replay(lambda: caller("gather", "a", "enough"))
    assert replayed == live
    assert replayed[0].text == "a and enough"


def test_endless_requests_end_with_the_response(connect, stub_of, record_then_replay, talk_types):
    ask, _ = talk_types
    stub = stub_of(connect())

    def endless():
        yield ask(text="a")
        while True:
            yield ask(text="enough")

    live, replayed = record_then_replay(lambda: stub.gather(endless()).text)
    assert replayed == live == "a and enough"


def test_the_caller_may_create_requests_after_the_call(connect, stub_of, record_then_replay, talk_types):
    ask, _ = talk_types
    stub = stub_of(connect())

    def call_gather():
        asks = queue.SimpleQueue()
        future = stub.gather.future(iter(asks.get, None))
        assert future.running()
        called = threading.Event()
        future.add_done_callback(lambda _: called.set())
        for message in (ask(text="a"), ask(text="b"), None):
            asks.put(message)
        assert called.wait(5)
        return future.result().text, future.code(), future.done(), future.cancel()

    live, replayed = record_then_replay(call_gather)
    assert replayed == live == ("a and b", grpc.StatusCode.OK, True, False)


def test_the_request_iterator_may_read_the_responses(connect, stub_of, record_then_replay, talk_types):
    ask, _ = talk_types
    stub = stub_of(connect())

    def run_chat():
        started = threading.Event()
        texts = []

        def asks():
            yield ask(text="a")
            started.wait(5)
            for _ in range(2):
                texts.append(next(call).text)
                yield ask(text=texts[-1])

        call = stub.chat(asks())
        started.set()
        deadline = time.monotonic() + 5
        while len(texts) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        return texts, next(call).text, next(call, None), call.code()

    live, replayed = record_then_replay(run_chat)
    assert replayed == live
    assert replayed[0] == ["heard a", "heard heard a"]


def test_concurrent_calls_get_their_own_responses(connect, stub_of, record_then_replay, talk_types, router):
    ask, _ = talk_types
    stub = stub_of(connect())

    def run_chat(name):
        asks = queue.SimpleQueue()
        call, texts = stub.chat(iter(asks.get, None)), []
        for text in ("listen", f"{name}", f"{name}!"):
            asks.put(ask(text=text))
            if text != "listen":
                texts.append(next(call).text)
        asks.put(None)
        return [*texts, next(call, None)]

    def run_all_chats():
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(run_chat, range(16)))

    live, replayed = record_then_replay(run_all_chats)
    assert replayed == live
    assert replayed[3] == ["heard listen and 3", "heard 3!", None]
    assert router.violations == []


def test_dropping_a_call_ends_it(connect, stub_of, router, talk_types):
    ask, _ = talk_types
    stub = stub_of(connect())
    for router.mode in ("record", "replay"):
        asks = queue.SimpleQueue()
        with activate(router):
            call = stub.chat(iter(asks.get, None))
            asks.put(ask(text="a"))
            assert next(call).text == "heard a"
            del call
            gc.collect()
        asks.put(None)
    assert [response.ending for response in router.responses] == ["left"]
    assert len(router.conversations) == 1


def test_a_call_cancelled_before_any_response_counts_as_replayed(chat, router):
    for router.mode in ("record", "replay"):
        with activate(router):
            opened = chat()
            opened.send("listen")
            assert opened.cancel()
    assert len(router.conversations) == 1


def test_an_unreadable_recording_is_reported(connect, stub_of, router, talk_types):
    ask, _ = talk_types
    stub = stub_of(connect())
    with activate(router):
        list(stub.chat(iter([ask(text="a")])))
    response = router.responses[0]
    router.recordings[0].response = replace(response, headers=((TURNS, "one"), *response.headers))
    router.mode = "replay"
    with activate(router), pytest.raises(CassetteMiss, match=r"interaction 1 cannot be read: invalid literal"):
        list(stub.chat(iter([ask(text="a")])))
