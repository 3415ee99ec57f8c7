"""Bodies: taken out of their content encoding, and brought to one canonical text for comparing."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Iterable
from email.message import EmailMessage, Message
from email.parser import BytesParser
from email.policy import HTTP
from importlib import import_module
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlencode

from multitrack.tape import jsontext


class NoLibrary(ValueError):
    """A body is in an encoding whose library is not installed; the message names what to install."""


def decoded(body: bytes, encoding: str | None, *, whole: bool = True) -> bytes:
    """``body`` out of its content encoding (gzip, deflate, br, zstd, or several, comma-separated); where it is not
    ``whole``, as much as can be had of its beginning.

    Raises ValueError where the encoding is unknown or the body is no such data, `NoLibrary` where its library is not
    installed.
    """
    return b"".join(decoded_parts([body], encoding, whole=whole))


def decoded_parts(parts: Iterable[bytes], encoding: str | None, *, whole: bool = True) -> list[bytes]:
    """The same for a body in ``parts``: what each brings. Some may bring nothing before the next one came."""
    found = list(parts)
    for name in reversed([part.strip().lower() for part in (encoding or "").split(",")]):
        if name in ("", "identity") or not any(found):
            continue
        try:
            decoder = _decoder(name)
            found = [decoder.decompress(part) for part in found]
            ended = decoder.eof
        except ValueError:
            raise
        except Exception as error:  # each library has its own error types for damaged data
            raise ValueError(f"the body is no {name} data: {error}") from error
        if whole and not ended:
            raise ValueError(f"the body ends within its {name} data")
    return found


class _Decoder(Protocol):
    @property
    def eof(self) -> bool: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def _decoder(name: str) -> _Decoder:
    match name:
        case "gzip" | "x-gzip":
            return _Members(lambda: zlib.decompressobj(zlib.MAX_WBITS | 16))
        case "deflate":
            return _Deflate()
        case "br":
            return _Brotli(_library(name, "brotli", "brotlicffi").Decompressor())
        case "zstd":
            library = _library(name, "compression.zstd", "backports.zstd", "zstandard")
            if library.__name__ == "zstandard":
                return _Members(lambda: library.ZstdDecompressor().decompressobj())
            return _Members(library.ZstdDecompressor)
    raise ValueError(f"unknown content encoding {name!r}")


class _Members:
    """Compressed data that may be several members or frames, one after the other."""

    def __init__(self, decompressor: Callable[[], Any]) -> None:
        self._new = decompressor
        self._member = decompressor()

    @property
    def eof(self) -> bool:
        return bool(self._member.eof)

    def decompress(self, data: bytes) -> bytes:
        pieces = []
        while data:
            if self._member.eof:
                self._member = self._new()
            pieces.append(self._member.decompress(data))
            data = self._member.unused_data if self._member.eof else b""
        return b"".join(pieces)


class _Deflate:
    """Servers send zlib data as RFC 9110 8.4.1.2 says, and raw deflate data as it does not."""

    def __init__(self) -> None:
        self._members = _Members(zlib.decompressobj)
        self._read = b""

    @property
    def eof(self) -> bool:
        return self._members.eof

    def decompress(self, data: bytes) -> bytes:
        before, self._read = self._read, (self._read + data)[:2]
        try:
            return self._members.decompress(data)
        except zlib.error:
            # the two bytes that tell zlib data may come one by one
            if len(before) >= 2:
                raise
            self._members = _Members(lambda: zlib.decompressobj(-zlib.MAX_WBITS))
            return self._members.decompress(before + data)


class _Brotli:
    def __init__(self, decompressor: Any) -> None:
        self._decompressor = decompressor

    @property
    def eof(self) -> bool:
        return bool(self._decompressor.is_finished())

    def decompress(self, data: bytes) -> bytes:
        return bytes(self._decompressor.process(data)) if data else b""


_PACKAGES = {"br": "brotli", "zstd": "zstandard"}


def _library(encoding: str, *modules: str) -> Any:
    for module in modules:
        try:
            return import_module(module)
        except ImportError:
            continue
    raise NoLibrary(f"reading a body in {encoding} needs: pip install {_PACKAGES[encoding]}")


def canonical(body: bytes, content_type: str | None) -> str:
    """One text for all bodies that mean the same: JSON by document, a form by its decoded pairs, multipart by
    its parts without the boundary, anything else by its bytes."""
    kind = (content_type or "").split(";")[0].strip().lower()
    # a form's type that aiohttp adds itself is not on the tapes of recorders that sit above it
    if kind == "application/x-www-form-urlencoded" or (not kind and _is_form(body)):
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


def _is_form(body: bytes) -> bool:
    text = body.decode("latin-1")
    return bool(text) and urlencode(parse_qsl(text, keep_blank_values=True)) == text


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
