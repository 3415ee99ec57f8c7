"""The stand-in key for an OpenAI client that is created without a key."""

from __future__ import annotations

from typing import Any

from multitrack.tape.credentials import is_active, is_replaying, raise_missing
from multitrack.tape.stand_in_word import STAND_IN_WORD


class StandInKey(str):
    """A stand-in for a missing API key. A client can put it into a header only while a cassette is being replayed.

    At other times, using the key raises the SDK's error for a missing key. When OpenAI's SDK (1.40 or later) builds a
    request, it formats ``f"Bearer {key}"``. Formatting the key raises the error, so the request is never sent. The
    SDK does not retry, because it builds requests outside its retries. Copies of a client get the same key. For these
    reasons, no private name of the SDK needs a patch.

    Other code can read the key from a client and write it into a header without formatting, such as by concatenation.
    Concatenation raises the same error, except while modules are being imported: at import, an application may use
    the key to create a client of its own. ``Tape`` refuses to send the requests of such a client.
    """

    missing: Exception

    @classmethod
    def replacing(cls, missing: Exception) -> StandInKey:
        """Return a stand-in key for the client whose constructor raised ``missing``."""
        key = cls(STAND_IN_WORD)
        # the frames in the traceback of the error would keep alive everything that the constructor's callers refer to
        key.missing = missing.with_traceback(None)
        return key

    def __format__(self, spec: str) -> str:
        if not is_replaying():
            raise_missing(self.missing)
        return super().__format__(spec)

    def __radd__(self, before: Any) -> str:
        self._refuse_to_be_sent()
        return str(before) + str(self)

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Return the key as the bytes that a client writes into a header."""
        self._refuse_to_be_sent()
        return super().encode(encoding, errors)

    def _refuse_to_be_sent(self) -> None:
        if not is_active() and not is_replaying():
            raise_missing(self.missing)


class EncodedStandInKey(StandInKey):
    """A stand-in for the missing API key of an Anthropic client. The key is never sent.

    Old releases of the SDK write the key into a header with ``encode`` instead of an f-string. Therefore, ``encode``
    must also raise the error for a missing key.
    """

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Return the key in bytes, as a client writes it into a header."""
        if not is_replaying():
            raise_missing(self.missing)
        return super().encode(encoding, errors)
