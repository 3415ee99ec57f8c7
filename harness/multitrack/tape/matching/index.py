"""Matching: which recorded interaction answers a request.

A request is looked up by its method, its normalised URL and its canonical body, in an index, so that the cost
does not grow with the tape. Recordings with holes where a secret stood are tried where the index finds none.
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
from multitrack.tape.matching import azure_places, body
from multitrack.tape.redaction.pseudonyms import renumbered
from multitrack.tape.redaction.word_boundaries import REDACTED, starting

_DEFAULT_PORTS = {"http": 80, "https": 443, "grpc": 443}
# what a secret may have been, in the path or the query of a URL, and inside a JSON string: not the string's end
_IN_URL = r"[^&/?#]"
_IN_STRING = r'(?:[^"\\]|\\.)'


@dataclass(frozen=True, slots=True)
class Key:
    """What two requests must share to be the same: ``origin`` (scheme, host, port), and the rest."""

    method: str
    origin: str
    target: str
    body: str
    names: frozenset[str] = field(default=frozenset(), compare=False)
    """The plain words in it that stand for private names."""

    @classmethod
    def of(cls, request: Request, placeholders: Collection[str] = ()) -> Key:
        """The key of a scrubbed request, in which ``placeholders`` stand for names."""
        origin, target = _place(request.url)
        content = body.canonical(request.body, request.header("content-type"))
        (origin, target, content), names = renumbered(placeholders, origin, target, content)
        return cls(request.method, origin, target, content, names)

    @property
    def without_origin(self) -> Key:
        """The key of a recording that did not come from a provider: where it ran plays no part."""
        return replace(self, origin="")

    @property
    def has_holes(self) -> bool:
        """Whether it may be that of a request that is spelled otherwise."""
        return bool(self.names) or REDACTED in self.body or REDACTED in self.target


@lru_cache(maxsize=1024)
def _place(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    port = None if parts.port == _DEFAULT_PORTS.get(parts.scheme) else parts.port
    # the order of parameters of one name may mean something
    query = urlencode(sorted(parse_qsl(parts.query, keep_blank_values=True), key=itemgetter(0)))
    # step by step: an encoded slash is part of a name
    path = "/".join(quote(unquote(step), safe=":@!$&'()*+,;=~") for step in (parts.path or "/").split("/"))
    # cassetter does not keep whom a gRPC call went to
    origin = f"{parts.scheme}://{parts.hostname}" + (f":{port}" if port else "") if parts.hostname else ""
    return origin, path + (f"?{query}" if query else "")


KeyOf = Callable[[Request, Collection[str]], Key]
"""Gives the key of a scrubbed request, in which the texts given stand for names."""


@dataclass(slots=True)
class Entry:
    """A recorded interaction in the index, and whether it was played."""

    position: int
    interaction: Interaction
    key: Key
    played: bool = False

    def takes(self, key: Key) -> bool:
        """Whether ``key`` fits, a hole taking any text. So does a plain word, the same one always the same text:
        what was a private name where the tape was made may be known to nobody where it is played."""
        return key.method == self.key.method and self.is_at(key) and self._fits(self.key.body, key.body, _IN_STRING)

    def is_at(self, key: Key) -> bool:
        """Whether ``key`` has its URL."""
        here = not self.key.origin or key.origin in (self.key.origin, azure_places.ENDPOINT)
        return here and self._fits(self.key.target, azure_places.moved(key.target, self.key.target), _IN_URL)

    def _fits(self, recorded: str, sent: str, char: str) -> bool:
        if recorded == sent:
            return True
        names = "".join(rf"|{starting(name)}\b" for name in self.key.names)
        first, *rest = re.split(f"({REDACTED}{names})", recorded)
        if not rest:
            return False
        again = {REDACTED: f"{char}*?"}
        pieces = [re.escape(first)]
        for word, text in zip(rest[::2], rest[1::2], strict=True):
            group = word.replace("-", "_")
            taken = again.get(word, f"(?P<{group}>{char}*?)")
            again.setdefault(word, f"(?P={group})")
            pieces.append(taken + re.escape(text))
        # atomic but for the last: else, the time to find that nothing fits grows by a power with each hole
        *pieces, last = pieces
        pattern = "".join(f"(?>{piece})" for piece in pieces) + last
        return re.fullmatch(pattern, sent, re.DOTALL) is not None


class Index:
    """The interactions of one tape, each to be played once, equal ones first in, first out.

    Of a request that streams, what was sent plays no part: its messages are compared while they come.
    """

    def __init__(
        self,
        interactions: Iterable[Interaction],
        placeholders: Collection[str] = (),
        keys: Iterable[Key] | None = None,
    ) -> None:
        interactions = tuple(interactions)
        keys = keys_of(interactions, placeholders) if keys is None else keys
        self.placeholders = placeholders
        self.entries = [Entry(*entry) for entry in zip(count(1), interactions, keys)]
        self._latest: dict[Key, Entry] = {}

    @cached_property
    def _by_key(self) -> dict[Key, list[Entry]]:
        by_key: dict[Key, list[Entry]] = defaultdict(list)
        for entry in reversed(self.entries):
            by_key[entry.key].append(entry)
        return by_key

    @cached_property
    def _with_holes(self) -> Sequence[Entry]:
        return [entry for entry in self.entries if entry.key.has_holes]

    def take(self, key: Key) -> Interaction | None:
        """The first interaction not yet played that answers ``key``, which counts as played from now on."""
        for exact in (key, key.without_origin):
            waiting = self._by_key.get(exact, [])
            while waiting:
                entry = waiting.pop()
                if not entry.played:
                    return self.play(entry, key)
        standing_in = azure_places.stands_in(key.origin, key.target)
        for entry in self.entries if standing_in else self._with_holes:
            if not entry.played and entry.takes(key):
                return self.play(entry, key)
        return None

    def again(self, key: Key) -> Interaction | None:
        """The last interaction that answered ``key``."""
        entry = self._latest.get(key)
        return entry.interaction if entry is not None else None

    def play(self, entry: Entry, key: Key) -> Interaction:
        """The interaction of ``entry``, which counts as played from now on, for a request with ``key``."""
        entry.played = True
        self._latest[key] = entry
        return entry.interaction

    def begun(self, key: Key, *, again: bool = False) -> Sequence[Entry]:
        """The interactions not yet played that are under ``key``, those of an equal key first; behind them those that
        were, where they may be played ``again``."""
        exact = [entry for equal in (key, key.without_origin) for entry in reversed(self._by_key.get(equal, ()))]
        found = {entry.position: entry for entry in exact}
        for entry in self._with_holes:
            if entry.takes(key):
                found.setdefault(entry.position, entry)
        repeated = [replace(entry, played=False) for entry in found.values() if entry.played and again]
        return [*(entry for entry in found.values() if not entry.played), *repeated]

    def answered(self, key: Key) -> Sequence[Entry]:
        """The interactions, all played by now, that answered requests equal to ``key``."""
        return [entry for entry in self.entries if entry.played and entry.takes(key)]


def key_of(recorded: Request, provenance: Provenance, placeholders: Collection[str], of: KeyOf = Key.of) -> Key:
    """The key of a ``recorded`` request: where a provider was not asked, the place plays no part."""
    key = of(recorded, placeholders)
    return key if provenance == "live" else key.without_origin


def keys_of(interactions: Iterable[Interaction], placeholders: Collection[str], of: KeyOf = Key.of) -> list[Key]:
    """The keys of ``interactions`` in an `Index`."""
    return [key_of(unsent(one.request), one.provenance, placeholders, of) for one in interactions]


def unsent(request: Request) -> Request:
    """``request`` before any of the messages that it streams was sent; another as it is."""
    # what a gRPC method sends is a JSON object, and an array only where it streams
    streams = request.url.startswith("grpc:") and request.body.lstrip()[:1] == b"["
    return replace(request, body=b"[]") if streams else request
