"""Normalize the protobuf JSON of Vertex AI's messages.

Clients can write the same message in several ways (https://protobuf.dev/programming-guides/json/):

- enums as numbers, or as names in upper or lower case
- 64-bit integers as strings or as numbers
- fields in camel case or in snake case

Only the class of the message shows which forms are equivalent.
"""

from __future__ import annotations

import functools
import json
import warnings
from importlib import import_module
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

from multitrack.protobuf_enums import normalize_enum_names
from multitrack.tape.google.protobuf import WIRE, json_to_wire, type_of


@functools.cache
def find_message_class(version: str, name: str) -> type[Message]:
    """Return the class of the message ``name`` in a ``version`` of the API, such as ``v1``.

    Raises:
        ImportError: google-cloud-aiplatform is not installed.
        ValueError: The installed google-cloud-aiplatform does not have the message.
    """
    with warnings.catch_warnings():
        # if warnings are errors, the import would fail the test that happens to need it first
        warnings.simplefilter("ignore")
        types = import_module(f"google.cloud.aiplatform_{version}.types")
    message_class = type_of(getattr(types, name)()) if hasattr(types, name) else None
    if message_class is None:
        raise ValueError(f"the installed google-cloud-aiplatform has no {name} in {version}; upgrade this package")
    return message_class


def normalize_request(document: Any, kind: type[Message]) -> dict[str, Any]:
    """Return a request message in its normal form. Raises ValueError if the message has a field that ``kind`` lacks."""
    if not isinstance(document, dict):
        raise ValueError("the body is not a JSON object")
    if WIRE in document:
        raise ValueError("protobuf JSON cannot represent the whole message")
    try:
        message = json_format.ParseDict(normalize_enum_names(document, kind.DESCRIPTOR), kind())
        normalized: dict[str, Any] = json_format.MessageToDict(message)
    except (json_format.Error, ValueError, TypeError, RecursionError) as error:
        raise ValueError(str(error)) from error
    return normalized


def format_response(document: dict[str, Any], kind: type[Message], *, enums_as_numbers: bool) -> dict[str, Any]:
    """Return a response message as it appears in a REST body. A message that cannot be read is returned unchanged."""
    try:
        message = kind.FromString(json_to_wire(json.dumps(document), kind))
        formatted: dict[str, Any] = json_format.MessageToDict(message, use_integers_for_enums=enums_as_numbers)
    except (json_format.Error, DecodeError, ValueError, TypeError, RecursionError):
        return document
    return formatted
