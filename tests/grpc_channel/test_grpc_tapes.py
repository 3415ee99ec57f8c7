"""gRPC calls with a real cassette: its content, the calls that it can replay, and their pace."""

from __future__ import annotations

import asyncio
import base64
import re
import threading
import time
from dataclasses import replace

import grpc
import pytest
import yaml
from google.protobuf import struct_pb2
from google.rpc import error_details_pb2, status_pb2

from multitrack.errors import CassetteMiss
from multitrack.tape.chunks import Chunks
from multitrack.tape.file import storage
from multitrack.tape.interceptors.grpc import grpc_replay
from multitrack.tape.redaction.word_boundaries import REDACTED
from multitrack.tape.use_cassette import use_cassette

KINDS = ["once", "watch", "gather", "chat"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "talk.yaml"


def set_chunks(path, **chunks):
    """Edit the chunks of all responses in a cassette."""
    cassette = storage.read(path)
    changed = tuple(
        replace(interaction, response=replace(interaction.response, chunks=Chunks(**chunks)))
        for interaction in cassette.interactions
    )
    storage.write(path, replace(cassette, interactions=changed))


def read_interactions(path):
    return yaml.safe_load(path.read_text("utf-8"))["interactions"]


def test_a_bidirectional_call_is_written_as_one_interaction(chat, talk, path):
    with use_cassette(path, mode="record") as tape:
        opened = chat()
        for text in ("a", "b"):
            opened.send(text)
            opened.receive()
        opened.close()
        opened.receive()
        assert tape.sent[0].json == [{"text": "a"}, {"text": "b"}]
    [interaction] = read_interactions(path)
    assert set(interaction["response"].get("chunks", ())) <= {"gaps_ms"}
    assert interaction["request"] == {
        "method": "POST",
        "uri": f"grpc://localhost:{talk.port}/multitrack.talk.Talk/Chat",
        "headers": {},
        "body": '[\n  {\n    "text": "a"\n  },\n  {\n    "text": "b"\n  }\n]',
    }
    response = interaction["response"]
    assert response["body"]["string"] == '[\n  {\n    "text": "heard a"\n  },\n  {\n    "text": "heard b"\n  }\n]'
    assert response["headers"] == {
        "content-type": ["application/grpc"],
        "grpc-status": ["0"],
        "x-multitrack-turns": ["1 2 closed"],
    }


@pytest.mark.parametrize("recorder", ["sync", "async"])
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_channel_replays_recordings_of_the_other(kind, recorder, both_callers, talk, path):
    player = "async" if recorder == "sync" else "sync"
    texts = ("a", "b") if kind in ("gather", "chat") else ("a",)
    with use_cassette(path, mode="record"):
        live = both_callers[recorder](kind, *texts)
    talk.stop()
    with use_cassette(path) as tape:
        replayed = both_callers[player](kind, *texts)
        assert len(tape.played) == 1
    # metadata of the provider is only recorded if it is allowed
    assert replayed[:3] == live[:3]


@pytest.mark.parametrize("kind", KINDS)
def test_the_address_of_a_local_service_is_not_matched(kind, caller, stub_of, talk_types, path):
    ask, _ = talk_types
    with use_cassette(path, mode="record"):
        live = caller(kind, "a")
    assert storage.read(path).provenance == "local"
    with use_cassette(path), grpc.insecure_channel("nowhere.invalid:1") as channel:
        method = getattr(stub_of(channel), kind)
        said = method(ask(text="a")) if kind in ("once", "watch") else method(iter([ask(text="a")]))
        assert (list(said) if kind in ("watch", "chat") else said) == live[0]


def test_metadata_in_keep_headers_is_recorded(caller, path):
    with use_cassette(path, mode="record", keep_headers=["x-talk", "x-cost-bin"]):
        caller("once", "a")
    with use_cassette(path):
        assert caller("once", "a")[3:] == ([("x-talk", "initial")], [("x-cost-bin", b"\x01\xfe")])


@pytest.mark.parametrize("kind", KINDS)
def test_a_cassette_recorded_in_one_project_matches_in_any(kind, caller, talk, path):
    def ask(project):
        name = f"projects/{project}/locations/europe-west1/models/m"
        first = ("about models",) if kind in ("gather", "chat") else ()
        return caller(kind, *first, f"{name} of {project}")

    with use_cassette(path, mode="record"):
        ask("acme-prod-7")
    assert "acme" not in path.read_text("utf-8")
    talk.stop()
    with use_cassette(path):
        assert ask("other-project-12")[1] is grpc.StatusCode.OK


def test_a_secret_in_a_streamed_message_is_redacted(chat, path):
    secret = "sk-" + "abcdefghij" * 3

    def run_chat():
        opened = chat()
        opened.send("a")
        opened.receive()
        opened.send(f"my key is {secret}")
        said = opened.receive()
        opened.close()
        opened.receive()
        return said

    with use_cassette(path, mode="record"):
        assert run_chat() == f"heard my key is {secret}"
    assert secret not in path.read_text("utf-8")
    with use_cassette(path):
        assert run_chat() == f"heard my key is {REDACTED}"


def test_names_and_secrets_in_the_details_of_a_failure_are_redacted(caller, path):
    secret = "sk-" + "abcdefghij" * 3

    def fail():
        _, code, details, _, trailing = caller("once", f"refuse projects/acme-prod-7/locations/here with {secret}")
        assert code is grpc.StatusCode.PERMISSION_DENIED
        packed = dict(trailing)["grpc-status-details-bin"]
        status = status_pb2.Status.FromString(packed)
        info, unknown = error_details_pb2.ErrorInfo(), status.details[1].value
        assert status.details[0].Unpack(info)
        return details, status.message, dict(info.metadata), unknown

    with use_cassette(path, mode="record", keep_errors=True, keep_headers=["x-refused-bin"]):
        live = fail()
    assert live[2] == {"consumer": "projects/acme-prod-7", "key": secret}
    written = path.read_text("utf-8")
    for packed in re.findall(r"[A-Za-z0-9+/=]{24,}", written):
        content = base64.b64decode(packed + "=" * (-len(packed) % 4))
        assert b"acme" not in content
        assert secret.encode() not in content
    assert "acme" not in written
    assert secret not in written
    with use_cassette(path):
        details, message, metadata, unknown = fail()
    assert details == message == f"no projects/project-0 with {REDACTED}"
    assert metadata == {"consumer": "projects/project-0", "key": REDACTED}
    assert unknown == live[3].replace(secret.encode(), b"*" * len(secret))


def test_missing_calls_are_added_to_the_cassette(caller, talk, path):
    with use_cassette(path, mode="record"):
        caller("gather", "a")
    with use_cassette(path, mode="record-missing"):
        assert caller("gather", "a")[0].text == "a"
        assert caller("gather", "b")[0].text == "b"
        assert caller("chat", "c")[0][0].text == "heard c"
    assert talk.hits == 3
    assert len(read_interactions(path)) == 3
    talk.stop()
    with use_cassette(path):
        assert caller("gather", "b")[0].text == "b"


def test_a_streaming_call_can_be_replayed_repeatedly_with_allow_repeats(caller, talk, path):
    with use_cassette(path, mode="record"):
        caller("gather", "a")
        caller("chat", "b")
    talk.stop()
    with use_cassette(path, allow_repeats=True):
        for _ in range(2):
            assert caller("gather", "a")[0].text == "a"
            assert caller("chat", "b")[0][0].text == "heard b"


@pytest.mark.parametrize("mode", ["replay", "record"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_call_to_a_dropped_host_gets_an_empty_response(kind, mode, caller, talk, path, talk_types):
    _, said = talk_types
    texts = ("a", "b") if kind in ("gather", "chat") else ("a",)
    with use_cassette(path, mode=mode, drop_hosts=["localhost:*"]):
        assert caller(kind, *texts)[:2] == (said() if kind in ("once", "gather") else [], grpc.StatusCode.OK)
    assert talk.hits == 0
    assert not path.exists()


@pytest.mark.parametrize("talk", ["insecure"], indirect=True)
def test_a_bidirectional_call_to_a_dropped_host_ends(chat, path, monkeypatch):
    monkeypatch.setattr(grpc_replay, "STALL_SECONDS", 0.1)
    with use_cassette(path, drop_hosts=["localhost:*"]):
        opened = chat()
        opened.send("a")
        assert opened.receive() is None
        assert opened.read_status()[0] is grpc.StatusCode.OK


def test_a_hand_written_response_may_be_empty(caller, talk, path, talk_types):
    _, said = talk_types
    with use_cassette(path, mode="record"):
        caller("once", "a")
        caller("watch", "a")
    document = yaml.safe_load(path.read_text("utf-8"))
    for interaction in document["interactions"]:
        interaction["response"] |= {"headers": {}, "body": {"string": ""}}
    path.write_text(yaml.safe_dump(document), "utf-8")
    talk.stop()
    with use_cassette(path):
        assert caller("once", "a")[:2] == (said(), grpc.StatusCode.OK)
        assert caller("watch", "a")[:2] == ([], grpc.StatusCode.OK)


@pytest.mark.parametrize(
    ("mode", "note"),
    [
        ("replay", ""),
        (
            "record-missing",
            "  the replay of this call had already started, so the call can no longer be recorded\n",
        ),
    ],
)
def test_a_stream_that_stops_matching_reports_how_to_record_it(mode, note, chat, talk, path):
    with use_cassette(path, mode="record"):
        opened = chat()
        opened.send("a")
        opened.receive()
        opened.close()
        opened.receive()

    def send_other_message():
        opened = chat()
        opened.send("b")
        opened.receive()

    with use_cassette(path, mode=mode) as tape, tape.expect_misses() as misses:
        send_other_message()
    (miss,) = misses
    assert re.sub("  sent from: .*\n", "", str(miss)) == (
        f"POST grpc://localhost:{talk.port}/multitrack.talk.Talk/Chat stopped matching its recording\n"
        f"  cassette: {path}\n"
        "  reason: changed: message 1 differs from the recorded message (interaction 1) in 1 place\n"
        "    $.text\n"
        '      recorded: "a"\n'
        '      sent: "b"\n'
        f"{note}"
        "  to record it: use_cassette(..., mode='record')"
    )


async def swallow_in_task(stub, ask):
    task = asyncio.create_task(call_once(stub, ask))
    await asyncio.wait([task])
    assert isinstance(task.exception(), CassetteMiss)


async def swallow_in_gather(stub, ask):
    await asyncio.gather(stub.once(ask(text="unseen")), asyncio.sleep(0), return_exceptions=True)


async def swallow_by_not_awaiting(stub, ask):
    call = stub.once(ask(text="unseen"))
    await asyncio.sleep(0.01)
    assert call.done()


async def swallow_in_except(stub, ask):
    try:
        await stub.once(ask(text="unseen"))
    except BaseException:
        await asyncio.sleep(0)


async def call_once(stub, ask):
    await stub.once(ask(text="unseen"))


@pytest.mark.parametrize("swallow", [swallow_in_task, swallow_in_gather, swallow_by_not_awaiting, swallow_in_except])
def test_a_swallowed_miss_still_counts(swallow, async_connect, stub_of, talk_types, talk, path):
    ask, _ = talk_types

    async def main():
        async with async_connect() as channel:
            await swallow(stub_of(channel), ask)

    with use_cassette(path) as tape, tape.expect_misses() as misses:
        asyncio.run(main())
    (miss,) = misses
    assert "there is no cassette yet" in str(miss)
    assert talk.hits == 0


def test_a_failed_call_makes_the_recording_pending(caller, path):
    with use_cassette(path, mode="record"):
        caller("once", "fail")
    assert not path.exists()
    pending = storage.read(path.with_name("talk.pending.yaml"))
    assert pending.interactions[0].response.header("grpc-status") == "8"


def test_an_unavailable_server_can_be_recorded_with_keep_errors(caller, talk, path):
    talk.stop()
    with use_cassette(path, mode="record", keep_errors=True):
        live = caller("once", "hello")
    with use_cassette(path):
        assert caller("once", "hello") == live


@pytest.mark.parametrize("talk", ["insecure"], indirect=True)
@pytest.mark.parametrize("text", ["sleep", "sleep and fail"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_response_and_a_deadline_follow_the_recorded_pace(kind, text, caller, talk, path):
    def measure(**options):
        started = time.monotonic()
        said, code, details, *_ = caller(kind, text, **options)
        return time.monotonic() - started, (said, code, details)

    with use_cassette(path, mode="record", keep_errors=True):
        threading.Timer(0.3, talk.go_on.release).start()
        _, live = measure()
    [interaction] = read_interactions(path)
    gap = interaction["response"]["chunks"]["gaps_ms"][0] / 1000
    assert gap > 0.1
    with use_cassette(path, pace="recorded"):
        seconds, replayed = measure()
    assert seconds > gap - 0.01
    assert replayed == live
    with use_cassette(path, pace="recorded"):
        _, exceeded = measure(timeout=gap / 2)
    assert exceeded == (None, grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
    with use_cassette(path):
        _, replayed = measure(timeout=gap / 2)
    assert replayed == live


def test_reading_the_status_of_a_slow_response_waits_as_long(async_connect, stub_of, path, talk_types, monkeypatch):
    ask, _ = talk_types

    async def main():
        async with async_connect() as channel:
            call = stub_of(channel).once(ask(text="hello"))
            return await call.code()

    with use_cassette(path, mode="record"):
        live = asyncio.run(main())
    set_chunks(path, gaps=(300,))
    monkeypatch.setattr(grpc_replay, "STALL_SECONDS", 0.1)
    with use_cassette(path, pace="recorded"):
        assert asyncio.run(main()) is live


def test_the_time_spent_sending_counts_toward_the_wait_for_the_response(chat, path):
    def run_chat():
        started = time.monotonic()
        opened = chat()
        time.sleep(0.2)
        opened.send("a")
        opened.receive()
        opened.close()
        opened.receive()
        return time.monotonic() - started

    with use_cassette(path, mode="record"):
        run_chat()
    set_chunks(path, gaps=(250,))
    with use_cassette(path, pace="recorded"):
        assert 0.24 < run_chat() < 0.4


@pytest.mark.parametrize("talk", ["insecure"], indirect=True)
@pytest.mark.parametrize("kind", ["once", "watch"])
def test_a_recorded_wait_is_kept_if_the_response_is_unchanged(kind, caller, path):
    with use_cassette(path, mode="record"):
        caller(kind, "hello")
    set_chunks(path, gaps=(1234560,))
    before = read_interactions(path)
    with use_cassette(path, mode="record"):
        caller(kind, "hello")
    assert read_interactions(path) == before


def test_a_short_wait_is_not_recorded(caller, path):
    with use_cassette(path, mode="record"):
        caller("once", "hello")
    assert "chunks" not in read_interactions(path)[0]["response"]


@pytest.mark.parametrize("talk", ["insecure"], indirect=True)
def test_each_message_of_a_stream_is_replayed_with_its_own_wait(caller, path):
    with use_cassette(path, mode="record"):
        caller("watch", "hello")
    set_chunks(path, joined=(2,), gaps=(0, 300))
    started = time.monotonic()
    with use_cassette(path, pace="recorded"):
        assert len(caller("watch", "hello")[0]) == 3
    assert 0.25 < time.monotonic() - started < 1.5


def test_a_message_that_is_an_array_is_not_recorded_as_a_stream(connect, talk, path):
    call = connect().unary_unary("/multitrack.talk.Talk/Once", struct_pb2.ListValue.SerializeToString)
    message = struct_pb2.ListValue()
    with use_cassette(path, mode="record", keep_errors=True) as tape:
        call(message)
        assert tape.sent[0].json == {"value": []}
    talk.stop()
    with use_cassette(path):
        call(message)
