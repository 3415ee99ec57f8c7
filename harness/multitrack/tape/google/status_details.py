"""The details of a failed gRPC call: protobuf messages of any type, packed in a header ``grpc-status-details-bin``.

https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto has the types that are common.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib import import_module
from typing import Any

from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.message import DecodeError, Message
from google.rpc import status_pb2  # type: ignore[import-untyped]

# a detail is printed and read by its type, which is known once its module was imported
import_module("google.rpc.error_details_pb2")


def packed(code: int, message: str, details: Iterable[Any]) -> str | None:
    """The header's value for ``details`` in protobuf JSON; None where there are none that can be read."""
    status = status_pb2.Status(code=code, message=message)
    for detail in details:
        with suppress(json_format.Error, TypeError, ValueError, AttributeError):
            status.details.append(json_format.ParseDict(detail, Packed(), ignore_unknown_fields=True))
    return base64.b64encode(status.SerializeToString()).decode() if status.details else None


def printed(value: str) -> list[dict[str, Any]]:
    """The details in the header's ``value``, in protobuf JSON. One of a type that is known nowhere here is left out."""
    found: list[dict[str, Any]] = []
    for detail in _status(value).details:
        with suppress(json_format.Error, TypeError, ValueError):
            found.append(json_format.MessageToDict(detail))
    return found


def reworded(value: str, words: Callable[[str], str]) -> str:
    """The header's ``value``, each text in it changed by ``words``; what is of a type that is known nowhere here stays,
    and so does a value that cannot be read."""
    status = _status(value)
    before = status.SerializeToString()
    _reword(status, words)
    after = status.SerializeToString()
    return value if after == before else base64.b64encode(after).decode()


def _reword(message: Message, words: Callable[[str], str]) -> None:
    if isinstance(message, Packed):
        with suppress(KeyError, TypeError, DecodeError):
            kind = descriptor_pool.Default().FindMessageTypeByName(message.TypeName())
            detail = message_factory.GetMessageClass(kind).FromString(message.value)
            _reword(detail, words)
            message.value = detail.SerializeToString()
        return
    for field, value in message.ListFields():
        if isinstance(value, str):
            setattr(message, field.name, words(value))
        elif isinstance(value, Message):
            _reword(value, words)
        elif not isinstance(value, bytes) and hasattr(value, "__len__"):
            for place in list(value) if hasattr(value, "keys") else range(len(value)):
                if isinstance(value[place], str):
                    value[place] = words(value[place])
                elif isinstance(value[place], Message):
                    _reword(value[place], words)


def _status(value: str) -> status_pb2.Status:
    try:
        return status_pb2.Status.FromString(base64.b64decode(value + "=" * (-len(value) % 4)))
    except (binascii.Error, DecodeError):
        return status_pb2.Status()
