"""Find the recorded interaction that answers a request.

An index looks up a request by its method, its normalized URL and its canonical body. The time for this does not grow
with the size of the cassette. If the index has no equal request, the recordings with a redacted secret or a pseudonym
are tried one by one.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count

from multitrack.tape.interaction import Interaction
from multitrack.tape.matching.matching_key import MatchingKey, keys_of_recordings
from multitrack.tape.redaction.word_boundaries import REDACTED, at_word_start

AcceptsEntry = Callable[["RecordedEntry"], bool]
"""Returns whether a recording whose key matches may answer the request."""

# one character of a redacted secret in a URL's path or query, and one inside a JSON string
_CHAR_IN_URL = r"[^&/?#]"
_CHAR_IN_STRING = r'(?:[^"\\]|\\.)'


@dataclass(slots=True)
class RecordedEntry:
    """A recorded interaction in an index, and whether it was replayed."""

    position: int
    interaction: Interaction
    key: MatchingKey
    played: bool = False

    def accepts(self, key: MatchingKey) -> bool:
        """Return whether a request with ``key`` matches this recording.

        A redacted secret matches any text. So does a pseudonym, but all occurrences of one pseudonym must match the
        same text. Pseudonyms match any text because the replaying machine may not know which names were private on the
        recording machine.
        """
        return key.method == self.key.method and self.has_same_url(key) and self._has_same_body(key)

    def has_same_url(self, key: MatchingKey) -> bool:
        """Return whether the URL of ``key`` matches the recorded URL."""
        is_same_origin = not self.key.origin or key.unknown_parts.origin or key.origin == self.key.origin
        target = key.target
        unknown = [rf"(?<=[?&]{re.escape(name)}=)[^&]*" for name in key.unknown_parts.parameters]
        unknown += [rf"(?<=/{re.escape(name)}/)[^/?]*" for name in key.unknown_parts.collections]
        for pattern in unknown:
            target = _adopt_part(target, self.key.target, pattern)
        return is_same_origin and self._matches(self.key.target, target, _CHAR_IN_URL)

    def _has_same_body(self, key: MatchingKey) -> bool:
        if self._matches(self.key.body, key.body, _CHAR_IN_STRING):
            return True
        return not self.key.has_content_type and any(
            self._matches(recorded, sent, _CHAR_IN_STRING)
            for recorded in self.key.stored_forms
            for sent in key.stored_forms
        )

    def _matches(self, recorded: str, sent: str, char: str) -> bool:
        if recorded == sent:
            return True
        pseudonyms = "".join(rf"|{at_word_start(pseudonym)}\b" for pseudonym in self.key.pseudonyms)
        first, *rest = re.split(f"({REDACTED}{pseudonyms})", recorded)
        if not rest:
            return False
        # a redacted secret matches any text each time; a pseudonym matches only the text that it matched first
        repeated = {REDACTED: f"{char}*?"}
        pieces = [re.escape(first)]
        for word, text in zip(rest[::2], rest[1::2], strict=True):
            group = word.replace("-", "_")
            wildcard = repeated.get(word, f"(?P<{group}>{char}*?)")
            repeated.setdefault(word, f"(?P={group})")
            pieces.append(wildcard + re.escape(text))
        # Atomic groups except for the last. Otherwise the time to find that nothing matches grows exponentially with
        # the number of wildcards.
        *pieces, last = pieces
        pattern = "".join(f"(?>{piece})" for piece in pieces) + last
        return re.fullmatch(pattern, sent, re.DOTALL) is not None


def _adopt_part(target: str, recorded: str, pattern: str) -> str:
    """If both strings have a part that matches ``pattern``, copy it from ``recorded`` to ``target``."""
    sent_part, recorded_part = re.search(pattern, target), re.search(pattern, recorded)
    if sent_part is None or recorded_part is None:
        return target
    return target[: sent_part.start()] + recorded_part[0] + target[sent_part.end() :]


class Index:
    """The recorded interactions of one tape. Each is replayed once; equal interactions are replayed in order.

    The key of a streaming request does not include its messages. The messages are compared one by one while the
    client sends them.
    """

    def __init__(
        self,
        interactions: Iterable[Interaction],
        pseudonyms: Collection[str] = (),
        keys: Iterable[MatchingKey] | None = None,
    ) -> None:
        """Create the index.

        Args:
            interactions: The interactions, in replay order.
            pseudonyms: The pseudonyms in the interactions.
            keys: The matching key of each interaction. Defaults to the keys that the default rules produce.
        """
        interactions = tuple(interactions)
        keys = keys_of_recordings(interactions, pseudonyms) if keys is None else keys
        self.pseudonyms = pseudonyms
        self.entries = [RecordedEntry(*entry) for entry in zip(count(1), interactions, keys)]
        self._last_played: dict[MatchingKey, RecordedEntry] = {}

    @cached_property
    def _by_key(self) -> dict[MatchingKey, list[RecordedEntry]]:
        by_key: dict[MatchingKey, list[RecordedEntry]] = defaultdict(list)
        for entry in reversed(self.entries):
            by_key[entry.key].append(entry)
            if not entry.key.has_content_type:
                for form in entry.key.stored_forms:
                    by_key[replace(entry.key, body=form)].append(entry)
        return by_key

    @cached_property
    def _with_wildcards(self) -> Sequence[RecordedEntry]:
        return [entry for entry in self.entries if entry.key.has_wildcards]

    def take(self, key: MatchingKey, accepts: AcceptsEntry | None = None) -> RecordedEntry | None:
        """Return the first entry that answers ``key`` and has not been replayed yet, and mark it as replayed.

        Args:
            key: The key of the request.
            accepts: Called for each entry whose key matches. An entry is skipped if the result is false. None accepts
                every entry.
        """
        forms = [replace(key, body=form) for form in key.stored_forms]
        for exact in (equal for one in (key, *forms) for equal in (one, one.without_origin)):
            waiting = self._by_key.get(exact, [])
            while waiting and waiting[-1].played:
                waiting.pop()
            # an entry that is rejected now may answer a later request, so it is kept
            for entry in reversed(waiting):
                if not entry.played and (accepts is None or accepts(entry)):
                    return self.mark_played(entry, key)
        # an unknown part of the URL may have any recorded value
        for entry in self.entries if key.unknown_parts else self._with_wildcards:
            if not entry.played and entry.accepts(key) and (accepts is None or accepts(entry)):
                return self.mark_played(entry, key)
        return None

    def find_last_played(self, key: MatchingKey, accepts: AcceptsEntry | None = None) -> RecordedEntry | None:
        """Return the entry that answered the last request with ``key``, or ``None`` if there was no such request.

        If ``accepts`` is passed, entries that it rejects are left out. Of the others, the last in the cassette is
        returned.
        """
        if accepts is not None:
            return next((entry for entry in reversed(self.find_played(key)) if accepts(entry)), None)
        return self._last_played.get(key)

    def rewind(self) -> None:
        """Make every entry replayable again."""
        for entry in self.entries:
            entry.played = False
        self._last_played.clear()
        vars(self).pop("_by_key", None)

    def mark_played(self, entry: RecordedEntry, key: MatchingKey) -> RecordedEntry:
        """Mark ``entry`` as replayed for a request with ``key``, and return it."""
        entry.played = True
        self._last_played[key] = entry
        return entry

    def find_conversations(self, key: MatchingKey, *, allow_repeats: bool = False) -> Sequence[RecordedEntry]:
        """Return the recordings that could answer a streaming request with ``key``.

        Recordings with an equal key come first. With ``allow_repeats``, recordings that were already replayed come
        last.
        """
        exact = [entry for equal in (key, key.without_origin) for entry in reversed(self._by_key.get(equal, ()))]
        found = {entry.position: entry for entry in exact}
        for entry in self._with_wildcards:
            if entry.accepts(key):
                found.setdefault(entry.position, entry)
        repeated = [replace(entry, played=False) for entry in found.values() if entry.played and allow_repeats]
        return [*(entry for entry in found.values() if not entry.played), *repeated]

    def find_played(self, key: MatchingKey) -> Sequence[RecordedEntry]:
        """Return the replayed entries that match ``key``."""
        return [entry for entry in self.entries if entry.played and entry.accepts(key)]
