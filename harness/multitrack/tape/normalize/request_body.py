"""Decode request bodies. All interceptors and modes use this module, so that they decode bodies in the same way."""

from __future__ import annotations

from dataclasses import replace

from multitrack.tape.exchange import Request
from multitrack.tape.normalize.content_encoding import decode_body


def decode_request(request: Request) -> Request:
    """Return ``request`` with the content encoding of its body removed.

    If a body cannot be decoded, the request is still valid, so it can be sent. The body stays unchanged and is
    compared byte by byte. ``Request.decoding_error`` contains the reason, which a miss reports.
    """
    # the metadata of a gRPC call does not describe the message, which an interceptor has converted already
    encoding = None if request.is_grpc else request.header("content-encoding")
    if encoding is None:
        return request
    try:
        return replace(request, body=decode_body(request.body, encoding))
    except ValueError as error:
        return replace(request, decoding_error=str(error))
