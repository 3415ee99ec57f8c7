"""Calls that stream their requests, on channels of both kinds: recorded as they go, and followed step by step."""

from __future__ import annotations

import gc
import json
import queue
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
def impatient(monkeypatch):
    monkeypatch.setattr(grpc_replay, "STALL_SECONDS", 0.2)


def reply(opened, text):
    opened.send(text)
    return opened.hear()


def turns(router):
    return [response.header(TURNS) for response in router.responses]


def sent(router):
    return [[message["text"] for message in json.loads(request.with_sent_messages.body)] for request in router.requests]


def heard(router):
    return [[message["text"] for message in json.loads(response.body)] for response in router.responses]


def test_each_answer_may_be_waited_for_before_the_next_question(chat, record_then_replay, router):
    def ping_pong():
        talk, said = chat(), []
        text = "a"
        for _ in range(3):
            talk.send(text)
            text = talk.hear()
            said.append(text)
        talk.close()
        assert talk.hear() is None
        return said, talk.told(), talk.done()

    live, replayed = record_then_replay(ping_pong)
    assert replayed == live
    assert replayed[0] == ["heard a", "heard heard a", "heard heard heard a"]
    assert replayed[1] == (grpc.StatusCode.OK, [(("x-talk", "initial"),)])
    assert sent(router)[0] == sent(router)[1] == ["a", "heard a", "heard heard a"]
    assert heard(router) == [replayed[0]]
    assert turns(router) == ["1 2 3 closed"]
    assert router.responses[0].ending == "complete"
    assert router.conversations[0].response == router.responses[0]


def test_all_may_be_sent_before_anything_is_read(chat, record_then_replay, router):
    def pipelined():
        talk = chat()
        talk.send("listen")
        talk.send("b")
        talk.close()
        return talk.hear(), talk.hear()

    live, replayed = record_then_replay(pipelined)
    assert replayed == live == ("heard listen and b", None)
    assert sent(router)[0] == ["listen", "b"]


def test_no_answer_comes_before_the_questions_that_it_answers(chat, router):
    with activate(router):
        talk = chat()
        talk.send("listen")
        talk.send("b")
        assert talk.hear() == "heard listen and b"
        talk.close()
        assert talk.hear() is None
    router.mode = "replay"
    with activate(router):
        talk = chat()
        talk.send("listen")
        talk.send("b")
        assert talk.hear() == "heard listen and b"
        assert not talk.done()
        talk.close()
        assert talk.hear() is None
        assert talk.done()


def test_the_server_may_end_it_while_the_client_goes_on(chat, record_then_replay, router):
    def hung_up():
        talk = chat()
        talk.send("a")
        said = [talk.hear()]
        talk.send("hang up")
        said.append(talk.hear())
        return said, talk.told()[0]

    live, replayed = record_then_replay(hung_up)
    assert replayed == live == (["heard a", None], grpc.StatusCode.OK)
    assert turns(router) == ["1 2"]


def test_what_is_sent_after_the_server_ended_it_may_differ(chat, router):
    for router.mode in ("record", "replay"):
        with activate(router):
            talk = chat()
            for text in ("a", "hang up", *(["more"] if router.mode == "replay" else [])):
                talk.send(text)
            assert talk.hear() == "heard a"
            assert talk.hear() is None
    assert router.refused == []


def test_a_failure_in_the_middle_comes_again_in_the_middle(chat, record_then_replay):
    def failure():
        talk = chat()
        talk.send("a")
        said = talk.hear()
        talk.send("fail")
        with pytest.raises(grpc.RpcError) as caught:
            talk.hear()
        error = caught.value
        return said, error.code(), error.details(), [name for name, _ in error.trailing_metadata()]

    live, replayed = record_then_replay(failure)
    assert replayed == live
    assert replayed[0] == "heard a"
    assert replayed[1] is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "grpc-status-details-bin" in replayed[3]


def test_a_conversation_left_early_is_recorded_as_left(chat, record_then_replay, router):
    def left():
        talk = chat()
        talk.send("a")
        said = talk.hear()
        assert talk.cancel()
        assert talk.done()
        return said, talk.told()[0]

    live, replayed = record_then_replay(left)
    assert replayed == live == ("heard a", grpc.StatusCode.CANCELLED)
    assert [response.ending for response in router.responses] == ["left"]
    assert turns(router) == ["1"]
    assert router.refused == []


def test_reading_on_where_the_recording_was_left_is_a_miss(chat, talk, router):
    with activate(router):
        opened = chat()
        opened.send("a")
        opened.hear()
        opened.cancel()
    router.mode = "replay"
    with activate(router):
        opened = chat()
        opened.send("a")
        assert opened.hear() == "heard a"
        with pytest.raises(CassetteMiss) as caught:
            opened.hear()
    assert str(caught.value) == (
        f"the recorded response to POST {URL.format(port=talk.port)} ends early: "
        "its caller stopped reading, but reads more on replay\n"
        "  to record all of it: pytest --record"
    )
    assert router.refused == [caught.value]


def test_a_conversation_still_open_when_the_tape_ended_can_be_replayed(chat, router):
    with activate(router):
        opened = chat()
        opened.send("a")
        assert opened.hear() == "heard a"
    router.recordings[0].close()
    assert opened.cancel()
    router.mode = "replay"
    with activate(router):
        opened = chat()
        opened.send("a")
        assert opened.hear() == "heard a"


@pytest.fixture
def recorded(chat, router):
    with activate(router):
        opened = chat()
        opened.send("a")
        opened.hear()
        opened.send("b")
        opened.hear()
        opened.close()
        opened.hear()
    router.mode = "replay"


def strayed(talk, reason):
    return (
        f"POST {URL.format(port=talk.port)} stopped matching its recording\n"
        "  cassette: tape.yaml\n"
        f"  reason: {reason}\n"
        "  to record it: pytest --record"
    )


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize("at", [1, 2])
def test_another_message_is_a_miss_that_shows_the_difference(at, chat, talk, router):
    with activate(router):
        opened = chat()
        if at == 2:
            assert reply(opened, "a") == "heard a"
        with pytest.raises(CassetteMiss) as caught:
            reply(opened, "other")
    before = "ab"[at - 1]
    assert str(caught.value) == strayed(
        talk,
        f"changed: message {at} differs from that of interaction 1 in 1 place\n"
        "    $.text\n"
        f'      recorded: "{before}"\n'
        '      sent: "other"',
    )
    assert router.refused == [caught.value]
    assert opened.done()


@pytest.mark.usefixtures("recorded")
def test_a_message_too_many_is_a_miss(chat, talk, router):
    with activate(router):
        opened = chat()
        for text in "ab":
            reply(opened, text)
        with pytest.raises(CassetteMiss) as caught:
            reply(opened, "c")
    assert str(caught.value) == strayed(talk, "it sent message 3, and interaction 1 has 2")


@pytest.mark.usefixtures("recorded")
def test_a_message_too_few_is_a_miss(chat, talk, router):
    def ended(opened):
        opened.close()
        return opened.hear()

    with activate(router):
        opened = chat()
        reply(opened, "a")
        with pytest.raises(CassetteMiss) as caught:
            ended(opened)
    assert str(caught.value) == strayed(talk, "it ended after 1 message, and interaction 1 has 2")


@pytest.mark.usefixtures("recorded", "impatient")
def test_waiting_for_what_came_after_more_was_sent_is_a_miss_and_no_dead_lock(chat, talk, router):
    with activate(router):
        opened = chat()
        reply(opened, "a")
        with pytest.raises(CassetteMiss) as caught:
            opened.hear()
    assert str(caught.value) == strayed(
        talk, "it waits for a response after 1 message, but interaction 1 has more messages before it"
    )
    assert router.refused == [caught.value]


@pytest.mark.usefixtures("recorded")
def test_a_deadline_passes_while_nothing_is_sent(chat, router):
    with activate(router):
        opened = chat(timeout=0.2)
        opened.send("a")
        opened.hear()
        started = time.monotonic()
        with pytest.raises(grpc.RpcError) as caught:
            opened.hear()
    assert 0.1 < time.monotonic() - started < 5
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert caught.value.details() == "Deadline Exceeded"


@pytest.mark.usefixtures("recorded")
def test_a_conversation_is_played_once(chat, talk, router):
    with activate(router):
        opened = chat()
        opened.send("a")
        opened.hear()
        with pytest.raises(CassetteMiss, match=f"nothing recorded for POST {URL.format(port=talk.port)}"):
            chat().hear()


def test_the_recording_is_found_by_all_that_is_sent_in_any_order(caller, record_then_replay, router):
    """Also among those that begin alike."""
    order = [["a", "b"], ["a", "c"], ["a"], ["b", "a"]]

    def gathered():
        results = {tuple(texts): caller("gather", *texts) for texts in order}
        results |= {("chat", *texts): caller("chat", *texts) for texts in order}
        order.reverse()
        return results

    live, replayed = record_then_replay(gathered)
    assert replayed == live
    assert replayed["a", "b"][0].text == "a and b"
    assert [said.text for said in replayed["chat", "b", "a"][0]] == ["heard b", "heard a"]
    assert router.refused == []


def test_requests_after_the_answer_are_not_asked_for(caller, record_then_replay):
    live, replayed = record_then_replay(lambda: caller("gather", "a", "enough"))
    assert replayed == live
    assert replayed[0].text == "a and enough"


def test_endless_requests_end_with_the_answer(connect, stub_of, record_then_replay, talk_types):
    ask, _ = talk_types
    stub = stub_of(connect())

    def endless():
        yield ask(text="a")
        while True:
            yield ask(text="enough")

    live, replayed = record_then_replay(lambda: stub.gather(endless()).text)
    assert replayed == live == "a and enough"


def test_the_caller_may_make_the_requests_after_the_call(connect, stub_of, record_then_replay, talk_types):
    ask, _ = talk_types
    stub = stub_of(connect())

    def gathered():
        asks = queue.SimpleQueue()
        future = stub.gather.future(iter(asks.get, None))
        assert future.running()
        told = threading.Event()
        future.add_done_callback(lambda _: told.set())
        for message in (ask(text="a"), ask(text="b"), None):
            asks.put(message)
        assert told.wait(5)
        return future.result().text, future.code(), future.done(), future.cancel()

    live, replayed = record_then_replay(gathered)
    assert replayed == live == ("a and b", grpc.StatusCode.OK, True, False)


def test_requests_may_be_made_of_the_answers_by_the_iterator_itself(connect, stub_of, record_then_replay, talk_types):
    ask, _ = talk_types
    stub = stub_of(connect())

    def talked():
        begun = threading.Event()
        texts = []

        def asks():
            yield ask(text="a")
            begun.wait(5)
            for _ in range(2):
                texts.append(next(call).text)
                yield ask(text=texts[-1])

        call = stub.chat(asks())
        begun.set()
        deadline = time.monotonic() + 5
        while len(texts) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        return texts, next(call).text, next(call, None), call.code()

    live, replayed = record_then_replay(talked)
    assert replayed == live
    assert replayed[0] == ["heard a", "heard heard a"]


def test_conversations_at_once_get_their_own_answers(connect, stub_of, record_then_replay, talk_types, router):
    ask, _ = talk_types
    stub = stub_of(connect())

    def talked(name):
        asks = queue.SimpleQueue()
        call, texts = stub.chat(iter(asks.get, None)), []
        for text in ("listen", f"{name}", f"{name}!"):
            asks.put(ask(text=text))
            if text != "listen":
                texts.append(next(call).text)
        asks.put(None)
        return [*texts, next(call, None)]

    def everything():
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(talked, range(16)))

    live, replayed = record_then_replay(everything)
    assert replayed == live
    assert replayed[3] == ["heard listen and 3", "heard 3!", None]
    assert router.refused == []


def test_a_dropped_conversation_is_over(connect, stub_of, router, talk_types):
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


def test_what_was_left_before_any_answer_counts_as_played(chat, router):
    for router.mode in ("record", "replay"):
        with activate(router):
            opened = chat()
            opened.send("listen")
            assert opened.cancel()
    assert len(router.conversations) == 1


def test_a_recording_that_cannot_be_read_is_told(connect, stub_of, router, talk_types):
    ask, _ = talk_types
    stub = stub_of(connect())
    with activate(router):
        list(stub.chat(iter([ask(text="a")])))
    response = router.responses[0]
    router.recordings[0].response = replace(response, headers=((TURNS, "one"), *response.headers))
    router.mode = "replay"
    with activate(router), pytest.raises(CassetteMiss, match=r"interaction 1 cannot be read: invalid literal"):
        list(stub.chat(iter([ask(text="a")])))
