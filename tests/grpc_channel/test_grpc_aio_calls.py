"""Calls on an asyncio channel are gRPC's own, and each of their methods returns the same live and on replay."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import textwrap

import grpc
import pytest
from grpc import aio

from multitrack.errors import CassetteMiss
from multitrack.tape.active import activate

OK, CANCELLED = grpc.StatusCode.OK, grpc.StatusCode.CANCELLED


@pytest.fixture
def run_twice(async_connect, stub_of, record_then_replay):
    """A function that runs a coroutine function with a stub, live and on replay, and returns both results."""

    def run(action):
        async def run_with_channel():
            async with async_connect() as channel:
                return await action(stub_of(channel))

        return record_then_replay(lambda: asyncio.run(run_with_channel()))

    return run


@pytest.fixture
def run(async_connect, stub_of, router):
    """A function that runs a coroutine function with a stub once, while the tape is open."""

    def run(action, mode="record"):
        async def run_with_channel():
            async with async_connect() as channel:
                return await action(stub_of(channel))

        router.mode = mode
        with activate(router):
            return asyncio.run(run_with_channel())

    return run


async def read_call(call):
    return (
        await call.code(),
        await call.details(),
        tuple(await call.initial_metadata()),
        tuple(await call.trailing_metadata()),
        call.done(),
        call.cancelled(),
        call.cancel(),
        call.time_remaining(),
    )


def test_all_methods_of_a_unary_call_are_replayed(run_twice, talk_types):
    ask, said = talk_types

    async def action(stub):
        call = stub.once(ask(text="hello"))
        assert isinstance(call, aio.UnaryUnaryCall)
        assert isinstance(call, aio.Call)
        before = [call.done(), call.cancelled(), call.time_remaining()]
        finished = []
        call.add_done_callback(finished.append)
        await call.wait_for_connection()
        response = await call
        assert finished == [call]
        call.add_done_callback(finished.append)
        assert finished == [call, call]
        assert await call is response
        return [*before, response, *await read_call(call), await call.debug_error_string()]

    recorded, replayed = run_twice(action)
    assert replayed == recorded
    assert replayed[3] == said(text="heard hello", turn=2**53 + 1)
    assert replayed[6] == (("x-talk", "initial"), ("x-talk-bin", b"\x00\xff"))
    assert replayed[7] == (("x-cost", "3"), ("x-cost-bin", b"\x01\xfe"))


def test_reading_the_status_or_metadata_of_a_call_waits_for_its_response(run_twice, talk_types):
    ask, _ = talk_types

    async def action(stub):
        parts = ("code", "details", "initial_metadata", "trailing_metadata")
        first = [await getattr(stub.once(ask(text="hello")), part)() for part in parts]
        call = stub.once(ask(text="fail"))
        assert await call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        return [list(part) if isinstance(part, aio.Metadata) else part for part in first]

    recorded, replayed = run_twice(action)
    assert replayed == recorded
    assert replayed[0] is OK


def test_time_remaining_counts_down_to_the_deadline(run_twice, talk_types):
    ask, _ = talk_types

    async def action(stub):
        call = stub.once(ask(text="hello"), timeout=60)
        before = call.time_remaining()
        await call
        return 50 < before <= 60, 50 < call.time_remaining() <= before

    assert run_twice(action) == ((True, True), (True, True))


@pytest.mark.parametrize("text", ["fail", "late failure"])
def test_a_replayed_error_is_an_error_of_grpc(text, run_twice, talk_types):
    ask, _ = talk_types

    async def action(stub):
        call = stub.once(ask(text=text))
        with pytest.raises(aio.AioRpcError) as caught:
            await call
        error = caught.value
        assert await call.code() is error.code()
        with pytest.raises(aio.AioRpcError):
            await call.wait_for_connection()
        lines = str(error).splitlines()
        return lines[:2], error.details(), tuple(error.initial_metadata()), tuple(error.trailing_metadata())

    recorded, replayed = run_twice(action)
    assert replayed == recorded
    assert replayed[0][0] == "<AioRpcError of RPC that terminated with:"


def test_a_stream_can_be_iterated_or_read(run_twice, talk_types):
    ask, said = talk_types

    async def action(stub):
        call = stub.watch(ask(text="hello"))
        assert isinstance(call, aio.UnaryStreamCall)
        finished = []
        call.add_done_callback(finished.append)
        seen = []
        async for message in call:
            seen.append((message, call.done(), call.cancelled()))
            break
        seen += [message async for message in call]
        assert finished == [call]
        seen += await read_call(call)
        call = stub.watch(ask(text="read"))
        seen += [await call.read(), await call.read(), await call.read()]
        seen += [await call.read() is aio.EOF, await call.read() is aio.EOF, await call.code()]
        return seen

    recorded, replayed = run_twice(action)
    assert replayed == recorded
    assert replayed[0] == (said(text="hello 1", turn=1), False, False)


def test_reading_and_iterating_cannot_be_mixed(run_twice, talk_types):
    ask, _ = talk_types

    async def action(stub):
        call = stub.watch(ask(text="hello"))
        await call.read()
        with pytest.raises(aio.UsageError):
            aiter(call)
        return [(await call.read()).turn, (await call.read()).turn]

    assert run_twice(action) == ([2, 3], [2, 3])


@pytest.mark.parametrize("text", ["fail", "break"])
def test_a_failure_of_a_stream_is_replayed_at_the_same_position(text, run_twice, talk_types):
    ask, _ = talk_types

    async def action(stub):
        seen = []

        async def watch():
            call = stub.watch(ask(text=text))
            await call.wait_for_connection()
            seen.append("connected")
            seen.extend([message.turn async for message in call])

        with pytest.raises(aio.AioRpcError) as caught:
            await watch()
        return seen, caught.value.code(), caught.value.details()

    recorded, replayed = run_twice(action)
    # a failure may overtake the messages before it; only those that reached the caller are recorded
    assert replayed == recorded
    assert (replayed[0] == []) == (text == "fail")


def test_each_message_arrives_while_it_is_recorded(run, talk, router, talk_types):
    ask, _ = talk_types

    async def action(stub):
        call, bodies = stub.watch(ask(text="pause")), []
        for turn in (1, 2, 3):
            assert (await call.read()).turn == turn  # the server waits for `go_on` before it sends the next message
            bodies.append(b"".join(router.recordings[0].chunks).decode())
            talk.go_on.release()
        assert await call.read() is aio.EOF
        return bodies

    bodies = run(action)
    assert [body.count("text") for body in bodies] == [1, 2, 3]
    assert router.responses[0].body.decode() == bodies[-1] + "]"


async def abandon_by_cancel(stub, ask):
    call = stub.watch(ask(text="pause"))
    assert (await call.read()).turn == 1
    assert call.cancel()
    assert not call.cancel()
    assert call.cancelled()
    with pytest.raises(asyncio.CancelledError):
        await call.read()
    return await call.code(), await call.details()


async def abandon_by_break(stub, ask):
    call = stub.watch(ask(text="pause"))
    async for message in call:
        assert message.turn == 1
        break
    del call, message
    gc.collect()


async def abandon_by_timeout(stub, ask):
    async def watch():
        async for message in stub.watch(ask(text="pause")):
            assert message.turn == 1
            await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(watch(), 0.2)
    gc.collect()


@pytest.mark.parametrize("abandon", [abandon_by_cancel, abandon_by_break, abandon_by_timeout])
def test_a_stream_that_is_not_read_to_its_end_is_recorded_as_left(abandon, run_twice, router, talk_types):
    ask, _ = talk_types
    recorded, replayed = run_twice(lambda stub: abandon(stub, ask))
    assert replayed == recorded
    assert recorded in (None, (CANCELLED, "Locally cancelled by application!"))
    (response,) = router.responses
    assert response.ending == "left"
    assert json.loads(response.body) == [{"text": "pause 1", "turn": "1"}]
    assert router.violations == []


def test_reading_more_than_was_recorded_is_a_miss(run, router, talk, talk_types):
    ask, _ = talk_types

    async def read_more(stub):
        call = stub.watch(ask(text="pause"))
        assert (await call.read()).turn == 1
        with pytest.raises(CassetteMiss) as caught:
            await call.read()
        assert call.done()
        return caught.value

    run(lambda stub: abandon_by_cancel(stub, ask))
    miss = run(read_more, "replay")
    assert str(miss) == (
        f"the recorded response to POST grpc://localhost:{talk.port}/multitrack.talk.Talk/Watch ends early, "
        "because the recorded client stopped reading; now the client reads more\n"
        "  to record all of it: pytest --record"
    )
    assert router.violations == [miss]


def test_a_broken_stream_is_replayed_with_its_messages_and_its_status(run, talk, router, talk_types):
    ask, _ = talk_types

    async def broken(stub):
        call = stub.watch(ask(text="pause"))
        assert (await call.read()).turn == 1
        if router.mode == "record":
            asyncio.get_running_loop().call_later(0.05, lambda: talk._server.stop(0))
        with pytest.raises(aio.AioRpcError) as caught:
            await call.read()
        return caught.value.code(), caught.value.details()

    recorded, replayed = run(broken), run(broken, "replay")
    assert replayed == recorded
    assert replayed[0] is grpc.StatusCode.UNAVAILABLE
    assert router.responses[0].ending == "broken"


def test_requests_can_be_written_or_iterated(run_twice, talk_types, router):
    ask, said = talk_types

    async def asks(*texts):
        for text in texts:
            yield ask(text=text)

    async def action(stub):
        call = stub.gather()
        assert isinstance(call, aio.StreamUnaryCall)
        await call.wait_for_connection()
        await call.write(ask(text="a"))
        await call.write(ask(text="b"))
        await call.done_writing()
        await call.done_writing()
        with pytest.raises(asyncio.InvalidStateError):
            await call.write(ask(text="c"))
        results = [await call, *await read_call(call)]
        with pytest.raises(asyncio.InvalidStateError):
            await call.write(ask(text="c"))
        call = stub.gather(asks("c", "d"))
        with pytest.raises(aio.UsageError):
            await call.write(ask(text="e"))
        results.append(await call)
        call = stub.chat(asks("e", "f"))
        assert isinstance(call, aio.StreamStreamCall)
        results += [message async for message in call]
        return [*results, *await read_call(call)]

    recorded, replayed = run_twice(action)
    assert replayed == recorded
    assert replayed[0] == said(text="a and b")
    assert [request.with_sent_messages.body for request in router.requests[:3]] == [
        b'[{"text": "a"}, {"text": "b"}]',
        b'[{"text": "c"}, {"text": "d"}]',
        b'[{"text": "e"}, {"text": "f"}]',
    ]


def test_a_request_iterator_may_wait_for_the_responses(run_twice, talk_types):
    ask, _ = talk_types

    async def action(stub):
        responses = asyncio.Queue()

        async def asks():
            text = "a"
            for _ in range(3):
                yield ask(text=text)
                text = await responses.get()

        texts = []
        async for message in stub.chat(asks()):
            texts.append(message.text)
            responses.put_nowait(message.text)
        return texts

    recorded, replayed = run_twice(action)
    assert replayed == recorded == ["heard a", "heard heard a", "heard heard heard a"]


@pytest.mark.parametrize("kind", ["gather", "chat"])
def test_a_failure_in_the_request_iterator_cancels_the_call_as_it_does_live(kind, run, talk_types, router):
    ask, _ = talk_types

    async def broken():
        yield ask(text="listen")
        raise KeyError

    async def action(stub):
        call = getattr(stub, kind)(broken())
        return await call.code(), await call.details(), call.cancelled()

    cancelled = (CANCELLED, "Locally cancelled by application!", True)
    assert [run(action), run(action, "replay")] == [cancelled] * 2
    assert router.violations == []


def test_a_call_that_is_cancelled_at_once_is_not_sent(run_twice, router, talk, talk_types):
    ask, _ = talk_types

    async def action(stub):
        calls = (
            stub.once(ask(text="a")),
            stub.watch(ask(text="a")),
            stub.gather(iter([ask()])),
            stub.chat(iter([ask()])),
        )
        for call in calls:
            assert call.cancel()
            assert call.done()
        for call in calls[::2]:
            with pytest.raises(asyncio.CancelledError):
                await call
        return [(await call.code(), await call.details(), tuple(await call.initial_metadata())) for call in calls]

    recorded, replayed = run_twice(action)
    assert replayed == recorded == [(CANCELLED, "Locally cancelled by application!", ())] * 4
    assert talk.hits == 0
    assert router.requests == []


def test_a_call_that_was_cancelled_while_awaited_can_be_replayed(run_twice, router, talk_types):
    ask, _ = talk_types

    async def action(stub):
        for kind, argument in (("once", ask(text="sleep")), ("gather", iter([ask(text="sleep")]))):
            call = getattr(stub, kind)(argument)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(call, 0.1)
            assert call.cancelled()
            assert await call.code() is CANCELLED

    run_twice(action)
    assert [response.ending for response in router.responses] == ["unanswered"] * 2
    assert router.violations == []


def test_a_request_that_cannot_be_serialized_is_sent_empty_as_in_a_live_call(run_twice, router):
    async def action(stub):
        return (await stub.once("not a message")).text

    assert run_twice(action) == ("heard ", "heard ")
    assert router.requests[0].body == b'{"@wire": ""}'


@pytest.mark.parametrize("mode", ["record", "replay"])
def test_a_closed_channel_raises_its_own_error(mode, async_connect, stub_of, router, talk_types):
    ask, _ = talk_types

    async def call_closed_channel():
        channel = async_connect()
        await channel.close()
        with pytest.raises(aio.UsageError, match="Channel is closed"):
            stub_of(channel).once(ask(text="hello"))

    router.mode = mode
    with activate(router):
        asyncio.run(call_closed_channel())
    assert router.requests == []


def test_closing_a_channel_cancels_its_calls(run_twice, talk_types):
    ask, _ = talk_types

    async def action(stub):
        call = stub.once(ask(text="sleep"))
        await asyncio.sleep(0.1)
        await stub.channel.close()
        return call.cancelled(), await call.code()

    recorded, replayed = run_twice(action)
    assert replayed == recorded == (True, CANCELLED)


def test_channels_are_intercepted_whenever_and_on_whatever_loop_they_were_created(
    async_connect, stub_of, router, talk, talk_types
):
    ask, _ = talk_types

    async def record():
        channel = async_connect()
        stub = stub_of(channel)
        await stub.once(ask(text="live"))
        with activate(router):
            await stub.once(ask(text="a"))
            assert [message.turn async for message in stub.watch(ask(text="a"))] == [1, 2, 3]
        return stub

    async def replay(stub):
        response = await stub.once(ask(text="a"))
        return response.text, [message.turn async for message in stub.watch(ask(text="a"))]

    stub = asyncio.run(record())
    router.mode = "replay"
    with activate(router):
        assert asyncio.run(replay(stub)) == ("heard a", [1, 2, 3])
    assert talk.hits == 3


def test_grpc_is_not_imported_and_is_intercepted_when_imported_later(talk):
    source = f"""
        import asyncio, sys
        from multitrack.errors import CassetteMiss
        from multitrack.tape import active

        class Tape:
            mode = "replay"
            def route(self, request):
                raise CassetteMiss(request.url)

        async def call():
            async with grpc.aio.insecure_channel("localhost:{talk.port}") as channel:
                await channel.unary_unary("/multitrack.talk.Talk/Once")(b"")

        with active.activate(Tape()):
            print("grpc" in sys.modules)
            import grpc
            try:
                asyncio.run(call())
            except CassetteMiss as miss:
                print(miss)
    """
    process = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source)], capture_output=True, text=True, timeout=60
    )
    assert process.stdout.splitlines() == ["False", f"grpc://localhost:{talk.port}/multitrack.talk.Talk/Once"], (
        process.stderr
    )
    assert talk.hits == 0


async def await_response(stub, ask):
    await stub.once(ask(text="unseen"))


async def read_code(stub, ask):
    await stub.once(ask(text="unseen")).code()


async def read_metadata(stub, ask):
    await stub.once(ask(text="unseen")).initial_metadata()


async def wait_for_connection_of_watch(stub, ask):
    await stub.watch(ask(text="unseen")).wait_for_connection()


async def iterate(stub, ask):
    async for _ in stub.watch(ask(text="unseen")):
        pass


async def read_message(stub, ask):
    await stub.watch(ask(text="unseen")).read()


async def await_gather(stub, ask):
    await stub.gather(iter([ask(text="unseen")]))


async def write_to_gather(stub, ask):
    await stub.gather().write(ask(text="unseen"))


async def iterate_chat(stub, ask):
    async for _ in stub.chat(iter([ask(text="unseen")])):
        pass


async def wait_for_connection_of_chat(stub, ask):
    await stub.chat(iter([ask(text="unseen")])).wait_for_connection()


async def await_with_timeout(stub, ask):
    await asyncio.wait_for(stub.once(ask(text="unseen")), 5)


async def await_in_task(stub, ask):
    await asyncio.create_task(await_response(stub, ask))


@pytest.mark.parametrize(
    "use_call",
    [
        await_response,
        read_code,
        read_metadata,
        wait_for_connection_of_watch,
        iterate,
        read_message,
        await_gather,
        write_to_gather,
        iterate_chat,
        wait_for_connection_of_chat,
        await_with_timeout,
        await_in_task,
    ],
)
def test_a_miss_is_raised_where_the_call_is_awaited(use_call, run, talk, talk_types, caplog):
    ask, _ = talk_types

    async def action(stub):
        with pytest.raises(CassetteMiss, match="nothing recorded for POST grpc://"):
            await use_call(stub, ask)
        gc.collect()
        await asyncio.sleep(0)

    run(action, "replay")
    # asyncio would log an exception of a task that was never retrieved
    assert caplog.messages == []
    assert talk.hits == 0


def test_a_miss_ends_a_call_that_is_never_awaited(run, talk_types, caplog):
    ask, _ = talk_types

    async def action(stub):
        finished = []
        calls = [stub.once(ask()), stub.watch(ask()), stub.gather(), stub.chat(iter([ask()]))]
        for call in calls:
            call.add_done_callback(finished.append)
        await asyncio.sleep(0.05)
        assert [call.done() for call in calls] == [True] * 4
        assert [call.cancel() for call in calls] == [False] * 4
        assert len(finished) == 4
        assert repr(calls[0]) == "<ReplayedCore object>"

    run(action, "replay")
    gc.collect()
    assert caplog.messages == []
