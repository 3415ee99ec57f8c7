"""Find the recorded interactions that can answer a request.

An index looks up a request by its method, its normalized URL and its canonical body. The time for a lookup does not
grow with the size of the cassette. If no recorded request is equal, the recordings with a redacted secret or a
pseudonym are tried one by one.

An index never changes, so all tapes that replay a cassette by the same rules share it. What a tape has replayed is in
its ``ReplayState``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import chain, count
from typing import NamedTuple

from multitrack.tape.interaction import Interaction
from multitrack.tape.matching.matching_key import MatchingKey, keys_of_recordings
from multitrack.tape.redaction.word_boundaries import REDACTED, at_word_start

# one character of a redacted secret in a URL's path or query, and one inside a JSON string
_CHAR_IN_URL = r"[^&/?#]"
_CHAR_IN_STRING = r'(?:[^"\\]|\\.)'


class RecordedEntry(NamedTuple):
    """A recorded interaction in an index. ``position`` is its position in the index, from 1."""

    position: int
    interaction: Interaction
    key: MatchingKey

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
    """The recorded interactions that a tape can replay, in replay order. Immutable.

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
        self.entries: Sequence[RecordedEntry] = [*map(RecordedEntry._make, zip(count(1), interactions, keys))]

    @classmethod
    def join(cls, indexes: Sequence[Index]) -> Index:
        """Return one index with the interactions of all ``indexes``.

        There must be at least one index, and all must have the same pseudonyms.
        """
        if len(indexes) == 1:
            return indexes[0]
        entries = [*chain.from_iterable(index.entries for index in indexes)]
        return cls((e.interaction for e in entries), indexes[0].pseudonyms, (e.key for e in entries))

    @cached_property
    def _by_key(self) -> Mapping[MatchingKey, Sequence[RecordedEntry]]:
        by_key: dict[MatchingKey, list[RecordedEntry]] = {}
        for entry in self.entries:
            by_key.setdefault(entry.key, []).append(entry)
            if not entry.key.has_content_type:
                for form in entry.key.stored_forms:
                    by_key.setdefault(replace(entry.key, body=form), []).append(entry)
        return by_key

    @cached_property
    def _with_wildcards(self) -> Sequence[RecordedEntry]:
        return [entry for entry in self.entries if entry.key.has_wildcards]

    def find_equal(self, key: MatchingKey) -> Sequence[RecordedEntry]:
        """Return the recordings with exactly this ``key``, in order."""
        return self._by_key.get(key, ())

    def find_similar(self, key: MatchingKey, excluded: Collection[int] = ()) -> Iterator[RecordedEntry]:
        """Yield the recordings that match ``key`` through a wildcard in the recording or in the URL.

        Recordings whose positions are in ``excluded`` are not compared.
        """
        # an unknown part of the URL may have any recorded value
        entries = self.entries if key.unknown_parts else self._with_wildcards
        return (entry for entry in entries if entry.position not in excluded and entry.accepts(key))
