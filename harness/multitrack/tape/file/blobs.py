"""Store the large base64 data in requests (images, audio and documents) separately from the bodies.

Each piece of data is stored once, at the end of the cassette. Its name is the sha256 of the decoded content. The
bodies contain only the names, so that they stay readable in a pull request. When a cassette is read, the data is put
back into the bodies, and requests are matched by these complete bodies.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping

_LARGE = 1024
# the second alternative is how google-genai encodes bytes: https://www.rfc-editor.org/rfc/rfc4648#section-5
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{%d,}={0,2}|[A-Za-z0-9_-]{%d,}={0,2}" % (_LARGE, _LARGE))
_NAME = re.compile(rb"multitrack:sha256:([0-9a-f]{64})(:urlsafe)?")

_TO_URLSAFE = bytes.maketrans(b"+/", b"-_")
_FROM_URLSAFE = bytes.maketrans(b"-_", b"+/")


class Blobs:
    """The pieces of large base64 data in one cassette.

    ``pieces`` maps the sha256 of a piece's decoded content to the piece, in order of appearance.
    """

    def __init__(self, pieces: Mapping[str, str] | None = None) -> None:
        self.pieces = dict(pieces or {})

    def extract(self, body: bytes) -> bytes:
        """Store the large base64 data in ``body``, and replace each piece of data with its name."""
        return _BASE64.sub(self._replace_piece, body)

    def restore(self, body: bytes) -> bytes:
        """Return ``body`` with each name replaced by its base64 data. Unknown names are left unchanged."""
        if not self.pieces:
            return body
        return _NAME.sub(self._replace_name, body)

    def _replace_name(self, name: re.Match[bytes]) -> bytes:
        if (stored := self.pieces.get(name[1].decode())) is None:
            return name[0]
        piece = stored.encode()
        return piece.translate(_TO_URLSAFE) if name[2] else piece

    def _replace_piece(self, match: re.Match[bytes]) -> bytes:
        sent = match[0]
        piece = sent.translate(_FROM_URLSAFE)
        try:
            content = base64.b64decode(piece, validate=True)
        except binascii.Error:
            return sent
        # a different encoding of the same content could not be restored exactly
        if base64.b64encode(content) != piece:
            return sent
        digest = hashlib.sha256(content).hexdigest()
        self.pieces[digest] = piece.decode()
        return b"multitrack:sha256:" + digest.encode() + (b":urlsafe" if piece != sent else b"")
