"""The key that an OpenAI client is given if there is none."""

from __future__ import annotations

from multitrack.tape.credentials import is_replaying, raise_missing


class StandInKey(str):
    """A key that can be written into a header while a cassette replays, and otherwise raises the error for no key.

    Every release of OpenAI's SDK since 1.40 writes ``f"Bearer {key}"`` when it builds a request, outside its retries,
    and passes the key to copies of a client unchanged. So nothing is sent, and no private name of the SDK is needed.
    Do not pass it to an SDK that writes the key into a header in a different way.
    """

    missing: Exception

    @classmethod
    def replacing(cls, missing: Exception) -> StandInKey:
        """Return a key for the client whose constructor raised ``missing``."""
        key = cls("multitrack-stand-in")
        # the frames of its traceback would keep alive everything that the constructor's callers refer to
        key.missing = missing.with_traceback(None)
        return key

    def __format__(self, spec: str) -> str:
        if not is_replaying():
            raise_missing(self.missing)
        return super().__format__(spec)
