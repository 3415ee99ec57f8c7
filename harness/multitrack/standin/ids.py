"""Ids and times that look like a provider's and follow from the request alone."""

from __future__ import annotations

import json
from collections import Counter
from hashlib import sha256
from threading import Lock
from typing import Any

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_EPOCH = 1_750_000_000
_SPAN = 8_000_000


class Ids:
    """The ids of one answer, all derived from ``seed``: the same seed, the same ids."""

    def __init__(self, seed: str) -> None:
        self._seed = seed

    def _number(self, label: str) -> int:
        return int.from_bytes(sha256(f"{self._seed}/{label}".encode()).digest(), "big")

    def alphanumeric(self, label: str, length: int) -> str:
        """``length`` letters and digits (at most 42, what the digest holds)."""
        number = self._number(label)
        digits = []
        for _ in range(length):
            number, digit = divmod(number, len(_ALPHABET))
            digits.append(_ALPHABET[digit])
        return "".join(digits)

    def hexadecimal(self, label: str, length: int) -> str:
        """``length`` hexadecimal digits (at most 64)."""
        return f"{self._number(label):064x}"[:length]

    @property
    def created(self) -> int:
        """A time in seconds since 1970, within three months of a fixed day."""
        return _EPOCH + self._number("created") % _SPAN


class Occurrences:
    """Counts equal requests, so that the n-th has the same ids whatever was sent between."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()
        self._lock = Lock()

    def ids(self, wire: str, body: Any) -> Ids:
        """The ids for the next answer to ``body``, parsed JSON, on ``wire``."""
        digest = sha256(f"{wire} {json.dumps(body, sort_keys=True)}".encode()).hexdigest()
        with self._lock:
            self._seen[digest] += 1
            return Ids(f"{digest}#{self._seen[digest]}")
