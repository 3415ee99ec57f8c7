"""Large pieces of base64 in requests (pictures, recordings, documents): each stands once on a tape, at its end, under
the sha256 of what it encodes, and in each body only its name.

Found again in every body, they are compared as they were sent; in a pull request, the bodies stay readable.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping

_LARGE = 1024
# the second is how google-genai writes bytes: https://www.rfc-editor.org/rfc/rfc4648#section-5
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{%d,}={0,2}|[A-Za-z0-9_-]{%d,}={0,2}" % (_LARGE, _LARGE))
_NAME = re.compile(rb"multitrack:sha256:([0-9a-f]{64})(:urlsafe)?")

_TO_URLSAFE = bytes.maketrans(b"+/", b"-_")
_FROM_URLSAFE = bytes.maketrans(b"-_", b"+/")


class Blobs:
    """The pieces of one tape, by the sha256 of what they encode, in the order of their first appearance."""

    def __init__(self, pieces: Mapping[str, str] | None = None) -> None:
        self.pieces = dict(pieces or {})

    def extract(self, body: bytes) -> bytes:
        """``body`` with names in the place of its large pieces, which are kept here."""
        return _BASE64.sub(self._name, body)

    def restore(self, body: bytes) -> bytes:
        """The body that `extract` made this one of. A name of a piece that is not here stays as it is."""
        return _NAME.sub(self._piece, body)

    def _piece(self, name: re.Match[bytes]) -> bytes:
        if (kept := self.pieces.get(name[1].decode())) is None:
            return name[0]
        piece = kept.encode()
        return piece.translate(_TO_URLSAFE) if name[2] else piece

    def _name(self, match: re.Match[bytes]) -> bytes:
        sent = match[0]
        piece = sent.translate(_FROM_URLSAFE)
        try:
            content = base64.b64decode(piece, validate=True)
        except binascii.Error:
            return sent
        # what encodes the same in other letters would not come back as it was
        if base64.b64encode(content) != piece:
            return sent
        digest = hashlib.sha256(content).hexdigest()
        self.pieces[digest] = piece.decode()
        return b"multitrack:sha256:" + digest.encode() + (b":urlsafe" if piece != sent else b"")
