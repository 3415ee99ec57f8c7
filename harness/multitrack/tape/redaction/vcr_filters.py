"""vcrpy's own filters, for projects that come from it: what they take out of a request or an answer, and which
requests they leave alone.

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
    """The filters that vcrpy makes of its ``options`` (``filter_headers``, ``before_record_request``, ...)."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        merged = vcr.VCR(**options).get_merged_config()
        self._request = merged["before_record_request"]
        self._response = merged["before_record_response"]

    def filter_request(self, request: Request) -> Request | None:
        """What is left of ``request``; None where it is not one to be recorded."""
        sent = vcr.request.Request(request.method, request.url, request.body, _grouped(request.headers))
        left = self._request(sent)
        if left is None:
            return None
        return replace(request, method=left.method, url=left.uri, headers=_pairs(left.headers), body=_bytes(left.body))

    def filter_response(self, response: Response) -> Response | None:
        """What is left of ``response``; None where it is not one to be recorded."""
        left = self._response(
            {
                "status": {"code": response.status, "message": response.reason},
                "headers": _grouped(response.headers),
                "body": {"string": response.body},
            }
        )
        if left is None:
            return None
        return replace(
            response,
            status=left["status"]["code"],
            reason=left["status"]["message"],
            headers=_pairs(left["headers"]),
            body=_bytes(left["body"]["string"]),
        )


def _grouped(headers: Headers) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name, value in headers:
        grouped.setdefault(name, []).append(value)
    return grouped


def _pairs(headers: Mapping[str, Any]) -> Headers:
    return tuple(
        (name.lower(), value)
        for name, values in headers.items()
        for value in (values if isinstance(values, list | tuple) else [values])
    )


def _bytes(body: Any) -> bytes:
    return body.encode() if isinstance(body, str) else bytes(body or b"")
