"""Rules: what of a request takes part in matching, the same for the tape and for what is sent."""

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
from multitrack.tape.matching.index import Key
from multitrack.tape.matching.jsonpath import JsonPath

_PARTS = {"uri": ("scheme", "host", "port", "path", "query")}


@dataclass(frozen=True)
class Rules:
    """Those of `Settings` of the same names: ``match_on``, ``ignore`` and ``placeholders``."""

    match_on: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    placeholders: tuple[tuple[str, str], ...] = ()

    def key(self, request: Request, names: Collection[str] = ()) -> Key:
        """The key of a scrubbed request, in which ``names`` stand for private names."""
        key = Key.of(self.bared(request), names)
        return self._of_parts(key) if self.match_on else key

    def bared(self, request: Request) -> Request:
        """``request`` without what plays no part, and with the user's own words in their places."""
        request = self.worded(request)
        if self.match_on and "body" not in self._wanted:
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
            document = path.without(document)
        return replace(request, body=json.dumps(document).encode())

    def worded(self, request: Request) -> Request:
        """``request`` with the user's own words in the places of what their expressions match."""
        if not self.placeholders:
            return request
        place, mark, query = request.url.partition("?")
        body = request.body.decode("utf-8", "surrogateescape")
        is_form = (request.header("content-type") or "").startswith("application/x-www-form-urlencoded")
        body = self._worded_pairs(body) if is_form else self._worded(body)
        return replace(
            request,
            url=self._worded(place) + mark + self._worded_pairs(query),
            body=body.encode("utf-8", "surrogateescape"),
        )

    def _worded(self, text: str) -> str:
        for word, pattern in self._patterns:
            # a backslash in a word is no escape
            text = pattern.sub(word.replace("\\", "\\\\"), text)
        return text

    def _worded_pairs(self, encoded: str) -> str:
        """The same for a query or a form; what an expression matches in its values, too, once they are decoded."""
        pairs = [pair.partition("=") for pair in self._worded(encoded).split("&")]
        return "&".join(name + equals + self._worded_value(value) for name, equals, value in pairs)

    def _worded_value(self, value: str) -> str:
        decoded = unquote_plus(value, errors="surrogateescape")
        worded = self._worded(decoded)
        return value if worded == decoded else quote_plus(worded, errors="surrogateescape")

    @cached_property
    def _patterns(self) -> Sequence[tuple[str, re.Pattern[str]]]:
        return [(word, re.compile(pattern)) for word, pattern in self.placeholders]

    @cached_property
    def _paths(self) -> Sequence[JsonPath]:
        return [JsonPath.parse(path) for path in self.ignore]

    @cached_property
    def _wanted(self) -> Collection[str]:
        return {part for name in self.match_on for part in _PARTS.get(name, (name,))}

    def _of_parts(self, key: Key) -> Key:
        wanted = self._wanted
        origin = urlsplit(key.origin)
        place: dict[str, Any] = {"scheme": origin.scheme, "host": origin.hostname, "port": origin.port}
        path, _, query = key.target.partition("?")
        return replace(
            key,
            method=key.method if "method" in wanted else "",
            origin=" ".join(f"{name}={value or ''}" for name, value in place.items() if name in wanted),
            target=(path if "path" in wanted else "") + (f"?{query}" if query and "query" in wanted else ""),
            body=key.body if "body" in wanted else "",
        )
