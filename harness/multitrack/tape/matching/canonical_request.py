"""Compute the canonical form of a request: the normalized request and its matching key."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from multitrack.tape.exchange import Request
from multitrack.tape.matching.matching_key import MatchingKey
from multitrack.tape.matching.rules import MatchingRules
from multitrack.tape.normalize.request_normalizer import RequestNormalizer


@dataclass(frozen=True, slots=True)
class CanonicalRequest:
    """The canonical form of a live request, for the comparison with recordings.

    Args:
        request: The redacted request, which can be recorded.
        key: The matching key of the request.
        pseudonyms: The pseudonyms that the request can contain.
    """

    request: Request
    key: MatchingKey
    pseudonyms: Collection[str] = ()

    @classmethod
    def from_request(cls, request: Request) -> CanonicalRequest:
        """Return the canonical form of a redacted ``request`` by the default rules."""
        return cls(request, MatchingKey.from_request(request))


class Canonicalizer:
    """An object that computes the matching keys of live and recorded requests by the same rules."""

    def __init__(self, normalizer: RequestNormalizer, rules: MatchingRules) -> None:
        self.normalizer = normalizer
        self.rules = rules

    def canonicalize(self, request: Request) -> CanonicalRequest:
        """Return the canonical form of a filtered ``request``."""
        return self.canonicalize_redacted(self.normalizer.redact(request))

    def canonicalize_redacted(self, request: Request) -> CanonicalRequest:
        """Return the canonical form of a filtered and redacted ``request``."""
        pseudonyms = self.normalizer.pseudonyms
        return CanonicalRequest(request, self.rules.make_key(request, pseudonyms), pseudonyms)

    def make_recorded_key(self, request: Request, pseudonyms: Collection[str]) -> MatchingKey:
        """Return the matching key of a recorded ``request`` that can contain ``pseudonyms``."""
        return self.rules.make_key(self.normalizer.filter_recorded(request), pseudonyms)
