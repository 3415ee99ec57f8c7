"""Protobuf messages as protobuf JSON, and back to the bytes on the wire without loss.

The JSON is that of https://protobuf.dev/programming-guides/json/, lowerCamelCase, as Google's REST bodies have
it. Where it cannot hold a message whole (unknown fields, a `Value` of no kind, an `Any` of an unknown type, a
message of an unknown class), the wire bytes stand beside what is readable, in base64 under ``@wire``.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

WIRE = "@wire"

_UNPRINTABLE = (json_format.Error, ValueError, TypeError, RecursionError)


def message_type(coder: Callable[..., Any] | None) -> type[Message] | None:
    """The message class that a serializer or deserializer works for, or None where it does not tell.

    Tells of ``Message.FromString`` and proto-plus' ``serialize`` and ``deserialize``; a plain message's
    ``SerializeToString`` is a function like any other.
    """
    return _generated(getattr(coder, "__self__", None))


def type_of(message: object) -> type[Message] | None:
    """The message class of a plain or proto-plus message, or None for anything else."""
    return _generated(type(message))


def _generated(owner: object) -> type[Message] | None:
    if not isinstance(owner, type):
        return None
    # the class that a proto-plus class wraps; asking by name leaves proto-plus unimported
    plain = owner if issubclass(owner, Message) else getattr(owner, "pb", lambda: None)()
    return plain if isinstance(plain, type) and issubclass(plain, Message) else None


def wire_to_json(wire: bytes, kind: type[Message] | None) -> str:
    """The message of class ``kind`` whose wire bytes these are, as JSON from which `json_to_wire` restores it.

    Total: what cannot be read as ``kind`` is written as its wire bytes alone.
    """
    if kind is None:
        return _document({}, wire)
    message = kind()
    try:
        message.ParseFromString(wire)
    except DecodeError:
        return _document({}, wire)
    canonical = message.SerializeToString(deterministic=True)
    try:
        readable = json_format.MessageToDict(message)
    except _UNPRINTABLE:
        return _document({}, canonical)
    document = _printed(readable)
    if _restores(document, kind, canonical):
        return document
    return _document(readable if isinstance(readable, dict) else {}, canonical)


def _restores(document: str, kind: type[Message], canonical: bytes) -> bool:
    try:
        restored = kind.FromString(json_to_wire(document, kind))
    except (DecodeError, ValueError):
        return False
    return restored.SerializeToString(deterministic=True) == canonical


def json_to_wire(document: str | bytes, kind: type[Message] | None) -> bytes:
    """The wire bytes of the message that `wire_to_json` wrote, map entries in a fixed order.

    Fields that ``kind`` does not know are left out, as an older client leaves them unread. Raises ValueError
    where the document is no JSON, does not fit ``kind``, or needs a class and ``kind`` is None.
    """
    value = json.loads(document)
    if isinstance(value, dict) and WIRE in value:
        try:
            return base64.b64decode(value[WIRE], validate=True)
        except (TypeError, binascii.Error) as error:
            raise ValueError(f"{WIRE} is no base64: {error}") from error
    if kind is None:
        raise ValueError(f"the client does not tell the message's class, and there is no {WIRE}")
    message = kind()
    try:
        json_format.ParseDict(value, message, ignore_unknown_fields=True)
    except _UNPRINTABLE as error:
        raise ValueError(f"no {kind.DESCRIPTOR.full_name}: {error}") from error
    return message.SerializeToString(deterministic=True)


def _document(readable: dict[str, Any], wire: bytes) -> str:
    return _printed({**readable, WIRE: base64.b64encode(wire).decode()})


def _printed(value: object) -> str:
    # maps, and so the arguments of a tool call, come in another order in every process
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
