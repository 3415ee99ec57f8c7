"""The rules that decide which parts of a request are compared, for recorded and for live requests alike."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any
from urllib.parse import quote_plus, unquote_plus, urlsplit

from multitrack.tape import jsontext
from multitrack.tape.exchange import Request
from multitrack.tape.matching.index import MatchingKey
from multitrack.tape.matching.jsonpath import JsonPath

_PARTS = {"uri": ("scheme", "host", "port", "path", "query")}


@dataclass(frozen=True)
class MatchingRules:
    """The fields ``match_on``, ``ignore`` and ``placeholders`` of `Settings`."""

    match_on: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    placeholders: tuple[tuple[str, str], ...] = ()

    def make_key(self, request: Request, pseudonyms: Collection[str] = ()) -> MatchingKey:
        """Return the key of a redacted request that may contain ``pseudonyms``."""
        key = MatchingKey.from_request(self.strip_ignored(request), pseudonyms)
        return self._select_parts(key) if self.match_on else key

    def strip_ignored(self, request: Request) -> Request:
        """Return ``request`` without what is not compared, and with the user's placeholders."""
        request = self.apply_placeholders(request)
        if self.match_on and "body" not in self._matched_parts:
            return replace(request, body=b"")
        paths = self._paths
        if not paths:
            return request
        try:
            document = jsontext.parse(request.body)
        except ValueError:
            return request
        if not isinstance(document, dict | list):
            return request
        for path in paths:
            document = path.remove_from(document)
        return replace(request, body=json.dumps(document).encode())

    def apply_placeholders(self, request: Request) -> Request:
        """Return ``request`` with the user's placeholders instead of the texts that their patterns match."""
        if not self.placeholders:
            return request
        address, mark, query = request.url.partition("?")
        body = request.body.decode("utf-8", "surrogateescape")
        is_form = (request.header("content-type") or "").startswith("application/x-www-form-urlencoded")
        body = self._replace_in_pairs(body) if is_form else self._replace_in_text(body)
        return replace(
            request,
            url=self._replace_in_text(address) + mark + self._replace_in_pairs(query),
            body=body.encode("utf-8", "surrogateescape"),
        )

    def _replace_in_text(self, text: str) -> str:
        for word, pattern in self._patterns:
            # a backslash in a placeholder is not an escape
            text = pattern.sub(word.replace("\\", "\\\\"), text)
        return text

    def _replace_in_pairs(self, encoded: str) -> str:
        """Replace in a query or a form, also where a pattern matches a value only after decoding."""
        pairs = [pair.partition("=") for pair in self._replace_in_text(encoded).split("&")]
        return "&".join(name + equals + self._replace_in_value(value) for name, equals, value in pairs)

    def _replace_in_value(self, value: str) -> str:
        decoded = unquote_plus(value, errors="surrogateescape")
        replaced = self._replace_in_text(decoded)
        return value if replaced == decoded else quote_plus(replaced, errors="surrogateescape")

    @cached_property
    def _patterns(self) -> Sequence[tuple[str, re.Pattern[str]]]:
        return [(word, re.compile(pattern)) for word, pattern in self.placeholders]

    @cached_property
    def _paths(self) -> Sequence[JsonPath]:
        return [JsonPath.parse(path) for path in self.ignore]

    @cached_property
    def _matched_parts(self) -> Collection[str]:
        return {part for name in self.match_on for part in _PARTS.get(name, (name,))}

    def _select_parts(self, key: MatchingKey) -> MatchingKey:
        matched = self._matched_parts
        origin = urlsplit(key.origin)
        address: dict[str, Any] = {"scheme": origin.scheme, "host": origin.hostname, "port": origin.port}
        path, _, query = key.target.partition("?")
        return replace(
            key,
            method=key.method if "method" in matched else "",
            origin=" ".join(f"{name}={value or ''}" for name, value in address.items() if name in matched),
            target=(path if "path" in matched else "") + (f"?{query}" if query and "query" in matched else ""),
            body=key.body if "body" in matched else "",
        )
