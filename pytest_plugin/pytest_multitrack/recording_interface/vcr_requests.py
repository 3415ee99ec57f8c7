"""Convert requests and responses to vcrpy's objects, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import vcr.request
import vcr.util

from multitrack.tape.exchange import Headers, Request, Response


def to_vcr_request(request: Request) -> Any:
    """Return ``request`` as a ``vcr.request.Request``."""
    return vcr.request.Request(request.method, request.url, request.body, _group_headers(request.headers))


def from_vcr_request(changed: Any, request: Request) -> Request:
    """Return ``request`` with the values of ``changed``, the object that a filter returned."""
    return replace(
        request,
        method=changed.method,
        url=changed.uri,
        headers=_flatten_headers(changed.headers),
        body=_encode_body(changed.body),
    )


def to_vcr_response(response: Response) -> dict[str, Any]:
    """Return ``response`` as the dictionary that vcrpy's functions receive. Lookups of its headers ignore case."""
    headers, body = response.headers, response.body
    if response.encoding and response.encoded_body is not None:
        headers, body = (*headers, ("content-encoding", response.encoding)), response.encoded_body
    return {
        "status": {"code": response.status, "message": response.reason},
        "headers": vcr.util.CaseInsensitiveDict(_group_headers(headers)),
        "body": {"string": body},
    }


def from_vcr_response(changed: Mapping[str, Any], response: Response) -> Response:
    """Return ``response`` with the values of ``changed``, the dictionary that a filter returned."""
    headers, body = _flatten_headers(changed["headers"]), _encode_body(changed["body"]["string"])
    result = replace(
        response,
        status=changed["status"]["code"],
        reason=changed["status"]["message"],
        headers=tuple(header for header in headers if header[0] != "content-encoding"),
    )
    if response.encoded_body is None:
        return replace(result, body=body)
    if body == response.encoded_body and ("content-encoding", response.encoding) in headers:
        return result
    # the function has decoded the body
    return replace(result, body=body, encoding="", encoded_body=None)


def _group_headers(headers: Headers) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name, value in headers:
        grouped.setdefault(name, []).append(value)
    return grouped


def _flatten_headers(headers: Mapping[str, Any]) -> Headers:
    return tuple(
        (name.lower(), value)
        for name, values in headers.items()
        for value in (values if isinstance(values, list | tuple) else [values])
    )


def _encode_body(body: Any) -> bytes:
    return body.encode() if isinstance(body, str) else bytes(body or b"")
