"""An error of a Google API in both its forms: the error object of a REST body, and the status of a gRPC call.

https://google.aip.dev/193 says what is in them; which HTTP status goes with which code,
https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any

from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.message import DecodeError, Message
from google.rpc import status_pb2  # type: ignore[import-untyped]
from google.rpc.code_pb2 import Code  # type: ignore[import-untyped]

from multitrack.tape.exchange import Headers, Response

# of several codes with one HTTP status, the last is taken for an error that does not name its code
_HTTP = {
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "DATA_LOSS": 500,
    "INTERNAL": 500,
    "OUT_OF_RANGE": 400,
    "FAILED_PRECONDITION": 400,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "PERMISSION_DENIED": 403,
    "UNAUTHENTICATED": 401,
    "RESOURCE_EXHAUSTED": 429,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
}
_CODES = {status: name for name, status in _HTTP.items()}


# a detail is printed and read by its type, which is known once its module was imported
import_module("google.rpc.error_details_pb2")


def error_object(response: Response) -> dict[str, Any] | None:
    """The error of a gRPC call as REST tells it; None where the call went well."""
    number = response.header("grpc-status") or "0"
    if number == "0":
        return None
    name = Code.Name(int(number)) if number.isdecimal() and int(number) in Code.values() else "UNKNOWN"
    error: dict[str, Any] = {
        "code": _HTTP[name],
        "message": response.header("grpc-message") or "",
        "status": name,
    }
    if details := _details(response.header("grpc-status-details-bin")):
        error["details"] = details
    return error


def trailers(error: dict[str, Any] | None) -> Headers:
    """The headers in which a gRPC call tells ``error``, the error object of a REST body; None: that it went well."""
    if error is None:
        return (("grpc-status", "0"),)
    name = error.get("status")
    if name not in _HTTP:
        name = _CODES.get(error.get("code", 0), "UNKNOWN")
    message = str(error.get("message", ""))
    status = status_pb2.Status(code=Code.Value(name), message=message)
    for detail in error.get("details", ()):
        _pack(detail, status)
    found = (("grpc-status", str(status.code)), *((("grpc-message", message),) if message else ()))
    if not status.details:
        return found
    return (*found, ("grpc-status-details-bin", base64.b64encode(status.SerializeToString()).decode()))


def reworded(packed: str, words: Callable[[str], str]) -> str:
    """The value of a header ``grpc-status-details-bin``, each text in it changed by ``words``; what is of a type
    that is known nowhere here stays, and so does a value that cannot be read."""
    status = _status(packed)
    before = status.SerializeToString()
    _reword(status, words)
    after = status.SerializeToString()
    return packed if after == before else base64.b64encode(after).decode()


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


def _details(packed: str | None) -> list[dict[str, Any]]:
    status = _status(packed or "")
    return [printed for detail in status.details if (printed := _printed(detail)) is not None]


def _status(packed: str) -> status_pb2.Status:
    try:
        return status_pb2.Status.FromString(base64.b64decode(packed + "=" * (-len(packed) % 4)))
    except (binascii.Error, DecodeError):
        return status_pb2.Status()


def _printed(detail: Packed) -> dict[str, Any] | None:
    # of a type that is known nowhere here, neither form can be made of the other
    try:
        found: dict[str, Any] = json_format.MessageToDict(detail)
    except (json_format.Error, TypeError, ValueError):
        return None
    return found


def _pack(detail: Any, status: status_pb2.Status) -> None:
    try:
        status.details.append(json_format.ParseDict(detail, Packed(), ignore_unknown_fields=True))
    except (json_format.Error, TypeError, ValueError, AttributeError):
        return
