"""Generate ids and times that look like a provider's, but are derived from the request."""

from __future__ import annotations

import json
from collections import Counter
from hashlib import sha256
from threading import Lock
from typing import Any

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_EPOCH = 1_750_000_000
_SPAN = 8_000_000


class ResponseIds:
    """The ids of one response, derived from a seed. Equal seeds give equal ids."""

    def __init__(self, seed: str) -> None:
        self._seed = seed

    def _hash(self, label: str) -> int:
        return int.from_bytes(sha256(f"{self._seed}/{label}".encode()).digest(), "big")

    def alphanumeric(self, label: str, length: int) -> str:
        """Return ``length`` letters and digits. ``length`` is at most 42, because the digest has no more."""
        number = self._hash(label)
        digits = []
        for _ in range(length):
            number, digit = divmod(number, len(_ALPHABET))
            digits.append(_ALPHABET[digit])
        return "".join(digits)

    def hexadecimal(self, label: str, length: int) -> str:
        """Return ``length`` hexadecimal digits, at most 64."""
        return f"{self._hash(label):064x}"[:length]

    @property
    def created(self) -> int:
        """The creation time of the response, in seconds since 1970. Like the ids, it is derived from the seed."""
        return _EPOCH + self._hash("created") % _SPAN


class IdGenerator:
    """A generator of response ids, which depend only on the request and on the number of earlier requests that are
    equal to it.

    The n-th of several equal requests gets the same ids in every run, whatever was sent in between. Thread-safe.
    """

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = Lock()

    def next_ids(self, wire: str, body: Any) -> ResponseIds:
        """Return the ids for the next response to a request.

        Args:
            wire: The name of the request's wire format.
            body: The parsed JSON body of the request.
        """
        digest = sha256(f"{wire} {json.dumps(body, sort_keys=True)}".encode()).hexdigest()
        with self._lock:
            self._counts[digest] += 1
            return ResponseIds(f"{digest}#{self._counts[digest]}")
