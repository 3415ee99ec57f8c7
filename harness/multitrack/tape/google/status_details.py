"""Read and write the details of a failed gRPC call: protobuf messages in the ``grpc-status-details-bin`` header.

Details can be of any type. The common types are defined in
https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib import import_module
from typing import Any

from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.any_pb2 import Any as PackedMessage
from google.protobuf.message import DecodeError, Message
from google.rpc import status_pb2  # type: ignore[import-untyped]

# a detail can only be read and written after its type's module was imported
import_module("google.rpc.error_details_pb2")


def pack_details(code: int, message: str, details: Iterable[Any]) -> str | None:
    """Encode error ``details``, given as protobuf JSON, for a gRPC header. None if no detail can be read."""
    status = status_pb2.Status(code=code, message=message)
    for detail in details:
        with suppress(json_format.Error, TypeError, ValueError, AttributeError):
            status.details.append(json_format.ParseDict(detail, PackedMessage(), ignore_unknown_fields=True))
    return base64.b64encode(status.SerializeToString()).decode() if status.details else None


def read_details(value: str) -> list[dict[str, Any]]:
    """Decode the details in a ``grpc-status-details-bin`` header to protobuf JSON.

    Details of unknown types are skipped.
    """
    details: list[dict[str, Any]] = []
    for detail in _parse_status(value).details:
        with suppress(json_format.Error, TypeError, ValueError):
            details.append(json_format.MessageToDict(detail))
    return details


def replace_texts(value: str, replace: Callable[[str], str]) -> str:
    """Apply ``replace`` to each string in the ``grpc-status-details-bin`` header, and return the new header value.

    Details of unknown types stay unchanged, and so does a value that cannot be read.
    """
    status = _parse_status(value)
    before = status.SerializeToString()
    _replace_texts_in(status, replace)
    after = status.SerializeToString()
    return value if after == before else base64.b64encode(after).decode()


def _replace_texts_in(message: Message, replace: Callable[[str], str]) -> None:
    if isinstance(message, PackedMessage):
        with suppress(KeyError, TypeError, DecodeError):
            kind = descriptor_pool.Default().FindMessageTypeByName(message.TypeName())
            detail = message_factory.GetMessageClass(kind).FromString(message.value)
            _replace_texts_in(detail, replace)
            message.value = detail.SerializeToString()
        return
    for field, value in message.ListFields():
        if isinstance(value, str):
            setattr(message, field.name, replace(value))
        elif isinstance(value, Message):
            _replace_texts_in(value, replace)
        elif not isinstance(value, bytes) and hasattr(value, "__len__"):
            for key in list(value) if hasattr(value, "keys") else range(len(value)):
                if isinstance(value[key], str):
                    value[key] = replace(value[key])
                elif isinstance(value[key], Message):
                    _replace_texts_in(value[key], replace)


def _parse_status(value: str) -> status_pb2.Status:
    try:
        return status_pb2.Status.FromString(base64.b64decode(value + "=" * (-len(value) % 4)))
    except (binascii.Error, DecodeError):
        return status_pb2.Status()
