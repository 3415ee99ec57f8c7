"""Find the recorded interaction that answers a request.

An index looks a request up by its method, its normalized URL and its canonical body, so that the cost does not grow
with the cassette. If the index has no equal request, the recordings with a redacted secret or a pseudonym are tried one
by one.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from itertools import count
from operator import itemgetter
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from multitrack.tape.exchange import Request
from multitrack.tape.interaction import Interaction, Provenance
from multitrack.tape.matching import azure_defaults
from multitrack.tape.matching.canonical_body import canonicalize_body, list_stored_forms
from multitrack.tape.redaction.pseudonyms import renumber_pseudonyms
from multitrack.tape.redaction.word_boundaries import REDACTED, at_word_start

_DEFAULT_PORTS = {"http": 80, "https": 443, "grpc": 443}
# one character of a redacted secret: in the path or the query of a URL, and inside a JSON string without its end
_CHAR_IN_URL = r"[^&/?#]"
_CHAR_IN_STRING = r'(?:[^"\\]|\\.)'


@dataclass(frozen=True, slots=True)
class MatchingKey:
    """The parts that must be equal for two requests to match. ``origin`` consists of scheme, host and port."""

    method: str
    origin: str
    target: str
    body: str
    pseudonyms: frozenset[str] = field(default=frozenset(), compare=False)
    """The pseudonyms in this key."""
    stored_forms: tuple[str, ...] = field(default=(), compare=False)
    """Other texts for the body; see `list_stored_forms`."""
    has_content_type: bool = field(default=True, compare=False)
    """True if the request has a content type. Recordings without one also match by ``stored_forms``."""

    @classmethod
    def from_request(cls, request: Request, pseudonyms: Collection[str] = ()) -> MatchingKey:
        """Return the key of a redacted request that may contain ``pseudonyms``."""
        url_origin, url_target = _normalize_url(request.url)
        content_type = request.header("content-type")
        content = canonicalize_body(request.body, content_type)
        (origin, target, content), renumbered = renumber_pseudonyms(pseudonyms, url_origin, url_target, content)
        # the messages of gRPC have no content type, and no recorder stores them as arguments
        is_grpc = request.url.startswith("grpc:")
        stored_forms = () if is_grpc else list_stored_forms(request.body, content_type)
        return cls(
            # aiohttp accepts methods in lower case, and vcrpy stores them as the caller wrote them
            request.method.upper(),
            origin,
            target,
            content,
            renumbered,
            tuple(renumber_pseudonyms(pseudonyms, url_origin, url_target, form)[0][2] for form in stored_forms),
            is_grpc or content_type is not None,
        )

    @property
    def without_origin(self) -> MatchingKey:
        """This key without the server's address, for a recording that did not come from a provider."""
        return replace(self, origin="")

    @property
    def has_wildcards(self) -> bool:
        """True if the key may match a request whose key is not equal."""
        return bool(self.pseudonyms) or REDACTED in self.body or REDACTED in self.target


@lru_cache(maxsize=1024)
def _normalize_url(url: str) -> tuple[str, str]:
    """Return the origin and the target (path and query) of ``url`` in their normal form."""
    try:
        parts = urlsplit(url)
        port = None if parts.port == _DEFAULT_PORTS.get(parts.scheme) else parts.port
    except ValueError:
        # A URL that somebody edited by hand, or that a filter changed, must not hide a miss.
        origin, slash, path = url.partition("/")
        return origin, slash + path
    # the order of parameters with the same name may have a meaning
    query = urlencode(sorted(parse_qsl(parts.query, keep_blank_values=True), key=itemgetter(0)))
    # each segment by itself, because an encoded slash is part of a name
    path = "/".join(quote(unquote(step), safe=":@!$&'()*+,;=~") for step in (parts.path or "/").split("/"))
    # cassetter does not store the host of a gRPC call
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    origin = f"{parts.scheme}://{host}" + (f":{port}" if port else "") if host else ""
    return origin, path + (f"?{query}" if query else "")


KeyFunction = Callable[[Request, Collection[str]], MatchingKey]
"""Returns the key of a redacted request that may contain the given pseudonyms."""


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
        same text. Pseudonyms match any text because the machine that replays may not know which names were private on
        the machine that recorded.
        """
        return key.method == self.key.method and self.has_same_url(key) and self._has_same_body(key)

    def has_same_url(self, key: MatchingKey) -> bool:
        """Return whether the URL of ``key`` matches the recorded URL."""
        is_same_origin = not self.key.origin or key.origin in (self.key.origin, azure_defaults.ENDPOINT)
        target = azure_defaults.adopt_version(key.target, self.key.target)
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
        # a redacted secret matches anything each time, a pseudonym what it matched the first time
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


class Index:
    """The recorded interactions of one tape. Each is replayed once; equal interactions are replayed in order.

    The messages of a streaming request are not part of its key. They are compared while they are sent.
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
            keys: The matching key of each interaction. Defaults to the keys of the default rules.
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

    def take(self, key: MatchingKey) -> Interaction | None:
        """Return the first interaction that answers ``key`` and was not replayed yet, and mark it as replayed."""
        forms = [replace(key, body=form) for form in key.stored_forms]
        for exact in (equal for one in (key, *forms) for equal in (one, one.without_origin)):
            waiting = self._by_key.get(exact, [])
            while waiting:
                entry = waiting.pop()
                if not entry.played:
                    return self.mark_played(entry, key)
        is_azure_default = azure_defaults.is_default(key.origin, key.target)
        for entry in self.entries if is_azure_default else self._with_wildcards:
            if not entry.played and entry.accepts(key):
                return self.mark_played(entry, key)
        return None

    def find_last_played(self, key: MatchingKey) -> Interaction | None:
        """Return the interaction that answered the last request with ``key``. None if there was no such request."""
        entry = self._last_played.get(key)
        return entry.interaction if entry is not None else None

    def mark_played(self, entry: RecordedEntry, key: MatchingKey) -> Interaction:
        """Mark ``entry`` as replayed for a request with ``key``, and return its interaction."""
        entry.played = True
        self._last_played[key] = entry
        return entry.interaction

    def find_conversations(self, key: MatchingKey, *, allow_repeats: bool = False) -> Sequence[RecordedEntry]:
        """Return the recordings that may answer a streaming request with ``key``.

        Recordings with an equal key come first. With ``allow_repeats``, recordings that were replayed follow at the
        end.
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


def key_of_recording(
    recorded: Request,
    provenance: Provenance,
    pseudonyms: Collection[str],
    make_key: KeyFunction = MatchingKey.from_request,
) -> MatchingKey:
    """Return the key of a ``recorded`` request. It has no origin unless a provider answered the request."""
    key = make_key(recorded, pseudonyms)
    return key if provenance == "live" else key.without_origin


def keys_of_recordings(
    interactions: Iterable[Interaction],
    pseudonyms: Collection[str],
    make_key: KeyFunction = MatchingKey.from_request,
) -> list[MatchingKey]:
    """Return the keys of ``interactions`` for an `Index`."""
    return [
        key_of_recording(strip_messages(interaction.request), interaction.provenance, pseudonyms, make_key)
        for interaction in interactions
    ]


def strip_messages(request: Request) -> Request:
    """Return a streaming ``request`` without its messages. Any other request is returned unchanged."""
    # the request of a gRPC method is a JSON object, and an array only if the method streams its requests
    is_streaming = request.url.startswith("grpc:") and request.body.lstrip()[:1] == b"["
    return replace(request, body=b"[]") if is_streaming else request
