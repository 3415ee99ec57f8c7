"""The rules that decide which parts of a request are compared. Recorded and live requests follow the same rules."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from multitrack.tape import jsontext
from multitrack.tape.exchange import Request
from multitrack.tape.matching.jsonpath import JsonPath
from multitrack.tape.matching.matching_key import MatchingKey
from multitrack.tape.matching.random_values import may_have_random_fields, number_generated_ids, remove_random_fields
from multitrack.tape.matching.request_matcher import RequestMatcher
from multitrack.tape.normalize.placeholders import Placeholders

_PARTS = {"uri": ("scheme", "host", "port", "path", "query")}


@dataclass(frozen=True)
class MatchingRules:
    """The rules for comparing requests: three fields of ``Settings``, and the project's matchers.

    If there are matchers, but ``match_on`` is empty, only the matchers compare requests.
    """

    match_on: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    placeholders: Placeholders = field(default_factory=Placeholders)
    matchers: tuple[RequestMatcher, ...] = ()

    def make_key(self, request: Request, pseudonyms: Collection[str] = ()) -> MatchingKey:
        """Return the key of a redacted request that can contain ``pseudonyms``."""
        key = MatchingKey.from_request(self.strip_ignored(request), pseudonyms)
        return self._select_parts(key) if self._selects_parts else key

    def find_mismatch(self, sent: Request, recorded: Request) -> str | None:
        """Return why a matcher rejects ``recorded`` as the recording of ``sent``, or ``None`` if all accept it."""
        for matcher in self.matchers:
            if (reason := matcher.find_mismatch(sent, recorded)) is not None:
                return f"the matcher {matcher.name!r} rejects this recording{reason and f': {reason}'}"
        return None

    def strip_ignored(self, request: Request) -> Request:
        """Return ``request`` without its ignored parts, and with the user's placeholders."""
        # a cassette may have been recorded before the project set its placeholders
        request = self.placeholders.insert_into(request)
        if self._selects_parts and "body" not in self._matched_parts:
            return replace(request, body=b"")
        body = number_generated_ids(request.body)
        if body is not request.body:
            request = replace(request, body=body)
        paths = self._paths
        if not paths and not may_have_random_fields(request.body):
            return request
        try:
            document = jsontext.parse(request.body)
        except ValueError:
            return request
        if not isinstance(document, dict | list):
            return request
        document = remove_random_fields(document)
        for path in paths:
            document = path.remove_from(document)
        return replace(request, body=json.dumps(document).encode())

    @cached_property
    def _paths(self) -> Sequence[JsonPath]:
        return [JsonPath.parse(path) for path in self.ignore]

    @property
    def _selects_parts(self) -> bool:
        return bool(self.match_on or self.matchers)

    @cached_property
    def _matched_parts(self) -> Collection[str]:
        return {part for name in self.match_on for part in _PARTS.get(name, (name,))}

    def _select_parts(self, key: MatchingKey) -> MatchingKey:
        matched = self._matched_parts
        address = _split_origin(key.origin)
        path, _, query = key.target.partition("?")
        return replace(
            key,
            method=key.method if "method" in matched else "",
            origin=" ".join(f"{name}={value or ''}" for name, value in address.items() if name in matched),
            target=(path if "path" in matched else "") + (f"?{query}" if query and "query" in matched else ""),
            body=key.body if "body" in matched else "",
            stored_forms=key.stored_forms if "body" in matched else (),
        )


def _split_origin(origin: str) -> dict[str, Any]:
    try:
        parts = urlsplit(origin)
        return {"scheme": parts.scheme, "host": parts.hostname, "port": parts.port}
    except ValueError:  # an invalid URL, in a cassette that was edited by hand
        return {"scheme": "", "host": origin, "port": None}
