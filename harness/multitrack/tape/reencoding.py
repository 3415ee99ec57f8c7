"""Encode replayed bodies. Cassettes contain decoded bodies, but some clients expect an encoded body.

The encoders do not compress. They are fast, need no library, and produce valid data in which each chunk can be
decoded when it arrives. The encoded data differs from the provider's, but the decoded data is the same.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Sequence

from multitrack.tape import event_framing

_Encoder = Callable[[Sequence[bytes], bool], Iterator[bytes]]


def split_encodings(header: str | None) -> list[str]:
    """Return the content encodings in a ``content-encoding`` header, in lower case, without ``identity``."""
    names = [name.strip().lower() for name in (header or "").split(",")]
    return [name for name in names if name not in ("", "identity")]


def without_framing(encoding: str) -> str:
    """Return the content encodings in ``encoding``, without the names of event-stream formats."""
    return ", ".join(name for name in split_encodings(encoding) if name not in event_framing.FRAMINGS)


def keep_framing(encoding: str) -> str:
    """Return only the part of ``encoding`` that names the framing of an event stream. Empty if there is none."""
    return ", ".join(name for name in split_encodings(encoding) if name in event_framing.FRAMINGS)


def can_encode(header: str) -> bool:
    """Return whether ``encode_chunks`` supports all content encodings in ``header``."""
    return all(name in _ENCODERS for name in split_encodings(header))


def is_accepted(header: str, accept_encoding: str | None) -> bool:
    """Return whether a request with this ``accept-encoding`` accepts the content encodings in ``header``.

    See https://www.rfc-editor.org/rfc/rfc9110#section-12.5.3: without the header, any encoding is accepted.
    """
    if accept_encoding is None:
        return True
    accepted: dict[str, bool] = {}
    for item in accept_encoding.lower().split(","):
        name, _, weight = item.partition(";")
        accepted[name.strip().removeprefix("x-")] = weight.replace(" ", "").rstrip("0.") not in ("q=", "q")
    default = accepted.get("*", False)
    return all(accepted.get(name.removeprefix("x-"), default) for name in split_encodings(without_framing(header)))


def is_raw_deflate(body: bytes, header: str) -> bool:
    """Return whether the encoded ``body`` is raw deflate data (without the zlib wrapper), which some servers send.

    Raw deflate data and zlib data are both called ``deflate`` in ``header``, but some clients can read only one of
    these two formats.
    """
    if split_encodings(header)[-1:] != ["deflate"]:
        return False
    try:
        zlib.decompressobj().decompress(body)
    except zlib.error:
        return True
    return False


def encode_chunks(
    chunks: Sequence[bytes], header: str, *, is_complete: bool, is_raw_deflate: bool = False
) -> list[bytes]:
    """Encode ``chunks`` with the content encodings in ``header``. Each chunk becomes one encoded chunk.

    Args:
        chunks: The chunks of the decoded body.
        header: The content encodings.
        is_complete: Whether the body is complete. If it is not, the encoded data lacks its end mark, too.
        is_raw_deflate: If the last encoding is ``deflate``, whether to write raw deflate data (without the zlib
            wrapper).
    """
    if not any(chunks):
        return list(chunks)
    encoded = list(chunks)
    encoders = [_ENCODERS[name] for name in split_encodings(header)]
    if is_raw_deflate:
        encoders[-1] = _encode_raw_deflate
    for encode in encoders:
        encoded = list(encode(encoded, is_complete))
    return encoded


def _encode_deflate(chunks: Sequence[bytes], is_complete: bool) -> Iterator[bytes]:
    """Encode as zlib data. See https://www.rfc-editor.org/rfc/rfc1950."""
    checksum = 1
    for chunk in chunks:
        checksum = zlib.adler32(chunk, checksum)
    return _store(chunks, b"\x78\x01", struct.pack(">I", checksum) if is_complete else None)


def _encode_raw_deflate(chunks: Sequence[bytes], is_complete: bool) -> Iterator[bytes]:
    return _store(chunks, b"", b"" if is_complete else None)


def _encode_gzip(chunks: Sequence[bytes], is_complete: bool) -> Iterator[bytes]:
    """Encode as a single gzip member. See https://www.rfc-editor.org/rfc/rfc1952."""
    checksum = 0
    for chunk in chunks:
        checksum = zlib.crc32(chunk, checksum)
    end = struct.pack("<II", checksum, sum(map(len, chunks)) & 0xFFFFFFFF)
    return _store(chunks, b"\x1f\x8b\x08\0\0\0\0\0\0\xff", end if is_complete else None)


def _store(chunks: Sequence[bytes], head: bytes, end: bytes | None) -> Iterator[bytes]:
    """Yield ``chunks`` as uncompressed deflate blocks. See https://www.rfc-editor.org/rfc/rfc1951#section-3.2.4."""
    for position, chunk in enumerate(chunks, start=1):
        blocks = [head]
        head = b""
        for start in range(0, len(chunk), _DEFLATE_BLOCK):
            block = chunk[start : start + _DEFLATE_BLOCK]
            blocks += [struct.pack("<BHH", 0, len(block), len(block) ^ 0xFFFF), block]
        if end is not None and position == len(chunks):
            blocks += [b"\1\0\0\xff\xff", end]
        yield b"".join(blocks)


def _encode_aws_events(chunks: Sequence[bytes], is_complete: bool) -> Iterator[bytes]:
    del is_complete  # the end of such a stream has no mark
    return event_framing.encode_events(chunks, event_framing.EVENTS)


def _encode_aws_chunks(chunks: Sequence[bytes], is_complete: bool) -> Iterator[bytes]:
    del is_complete
    return event_framing.encode_events(chunks, event_framing.CHUNKS)


def _encode_brotli(chunks: Sequence[bytes], is_complete: bool) -> Iterator[bytes]:
    """Encode as uncompressed meta-blocks. See https://www.rfc-editor.org/rfc/rfc7932#section-9.2."""
    shift = 1  # the first bit of the data is the window size, 0 for 16 bits
    for position, chunk in enumerate(chunks, start=1):
        blocks = []
        for start in range(0, len(chunk), _BROTLI_BLOCK):
            block = chunk[start : start + _BROTLI_BLOCK]
            head = ((len(block) - 1) << 3 | 1 << 19) << shift
            blocks += [head.to_bytes(3, "little"), block]
            shift = 0
        if is_complete and position == len(chunks):
            blocks.append((0b11 << shift).to_bytes(1, "little"))
        yield b"".join(blocks)


def _encode_zstd(chunks: Sequence[bytes], is_complete: bool) -> Iterator[bytes]:
    """Encode as raw zstd blocks. See https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1."""
    size = sum(map(len, chunks))
    # functions that decode a whole body at once require its size
    head = struct.pack("<IBBI", _ZSTD_MAGIC, 0b1000_0000, _ZSTD_WINDOW, size)
    if not is_complete or size >= 1 << 32:
        head = struct.pack("<IBB", _ZSTD_MAGIC, 0, _ZSTD_WINDOW)
    for position, chunk in enumerate(chunks, start=1):
        blocks = [head]
        head = b""
        for start in range(0, len(chunk), _ZSTD_BLOCK):
            block = chunk[start : start + _ZSTD_BLOCK]
            blocks += [(len(block) << 3).to_bytes(3, "little"), block]
        if is_complete and position == len(chunks):
            blocks.append(b"\1\0\0")
        yield b"".join(blocks)


_DEFLATE_BLOCK = (1 << 16) - 1
_BROTLI_BLOCK = 1 << 16
_ZSTD_MAGIC = 0xFD2FB528
_ZSTD_WINDOW = 7 << 3
"""A window of 128 KiB, which is the size of the largest block."""
_ZSTD_BLOCK = 1 << 17

_ENCODERS: dict[str, _Encoder] = {
    "gzip": _encode_gzip,
    "x-gzip": _encode_gzip,
    "deflate": _encode_deflate,
    "br": _encode_brotli,
    "zstd": _encode_zstd,
    event_framing.EVENTS: _encode_aws_events,
    event_framing.CHUNKS: _encode_aws_chunks,
}
