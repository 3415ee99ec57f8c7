"""Find the secrets whose values a tape has learned from the environment and the traffic."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from multitrack.tape.redaction.secret_spellings import SearchedText, SecretSpellings, spellings_of
from multitrack.tape.redaction.text_changes import TextChange, select_disjoint
from multitrack.tape.redaction.windows import WINDOW


class KnownSecrets:
    """The secrets that one tape has learned so far. Thread-safe.

    Each request can contain a new secret, so a secret is added in constant time.
    """

    def __init__(self, allowed: frozenset[str]) -> None:
        self._allowed = allowed
        self._known: dict[str, SecretSpellings] = {}
        self._longest_first: tuple[SecretSpellings, ...] | None = ()
        # reentrant, because the garbage collector may close an abandoned stream while the lock is held
        self._lock = threading.RLock()

    def __len__(self) -> int:
        return len(self._known)

    @property
    def values(self) -> frozenset[str]:
        """The secrets, spelled as in the requests and environment variables that contained them."""
        with self._lock:
            return frozenset(self._known)

    def add(self, secrets: Iterable[str]) -> None:
        """Make ``find`` search for ``secrets``, too."""
        for secret in secrets:
            if secret not in self._known and secret not in self._allowed:
                with self._lock:
                    self._known[secret] = spellings_of(secret)
                    self._longest_first = None

    def find(self, text: str) -> list[TextChange]:
        """Return a change for each secret in ``text``. If two secrets overlap, the longer secret wins.

        The caller must apply the changes and search again until nothing is found, because other spellings of a secret
        are skipped if the text also contains the secret itself.
        """
        if not self._known:
            return []
        known = self._sorted()
        searched = SearchedText(text, {mark for one in known for mark in one.marks} if len(text) > WINDOW else ())
        return select_disjoint(change for one in known for change in one.find(searched))

    def _sorted(self) -> tuple[SecretSpellings, ...]:
        with self._lock:
            if self._longest_first is None:
                by_length = sorted(self._known.values(), key=lambda known: (-len(known.secret), known.secret))
                self._longest_first = tuple(by_length)
            return self._longest_first
