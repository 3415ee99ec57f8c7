"""Decode the body of a request: the only place that does, for every client library and every mode."""

from __future__ import annotations

from dataclasses import replace

from multitrack.tape.exchange import Request
from multitrack.tape.normalize.content_encoding import decode_body


def decode_request(request: Request) -> Request:
    """Return ``request`` with its body without the content encoding.

    A body that cannot be decoded stays as it was sent, because the request may still go live, and is compared byte by
    byte. `Request.decoding_error` then has the reason, which a miss reports.
    """
    # the metadata of a gRPC call does not describe the message, which an interceptor has converted already
    encoding = None if request.is_grpc else request.header("content-encoding")
    if encoding is None:
        return request
    try:
        return replace(request, body=decode_body(request.body, encoding))
    except ValueError as error:
        return replace(request, decoding_error=str(error))
