"""Support vcrpy's filters in projects that migrate from vcrpy.

The filters remove parts of a request or a response, or exclude a request from recording:

https://vcrpy.readthedocs.io/en/latest/advanced.html#filter-sensitive-data-from-the-request
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import vcr
import vcr.request

from multitrack.tape.exchange import Headers, Request, Response


class VcrFilters:
    """The filters that vcrpy creates from its options (``filter_headers``, ``before_record_request``, ...)."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        merged = vcr.VCR(**options).get_merged_config()
        self._request = merged["before_record_request"]
        self._response = merged["before_record_response"]

    def filter_request(self, request: Request) -> Request | None:
        """Return the filtered ``request``. None if it is not recorded."""
        sent = vcr.request.Request(request.method, request.url, request.body, _group_headers(request.headers))
        filtered = self._request(sent)
        if filtered is None:
            return None
        return replace(
            request,
            method=filtered.method,
            url=filtered.uri,
            headers=_flatten_headers(filtered.headers),
            body=_encode_body(filtered.body),
        )

    def filter_response(self, response: Response) -> Response | None:
        """Return the filtered ``response``. None if it is not recorded."""
        filtered = self._response(
            {
                "status": {"code": response.status, "message": response.reason},
                "headers": _group_headers(response.headers),
                "body": {"string": response.body},
            }
        )
        if filtered is None:
            return None
        return replace(
            response,
            status=filtered["status"]["code"],
            reason=filtered["status"]["message"],
            headers=_flatten_headers(filtered["headers"]),
            body=_encode_body(filtered["body"]["string"]),
        )


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
