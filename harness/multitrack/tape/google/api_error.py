"""Convert Google API errors. REST writes them as an error object in the body, and gRPC as the status of the call.

https://google.aip.dev/193 describes both. The HTTP status of each code is from
https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto. An error's details are converted only if
googleapis-common-protos is installed, because it defines their types.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from multitrack.tape.exchange import Headers, Response

# the codes in the order of their gRPC numbers, each with its HTTP status
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
# the code of an error that has only an HTTP status, which several codes may share
_NUMBER_BY_STATUS = {status: number for number, (_, status) in reversed(list(enumerate(_CODES)))} | {
    409: _NUMBERS["ABORTED"],
    500: _NUMBERS["INTERNAL"],
}


def build_error_object(response: Response) -> dict[str, Any] | None:
    """Return the REST error object for the status of a gRPC call. None if the call succeeded."""
    text = response.header("grpc-status") or "0"
    if text == "0":
        return None
    number = int(text) if text.isdecimal() and int(text) < len(_CODES) else _UNKNOWN
    name, status = _CODES[number]
    error: dict[str, Any] = {"code": status, "message": response.header("grpc-message") or "", "status": name}
    if details := _read_details(response.header("grpc-status-details-bin") or ""):
        error["details"] = details
    return error


def build_trailers(error: dict[str, Any] | None) -> Headers:
    """Return a gRPC call's trailers for the REST error object ``error``. None stands for success."""
    if error is None:
        return (("grpc-status", "0"),)
    number = _NUMBERS.get(error.get("status", ""), _NUMBER_BY_STATUS.get(error.get("code", 0), _UNKNOWN))
    message = str(error.get("message", ""))
    headers: Headers = (("grpc-status", str(number)), *((("grpc-message", message),) if message else ()))
    details = _pack_details(number, message, error.get("details", ()))
    return (*headers, ("grpc-status-details-bin", details)) if details else headers


def _read_details(packed: str) -> list[dict[str, Any]]:
    try:
        from multitrack.tape.google import status_details
    except ImportError:
        return []
    return status_details.read_details(packed)


def _pack_details(number: int, message: str, details: Iterable[Any]) -> str | None:
    try:
        from multitrack.tape.google import status_details
    except ImportError:
        return None
    return status_details.pack_details(number, message, details)
