"""Convert protobuf messages to JSON and back without loss, with wire bytes where JSON is not enough."""

from __future__ import annotations

import base64
import functools
import json
import math

import pytest
from google.protobuf import any_pb2, empty_pb2, json_format, struct_pb2, timestamp_pb2, wrappers_pb2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from multitrack.tape.google.protobuf import json_to_wire, message_type, type_of, wire_to_json

INT32 = st.integers(-(2**31), 2**31 - 1)
# what protobuf accepts as text: any code points except surrogates
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
PLAIN = st.recursive(
    st.none() | st.booleans() | FINITE | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def asks(draw, ask, depth=1):
    message = ask(
        text=draw(TEXT),
        number=draw(st.floats(allow_nan=False)),
        small_number=draw(st.floats(-(2.0**127), 2.0**127, width=32) | st.just(math.inf)),
        big_number=draw(st.integers(-(2**63), 2**63 - 1)),
        blob=draw(st.binary(max_size=8)),
        mood=draw(st.integers(0, 2) | INT32),
        counts=draw(st.dictionaries(TEXT, INT32, max_size=3)),
    )
    if draw(st.booleans()):
        message.detail.update(draw(st.dictionaries(TEXT, PLAIN, max_size=3)))
    if draw(st.booleans()):
        json_format.ParseDict(draw(PLAIN), message.value)
    if draw(st.booleans()):
        message.sent_at.FromNanoseconds(draw(st.integers(-(10**18), 10**18)))
    if draw(st.booleans()):
        message.maybe.value = draw(TEXT)
    if draw(st.booleans()):
        message.patience.FromNanoseconds(draw(st.integers(-(10**18), 10**18)))
    if depth and draw(st.booleans()):
        message.reply_to.CopyFrom(draw(asks(ask, depth - 1)))
    return message


def restored(message):
    """Return the message after a round trip through JSON, and the JSON."""
    document = wire_to_json(message.SerializeToString(), type(message))
    again = type(message).FromString(json_to_wire(document, type(message)))
    assert again.SerializeToString(deterministic=True) == message.SerializeToString(deterministic=True)
    return json.loads(document)


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_every_message_is_restored_from_its_json(data, talk_types):
    ask, _ = talk_types
    assert "@wire" not in restored(data.draw(asks(ask)))


@settings(max_examples=100, deadline=None)
@given(wire=st.binary(max_size=40))
def test_any_bytes_can_be_written(wire, talk_types):
    ask, _ = talk_types
    restored_wire = json_to_wire(wire_to_json(wire, ask), ask)
    try:
        message = ask.FromString(wire)
    except Exception:
        assert restored_wire == wire
    else:
        again = ask.FromString(restored_wire)
        assert again.SerializeToString(deterministic=True) == message.SerializeToString(deterministic=True)
    assert json_to_wire(wire_to_json(wire, None), None) == wire


def test_the_json_is_that_of_protobuf(talk_types):
    ask, _ = talk_types
    message = ask(text="grüße \u2028", number=3, small_number=0.1, big_number=2**53 + 1, blob=b"\xff", mood=7)
    message.detail.update({"whole": 3, "minus": -0.0, "list": [1.5, None]})
    message.sent_at.FromNanoseconds(1)
    document = wire_to_json(message.SerializeToString(), ask)
    assert json.loads(document) == json.loads(json_format.MessageToJson(message))
    assert "grüße \u2028" in document
    assert '"whole": 3.0' in document
    assert '"minus": -0.0' in document
    assert '"mood": 7' in document
    assert '"bigNumber": "9007199254740993"' in document
    assert '"sentAt": "1970-01-01T00:00:00.000000001Z"' in document


def test_unknown_fields_are_kept_next_to_the_readable_part(talk_types):
    ask, said = talk_types
    unknown = ask(text="hello", mood=1).SerializeToString()
    message = said.FromString(unknown)
    assert restored(message) == {"text": "hello", "@wire": base64.b64encode(unknown).decode()}


def test_the_order_of_map_entries_is_fixed(talk_types):
    ask, _ = talk_types
    documents = set()
    for _ in range(20):
        message = ask(counts={"units": 1, "location": 2, "days": 3})
        message.detail.update({"units": "metric", "location": "Toronto", "days": 3})
        documents.add(wire_to_json(message.SerializeToString(), ask))
    assert documents == {
        '{"counts": {"days": 3, "location": 2, "units": 1}, '
        '"detail": {"days": 3.0, "location": "Toronto", "units": "metric"}}'
    }


def test_a_number_that_protobuf_prints_but_does_not_read_is_kept(talk_types):
    ask, _ = talk_types
    message = ask(small_number=(2 - 2**-23) * 2.0**127)
    assert restored(message)["@wire"] == base64.b64encode(message.SerializeToString()).decode()


def test_a_value_without_a_kind_is_kept(talk_types):
    ask, _ = talk_types
    message = ask(value=struct_pb2.Value())
    assert list(restored(message)) == ["@wire", "value"]


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_numbers_that_a_struct_cannot_print_are_kept(number, talk_types):
    ask, _ = talk_types
    message = ask()
    message.detail.update({"number": number})
    wire = wire_to_json(message.SerializeToString(), ask)
    assert list(json.loads(wire)) == ["@wire"]
    assert str(ask.FromString(json_to_wire(wire, ask)).detail["number"]) == str(number)


def test_an_any_of_a_known_type_is_readable_and_of_an_unknown_type_kept(talk_types):
    ask, _ = talk_types
    message = ask()
    message.attachment.Pack(wrappers_pb2.StringValue(value="hello"))
    assert restored(message)["attachment"]["value"] == "hello"
    message.attachment.CopyFrom(any_pb2.Any(type_url="type.googleapis.com/no.Such", value=b"\x08\x01"))
    assert list(restored(message)) == ["@wire"]


def test_a_message_nested_too_deep_for_json_is_kept(talk_types):
    ask, _ = talk_types
    message = inner = ask(text="0")
    for depth in range(1, 90):
        inner = inner.reply_to
        inner.text = f"{depth}"
    assert restored(message)["text"] == "0"


def test_a_message_may_contain_the_wire_key():
    message = struct_pb2.Struct()
    message.update({"@wire": "aGVsbG8=", "other": 1})
    document = restored(message)
    assert document == {
        "@wire": base64.b64encode(message.SerializeToString(deterministic=True)).decode(),
        "other": 1.0,
    }


@pytest.mark.parametrize(
    ("message", "document"),
    [
        (empty_pb2.Empty(), {}),
        (timestamp_pb2.Timestamp(seconds=1), "1970-01-01T00:00:01Z"),
        (wrappers_pb2.Int64Value(value=5), "5"),
        (struct_pb2.Value(string_value="a"), "a"),
        (struct_pb2.Value(null_value=0), None),
    ],
)
def test_messages_that_are_not_objects_in_json(message, document):
    assert restored(message) == document


def test_a_field_of_a_newer_version_is_left_out(talk_types):
    _, said = talk_types
    wire = json_to_wire('{"text": "hello", "invented": {"later": 1}}', said)
    assert said.FromString(wire) == said(text="hello")


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ("{", "Expecting property name"),
        ("3", "not a valid multitrack.talk.Said: "),
        ('{"turn": "x"}', "not a valid multitrack.talk.Said: .*turn"),
        ('{"@wire": "*"}', "@wire is not valid base64"),
        ('{"@wire": 3}', "@wire is not valid base64"),
    ],
)
def test_an_invalid_message_is_rejected(document, reason, talk_types):
    _, said = talk_types
    with pytest.raises(ValueError, match=reason):
        json_to_wire(document, said)


def test_a_message_without_class_requires_its_wire_bytes():
    with pytest.raises(ValueError, match="the message has an unknown class and no @wire"):
        json_to_wire("{}", None)


def test_the_class_is_found_from_serializers_and_messages(talk_types):
    ask, _ = talk_types
    assert message_type(ask.FromString) is ask
    assert type_of(ask()) is ask
    for coder in (None, len, "".join, functools.partial(ask.FromString), ask.SerializeToString):
        assert message_type(coder) is None
    assert type_of(b"bytes") is None
