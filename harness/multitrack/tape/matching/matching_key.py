"""The matching key: the parts of a request that are compared to find its recording."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from operator import itemgetter
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from multitrack.tape.exchange import Request, UnknownParts
from multitrack.tape.interaction import Interaction, Provenance
from multitrack.tape.matching.canonical_body import canonicalize_body, list_stored_forms
from multitrack.tape.redaction.pseudonyms import renumber_pseudonyms
from multitrack.tape.redaction.word_boundaries import REDACTED

_DEFAULT_PORTS = {"http": 80, "https": 443, "grpc": 443}


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
    """Other canonical strings for the body; see ``list_stored_forms``."""
    has_content_type: bool = field(default=True, compare=False)
    """True if the request has a content type. Recordings without one also match by ``stored_forms``."""
    unknown_parts: UnknownParts = field(default=UnknownParts(), compare=False)
    """The parts of the URL that match any recorded value."""

    @classmethod
    def from_request(cls, request: Request, pseudonyms: Collection[str] = ()) -> MatchingKey:
        """Return the key of a redacted request that may contain ``pseudonyms``."""
        url_origin, url_target = _normalize_url(request.url)
        content_type = request.header("content-type")
        content = canonicalize_body(request.body, content_type)
        (origin, target, content), renumbered = renumber_pseudonyms(pseudonyms, url_origin, url_target, content)
        # gRPC messages have no content type, and no recorder stores them as arguments
        stored_forms = () if request.is_grpc else list_stored_forms(request.body, content_type)
        return cls(
            # aiohttp accepts methods in lower case, and vcrpy stores them as the caller wrote them
            request.method.upper(),
            origin,
            target,
            content,
            renumbered,
            tuple(renumber_pseudonyms(pseudonyms, url_origin, url_target, form)[0][2] for form in stored_forms),
            request.is_grpc or content_type is not None,
            request.unknown_parts,
        )

    @property
    def without_origin(self) -> MatchingKey:
        """This key without the server's address, for a recording that did not come from a provider."""
        return replace(self, origin="")

    @property
    def has_wildcards(self) -> bool:
        """True if this key can match a request with a different key."""
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


def key_of_recording(
    recorded: Request,
    provenance: Provenance,
    pseudonyms: Collection[str],
    make_key: KeyFunction = MatchingKey.from_request,
) -> MatchingKey:
    """Return the matching key of a ``recorded`` request.

    The key contains an origin only if a provider answered the request.
    """
    key = make_key(recorded, pseudonyms)
    return key if provenance == "live" else key.without_origin


def keys_of_recordings(
    interactions: Iterable[Interaction],
    pseudonyms: Collection[str],
    make_key: KeyFunction = MatchingKey.from_request,
) -> list[MatchingKey]:
    """Return the matching keys of ``interactions``, to build an ``Index``."""
    return [
        key_of_recording(interaction.request.without_messages, interaction.provenance, pseudonyms, make_key)
        for interaction in interactions
    ]
