"""Bodies: taken out of their content encoding, and brought to one canonical text for comparing."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable
from email.message import EmailMessage, Message
from email.parser import BytesParser
from email.policy import HTTP
from importlib import import_module
from typing import Any
from urllib.parse import parse_qsl

from multitrack.tape import jsontext


def decoded(body: bytes, encoding: str | None, *, whole: bool = True) -> bytes:
    """``body`` out of its content encoding (gzip, deflate, br, zstd, or several, comma-separated); where it is not
    ``whole``, as much as can be had of its beginning.

    Raises ValueError where the encoding is unknown, its library is not installed, or the body is no such data.
    """
    for name in reversed([part.strip().lower() for part in (encoding or "").split(",")]):
        if name in ("", "identity") or not body:
            continue
        try:
            body = _decode_one(body, name, whole)
        except ValueError:
            raise
        except Exception as error:  # each library has its own error types for damaged data
            raise ValueError(f"the body is no {name} data: {error}") from error
    return body


def _decode_one(body: bytes, name: str, whole: bool) -> bytes:
    match name:
        case "gzip" | "x-gzip":
            return _decompressed(body, lambda: zlib.decompressobj(zlib.MAX_WBITS | 16), whole)
        case "deflate":
            # servers send zlib data as RFC 9110 8.4.1.2 says, and raw deflate data as it does not
            try:
                return _decompressed(body, zlib.decompressobj, whole)
            except zlib.error:
                return _decompressed(body, lambda: zlib.decompressobj(-zlib.MAX_WBITS), whole)
        case "br":
            brotli = _library(name, "brotli", "brotlicffi")
            return bytes(brotli.decompress(body) if whole else brotli.Decompressor().process(body))
        case "zstd":
            library = _library(name, "compression.zstd", "backports.zstd", "zstandard")
            if library.__name__ == "zstandard":
                return _decompressed(body, lambda: library.ZstdDecompressor().decompressobj(), whole)
            return _decompressed(body, library.ZstdDecompressor, whole)
    raise ValueError(f"unknown content encoding {name!r}")


def _decompressed(body: bytes, decompressor: Callable[[], Any], whole: bool) -> bytes:
    pieces = []
    # compressed data may be several members or frames, one after the other
    while body:
        part = decompressor()
        pieces.append(part.decompress(body))
        if whole and not part.eof:
            raise ValueError("the body ends within its compressed data")
        body = part.unused_data if part.eof else b""
    return b"".join(pieces)


def _library(encoding: str, *modules: str) -> Any:
    for module in modules:
        try:
            return import_module(module)
        except ImportError:
            continue
    raise ValueError(f"reading a body in {encoding} needs one of the packages: {', '.join(modules)}")


def canonical(body: bytes, content_type: str | None) -> str:
    """One text for all bodies that mean the same: JSON by document, a form by its decoded pairs, multipart by
    its parts without the boundary, anything else by its bytes."""
    kind = (content_type or "").split(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        return jsontext.canonical(parse_qsl(body.decode("utf-8", "surrogateescape"), keep_blank_values=True))
    if kind.startswith("multipart/"):
        return jsontext.canonical(_parts(body, content_type or ""))
    # by its first byte and not by its type: providers' clients send JSON as text/plain, too
    if body.lstrip()[:1] in (b"{", b"["):
        try:
            return jsontext.canonical(jsontext.parse(body))
        except ValueError:
            pass
    return _text(body)


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return "base64:" + base64.b64encode(body).decode()


def _parts(body: bytes, content_type: str) -> list[list[object]]:
    head = b"Content-Type: " + content_type.encode() + b"\r\n\r\n"
    message: EmailMessage = BytesParser(policy=HTTP).parsebytes(head + body)
    return [
        [sorted([name.lower(), str(value)] for name, value in part.items()), _text(_payload(part))]
        for part in message.iter_parts()
    ]


def _payload(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""
