"""The messages of Vertex AI's services as protobuf JSON, brought to one spelling.

Clients write the same message in several ways: enums by name or by number, 64-bit integers as strings or not, fields
in camel or snake case (https://protobuf.dev/programming-guides/json/). Only the message's class tells which are equal.
"""

from __future__ import annotations

import functools
import json
import warnings
from importlib import import_module
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

from multitrack.tape.google.protobuf import WIRE, json_to_wire, type_of


@functools.cache
def message_type(version: str, name: str) -> type[Message]:
    """The class of the message ``name`` in a ``version`` of the API (``v1``). Raises ImportError where no
    google-cloud-aiplatform is installed, and ValueError where it is older than the message."""
    with warnings.catch_warnings():
        # where warnings are errors, the import would fail the test that happens to need it first
        warnings.simplefilter("ignore")
        types = import_module(f"google.cloud.aiplatform_{version}.types")
    found = type_of(getattr(types, name)()) if hasattr(types, name) else None
    if found is None:
        raise ValueError(f"the installed google-cloud-aiplatform has no {name} in {version} (upgrade it)")
    return found


def spelled(document: Any, kind: type[Message]) -> dict[str, Any]:
    """``document``, a message that is sent, in the one spelling. Raises ValueError where ``kind`` does not know all of
    it."""
    if not isinstance(document, dict):
        raise ValueError("its body is no JSON object")
    if WIRE in document:
        raise ValueError("protobuf JSON does not hold all of it")
    try:
        message = json_format.ParseDict(document, kind())
        found: dict[str, Any] = json_format.MessageToDict(message)
    except (json_format.Error, ValueError, TypeError, RecursionError) as error:
        raise ValueError(str(error)) from error
    return found


def printed(document: dict[str, Any], kind: type[Message], *, numbers: bool) -> dict[str, Any]:
    """``document``, a message that was answered, as a REST body has it, its enums as ``numbers`` or by name; as it is
    where it cannot be read."""
    try:
        message = kind.FromString(json_to_wire(json.dumps(document), kind))
        found: dict[str, Any] = json_format.MessageToDict(message, use_integers_for_enums=numbers)
    except (json_format.Error, DecodeError, ValueError, TypeError, RecursionError):
        return document
    return found
