"""Decode content encodings: gzip, deflate, br and zstd."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any, Protocol

# gzip shrinks real cassettes by less than this factor, but a file of zeros by a factor of a thousand
_LARGEST_RATIO = 100
_LARGEST_SMALL_CONTENT = 10_000_000
# small, because brotli can expand a few bytes to many megabytes, and its decoder has no limit of its own
_PIECE_SIZE = 64


def largest_decoded_size(size: int) -> int:
    """Return the largest accepted size, in bytes, of a decoded body that has ``size`` bytes when compressed."""
    return _LARGEST_SMALL_CONTENT + size * _LARGEST_RATIO


class DecodedTooLarge(ValueError):
    """Raised for a compression bomb: a body that would have more bytes than ``largest_decoded_size`` when decoded."""

    def __init__(self, encoding: str) -> None:
        super().__init__(f"the {encoding} data is compressed so much that it cannot come from a real server")


class DecoderNotInstalled(ValueError):
    """Raised if the library for ``encoding`` is not installed. ``command`` installs it."""

    def __init__(self, encoding: str, package: str) -> None:
        super().__init__(f"the content encoding {encoding} requires another package: pip install {package}")
        self.encoding = encoding
        self.command = f"pip install {package}"


def decode_body(body: bytes, encoding: str | None, *, is_complete: bool = True) -> bytes:
    """Return ``body`` without its content encoding.

    Args:
        body: The encoded body.
        encoding: The value of the ``content-encoding`` header: one or several names, comma-separated. None if there
            is no such header.
        is_complete: Whether ``body`` is the whole body. If it is not, its beginning is decoded as far as possible.

    Raises:
        ValueError: The encoding is unknown, or the body is damaged.
        DecoderNotInstalled: The library for the encoding is not installed.
        DecodedTooLarge: The body would fill the memory.
    """
    most = largest_decoded_size(len(body))
    return b"".join(decode_parts([body], encoding, is_complete=is_complete, most=most))


def decode_parts(
    parts: Iterable[bytes], encoding: str | None, *, is_complete: bool = True, most: int | None = None
) -> list[bytes]:
    """Decode a body that arrived in ``parts``, as ``decode_body`` does.

    Raise ``DecodedTooLarge`` if the result would have more than ``most`` bytes. By default, there is no limit.

    The result has one item per part. An item is empty if its part cannot be decoded before the next part is read.
    """
    decoded = list(parts)
    for name in reversed([part.strip().lower() for part in (encoding or "").split(",")]):
        if name in ("", "identity") or not any(decoded):
            continue
        try:
            decoder = _create_decoder(name)
            decompress = decoder.decompress if most is None else _LimitedDecompression(decoder, name, most)
            decoded = [decompress(part) for part in decoded]
            has_ended = decoder.eof
        except ValueError:
            raise
        except Exception as error:  # each library has its own error types for damaged data
            raise ValueError(f"the body is not valid {name} data: {error}") from error
        if is_complete and not has_ended:
            raise ValueError(f"the body ends in the middle of its {name} data")
    return decoded


class _Decoder(Protocol):
    @property
    def eof(self) -> bool: ...
    def decompress(self, data: bytes, /) -> bytes: ...


def _create_decoder(name: str) -> _Decoder:
    match name:
        case "gzip" | "x-gzip":
            return _MultiMemberDecoder(lambda: zlib.decompressobj(zlib.MAX_WBITS | 16))
        case "deflate":
            return _DeflateDecoder()
        case "br":
            return _BrotliDecoder(_import_library(name, "brotli", "brotlicffi").Decompressor())
        case "zstd":
            library = _import_library(name, "compression.zstd", "backports.zstd", "zstandard")
            if library.__name__ == "zstandard":
                return _MultiMemberDecoder(lambda: library.ZstdDecompressor().decompressobj())
            return _MultiMemberDecoder(library.ZstdDecompressor)
    raise ValueError(f"unknown content encoding {name!r}")


class _LimitedDecompression:
    """A decompression in small pieces that stops at a size limit. It works with any library's decoder."""

    def __init__(self, decoder: _Decoder, name: str, most: int) -> None:
        self._decoder = decoder
        self._name = name
        self._most = most

    def __call__(self, data: bytes) -> bytes:
        pieces: list[bytes] = []
        for start in range(0, len(data), _PIECE_SIZE):
            pieces.append(self._decoder.decompress(data[start : start + _PIECE_SIZE]))
            self._most -= len(pieces[-1])
            if self._most < 0:
                raise DecodedTooLarge(self._name)
        return b"".join(pieces)


class _MultiMemberDecoder:
    """A decoder for compressed data that can consist of several members or frames in a row."""

    def __init__(self, create_decompressor: Callable[[], Any]) -> None:
        self._create_decompressor = create_decompressor
        self._member = create_decompressor()

    @property
    def eof(self) -> bool:
        return bool(self._member.eof)

    def decompress(self, data: bytes) -> bytes:
        pieces = []
        while data:
            if self._member.eof:
                self._member = self._create_decompressor()
            pieces.append(self._member.decompress(data))
            data = self._member.unused_data if self._member.eof else b""
        return b"".join(pieces)


class _DeflateDecoder:
    """A decoder for zlib data and for raw deflate data.

    RFC 9110 section 8.4.1.2 requires zlib data, but some servers send raw deflate data.
    """

    def __init__(self) -> None:
        self._members = _MultiMemberDecoder(zlib.decompressobj)
        self._head = b""

    @property
    def eof(self) -> bool:
        return self._members.eof

    def decompress(self, data: bytes) -> bytes:
        previous, self._head = self._head, (self._head + data)[:2]
        try:
            return self._members.decompress(data)
        except zlib.error:
            # the two bytes that identify zlib data may arrive one at a time
            if len(previous) >= 2:
                raise
            self._members = _MultiMemberDecoder(lambda: zlib.decompressobj(-zlib.MAX_WBITS))
            return self._members.decompress(previous + data)


class _BrotliDecoder:
    def __init__(self, decompressor: Any) -> None:
        self._decompressor = decompressor

    @property
    def eof(self) -> bool:
        return bool(self._decompressor.is_finished())

    def decompress(self, data: bytes) -> bytes:
        return bytes(self._decompressor.process(data)) if data else b""


_PACKAGES = {"br": "brotli", "zstd": "zstandard"}


def _import_library(encoding: str, *modules: str) -> Any:
    for module in modules:
        try:
            return import_module(module)
        except ImportError:
            continue
    raise DecoderNotInstalled(encoding, _PACKAGES[encoding])
