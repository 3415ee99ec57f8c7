"""All four kinds of calls on both kinds of channels: the replay equals the live call."""

from __future__ import annotations

import json

import grpc
import pytest

from multitrack.errors import CassetteMiss
from multitrack.tape.active import activate

KINDS = ["once", "watch", "gather", "chat"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_response_is_replayed_without_the_server(kind, caller, record_then_replay, router, talk_types):
    _, said = talk_types
    live, replayed = record_then_replay(lambda: caller(kind, "hello"))
    assert replayed == live
    expected = {
        "once": said(text="heard hello", turn=2**53 + 1),
        "watch": [said(text=f"hello {turn}", turn=turn) for turn in (1, 2, 3)],
        "gather": said(text="hello"),
        "chat": [said(text="heard hello")],
    }
    messages, code, details, *_ = replayed
    assert messages == expected[kind]
    assert code is grpc.StatusCode.OK
    assert details == ""
    (response,) = router.responses
    assert response.ending == "complete"
    assert response.header("grpc-status") == "0"
    sent = json.loads(router.requests[0].with_sent_messages.body)
    assert sent == ([{"text": "hello"}] if kind in ("gather", "chat") else {"text": "hello"})


@pytest.mark.parametrize("kind", KINDS)
def test_a_failure_is_replayed_with_its_details(kind, caller, record_then_replay, router):
    live, replayed = record_then_replay(lambda: caller(kind, "fail"))
    assert replayed == live
    messages, code, details, _, trailing = replayed
    assert messages is None
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert details == "Quotä\nexceeded 100%"
    assert [name for name, _ in trailing] == ["grpc-status-details-bin"]
    assert router.responses[0].ending == "complete"


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_is_down_is_replayed_as_unavailable(kind, caller, talk, router):
    talk.stop()
    outcomes = []
    for router.mode in ("record", "replay"):
        with activate(router):
            outcomes.append(caller(kind, "hello"))
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][1] is grpc.StatusCode.UNAVAILABLE
    assert router.responses[0].ending == "broken"


@pytest.mark.parametrize("kind", KINDS)
def test_an_exceeded_deadline_is_replayed(kind, caller, router):
    outcomes = []
    for router.mode in ("record", "replay"):
        with activate(router):
            outcomes.append(caller(kind, "sleep", timeout=0.1))
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][1] is grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.parametrize("kind", KINDS)
def test_metadata_is_sent_and_recorded(kind, caller, talk, router):
    metadata = (("x-key", "1"), ("x-raw-bin", b"\x00\xff"))
    with activate(router):
        caller(kind, "hello", metadata=metadata)
    assert [header for header in router.requests[0].headers if header[0].startswith("x-")] == [
        ("x-key", "1"),
        ("x-raw-bin", "AP8="),
    ]
    assert talk.metadata[0]["x-key"] == "1"


@pytest.mark.parametrize("kind", KINDS)
def test_a_miss_is_raised_to_the_caller(kind, caller, talk, router):
    router.mode = "replay"
    with activate(router), pytest.raises(CassetteMiss, match="nothing recorded for POST grpc://"):
        caller(kind, "unseen")
    assert talk.hits == 0


@pytest.mark.parametrize("kind", KINDS)
def test_passthrough_goes_live_and_is_not_recorded(kind, caller, talk, router):
    router.mode = "passthrough"
    with activate(router):
        assert caller(kind, "hello")[1] is grpc.StatusCode.OK
    assert talk.hits == 1
    assert router.recordings == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_channel_goes_live_before_and_after_a_tape(kind, caller, talk, router):
    live = caller(kind, "hello")
    for router.mode in ("record", "replay"):
        with activate(router):
            assert caller(kind, "hello") == live
    assert caller(kind, "hello") == live
    assert talk.hits == 3
    assert len(router.requests) == 2
