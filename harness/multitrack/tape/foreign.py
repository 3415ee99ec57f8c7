"""Tapes of other recorders: what vcrpy wrote, and the tools on top of it, read by vcrpy itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vcr.serialize import deserialize
from vcr.serializers import yamlserializer

from multitrack.errors import CassetteCorrupt
from multitrack.tape import body
from multitrack.tape.cassette import Cassette
from multitrack.tape.exchange import Headers, Request, Response
from multitrack.tape.interaction import Interaction


def loads(text: str, path: Path) -> Cassette:
    """The cassette that vcrpy reads from ``text``; ``path`` is for messages. Raises `CassetteCorrupt`."""
    try:
        requests, responses, *_ = deserialize(text, yamlserializer)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CassetteCorrupt(path, f"vcrpy cannot read it: {error}") from error
    pairs = zip(requests, responses, strict=True)
    return Cassette(tuple(_interaction(position, *pair, path=path) for position, pair in enumerate(pairs, start=1)))


def _interaction(position: int, request: Any, response: Any, *, path: Path) -> Interaction:
    try:
        sent = _pairs(request.headers)
        answered = _pairs(response["headers"])
        return Interaction(
            Request(request.method, request.uri, sent, _decoded(_bytes(request.body), sent)),
            Response(
                int(response["status"]["code"]),
                str(response["status"].get("message") or ""),
                tuple(header for header in answered if header[0] not in ("content-encoding", "content-length")),
                _decoded(_bytes(response["body"]["string"]), answered),
            ),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CassetteCorrupt(path, f"interaction {position}: {type(error).__name__}: {error}") from error


def _pairs(headers: Any) -> Headers:
    return tuple(
        (str(name).lower(), str(value))
        for name, values in headers.items()
        for value in (values if isinstance(values, list | tuple) else [values])
    )


def _bytes(content: Any) -> bytes:
    if content is None:
        return b""
    return content.encode() if isinstance(content, str) else bytes(content)


def _decoded(content: bytes, headers: Headers) -> bytes:
    encoding = next((value for name, value in headers if name == "content-encoding"), None)
    try:
        return body.decoded(content, encoding)
    except ValueError:
        # recorders that decode bodies leave the header in place
        return content
