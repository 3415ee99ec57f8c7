"""An error of a Google API in both its forms: the error object of a REST body, and the status of a gRPC call.

https://google.aip.dev/193 says what is in them; which HTTP status goes with which code,
https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto. Its details are left out where no
googleapis-common-protos is installed, which has their types.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from multitrack.tape.exchange import Headers, Response

# each code by its number in gRPC, with its HTTP status in REST
_CODES = (
    ("OK", 200),
    ("CANCELLED", 499),
    ("UNKNOWN", 500),
    ("INVALID_ARGUMENT", 400),
    ("DEADLINE_EXCEEDED", 504),
    ("NOT_FOUND", 404),
    ("ALREADY_EXISTS", 409),
    ("PERMISSION_DENIED", 403),
    ("RESOURCE_EXHAUSTED", 429),
    ("FAILED_PRECONDITION", 400),
    ("ABORTED", 409),
    ("OUT_OF_RANGE", 400),
    ("UNIMPLEMENTED", 501),
    ("INTERNAL", 500),
    ("UNAVAILABLE", 503),
    ("DATA_LOSS", 500),
    ("UNAUTHENTICATED", 401),
)
_NUMBERS = {name: number for number, (name, _) in enumerate(_CODES)}
_UNKNOWN = _NUMBERS["UNKNOWN"]
# of several codes with one HTTP status, the one for an error that does not name its code
_MEANT = {status: number for number, (_, status) in reversed(list(enumerate(_CODES)))} | {
    409: _NUMBERS["ABORTED"],
    500: _NUMBERS["INTERNAL"],
}


def error_object(response: Response) -> dict[str, Any] | None:
    """The error of a gRPC call as REST tells it; None where the call went well."""
    told = response.header("grpc-status") or "0"
    if told == "0":
        return None
    number = int(told) if told.isdecimal() and int(told) < len(_CODES) else _UNKNOWN
    name, status = _CODES[number]
    error: dict[str, Any] = {"code": status, "message": response.header("grpc-message") or "", "status": name}
    if details := _printed(response.header("grpc-status-details-bin") or ""):
        error["details"] = details
    return error


def trailers(error: dict[str, Any] | None) -> Headers:
    """The headers in which a gRPC call tells ``error``, the error object of a REST body; None: that it went well."""
    if error is None:
        return (("grpc-status", "0"),)
    number = _NUMBERS.get(error.get("status", ""), _MEANT.get(error.get("code", 0), _UNKNOWN))
    message = str(error.get("message", ""))
    found = (("grpc-status", str(number)), *((("grpc-message", message),) if message else ()))
    details = _packed(number, message, error.get("details", ()))
    return (*found, ("grpc-status-details-bin", details)) if details else found


def _printed(packed: str) -> list[dict[str, Any]]:
    try:
        from multitrack.tape.google import status_details
    except ImportError:
        return []
    return status_details.printed(packed)


def _packed(number: int, message: str, details: Iterable[Any]) -> str | None:
    try:
        from multitrack.tape.google import status_details
    except ImportError:
        return None
    return status_details.packed(number, message, details)
