"""Convert protobuf messages to protobuf JSON, and back to their wire bytes without loss.

The JSON follows https://protobuf.dev/programming-guides/json/, with names in lowerCamelCase as in Google's REST
bodies.

If JSON cannot represent the whole message, the wire bytes are stored next to the readable part, in base64 under
``@wire``. JSON cannot represent:

- unknown fields
- a ``Value`` without a kind
- an ``Any`` of an unknown type
- a message of an unknown class
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

_CONVERSION_ERRORS = (json_format.Error, ValueError, TypeError, RecursionError)


def message_type(coder: Callable[..., Any] | None) -> type[Message] | None:
    """Return the message class of a serializer or deserializer. None if the class is unknown.

    The class is known for ``Message.FromString`` and for proto-plus's ``serialize`` and ``deserialize``. A plain
    message's ``SerializeToString`` is not bound to a class, so its class is unknown.
    """
    return _find_generated_class(getattr(coder, "__self__", None))


def type_of(message: object) -> type[Message] | None:
    """Return the protobuf class of a plain or proto-plus message. None for any other object."""
    return _find_generated_class(type(message))


def _find_generated_class(owner: object) -> type[Message] | None:
    if not isinstance(owner, type):
        return None
    # the class that a proto-plus class wraps, looked up by name so that proto-plus is not imported
    plain = owner if issubclass(owner, Message) else getattr(owner, "pb", lambda: None)()
    return plain if isinstance(plain, type) and issubclass(plain, Message) else None


def wire_to_json(wire: bytes, kind: type[Message] | None) -> str:
    """Convert the wire bytes of a message to JSON. ``json_to_wire`` converts the JSON back.

    If ``kind`` is None, or the bytes cannot be parsed as a message of class ``kind``, the JSON contains only the wire
    bytes. The conversion therefore never fails.
    """
    if kind is None:
        return _format_with_wire({}, wire)
    message = kind()
    try:
        message.ParseFromString(wire)
    except DecodeError:
        return _format_with_wire({}, wire)
    canonical = message.SerializeToString(deterministic=True)
    try:
        readable = json_format.MessageToDict(message)
    except _CONVERSION_ERRORS:
        return _format_with_wire({}, canonical)
    document = _format_json(readable)
    if _is_lossless(document, kind, canonical):
        return document
    return _format_with_wire(readable if isinstance(readable, dict) else {}, canonical)


def _is_lossless(document: str, kind: type[Message], canonical: bytes) -> bool:
    try:
        restored = kind.FromString(json_to_wire(document, kind))
    except (DecodeError, ValueError):
        return False
    return restored.SerializeToString(deterministic=True) == canonical


def json_to_wire(document: str | bytes, kind: type[Message] | None) -> bytes:
    """Convert ``document``, which ``wire_to_json`` returned, back to the wire bytes of the message.

    Map entries are in a fixed order. Fields that ``kind`` does not have are left out, just as an older client would
    ignore them.

    Raises:
        ValueError: ``document`` is not JSON, is not a message of class ``kind``, or needs a class although ``kind``
            is None.
    """
    value = json.loads(document)
    if isinstance(value, dict) and WIRE in value:
        try:
            return base64.b64decode(value[WIRE], validate=True)
        except (TypeError, binascii.Error) as error:
            raise ValueError(f"{WIRE} is not valid base64: {error}") from error
    if kind is None:
        raise ValueError(f"the message has an unknown class and no {WIRE}")
    message = kind()
    try:
        json_format.ParseDict(value, message, ignore_unknown_fields=True)
    except _CONVERSION_ERRORS as error:
        raise ValueError(f"not a valid {kind.DESCRIPTOR.full_name}: {error}") from error
    return message.SerializeToString(deterministic=True)


def _format_with_wire(readable: dict[str, Any], wire: bytes) -> str:
    return _format_json({**readable, WIRE: base64.b64encode(wire).decode()})


def _format_json(value: object) -> str:
    # the order of map entries, and so of a tool call's arguments, differs from process to process
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
