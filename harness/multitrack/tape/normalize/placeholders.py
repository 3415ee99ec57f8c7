"""The ``placeholders`` setting: words that replace parts of a request before it is recorded and compared."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from urllib.parse import quote_plus, unquote_plus

from multitrack.tape import jsontext
from multitrack.tape.exchange import Request

_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*")
_BOUNDARY = re.compile(r"""boundary="?([^";\s]+)""", re.IGNORECASE)


@dataclass(frozen=True)
class Placeholders:
    """The user's placeholders.

    Args:
        pairs: For each placeholder, its name and the regular expression for the text that it replaces.
    """

    pairs: tuple[tuple[str, str], ...] = ()

    def insert_into(self, request: Request) -> Request:
        """Return ``request`` with the user's placeholders instead of everything that their patterns match.

        Placeholders replace parts of the path, the query, the headers and the body. The scheme, the host and the port
        are kept, because a URL with a placeholder instead of its port is not valid.
        """
        if not self.pairs:
            return request
        body = request.body.decode("utf-8", "surrogateescape")
        return replace(
            request,
            url=self._replace_in_url(request.url),
            headers=tuple(
                # keep the content type, which says how to read the body
                (name, value if name == "content-type" else self._replace_in_text(value))
                for name, value in request.headers
            ),
            body=self._replace_in_body(body, request.header("content-type") or "").encode("utf-8", "surrogateescape"),
        )

    def _replace_in_url(self, url: str) -> str:
        origin = _ORIGIN.match(url)
        start = origin.end() if origin is not None else 0
        path, mark, query = url[start:].partition("?")
        replaced = self._replace_in_text(path) if path else ""
        if path.startswith("/") and not replaced.startswith("/"):
            replaced = f"/{replaced}"
        return url[:start] + replaced + mark + self._replace_in_pairs(query)

    def _replace_in_body(self, body: str, content_type: str) -> str:
        if content_type.startswith("application/x-www-form-urlencoded"):
            return self._replace_in_pairs(body)
        # a pattern may match the boundary of a multipart body, which must still equal the one in the content type
        boundary = _BOUNDARY.search(content_type) if content_type.startswith("multipart/") else None
        delimiter = f"--{boundary[1]}" if boundary is not None else None
        if delimiter is None:
            return self._replace_in_json(body)
        return delimiter.join(map(self._replace_in_text, body.split(delimiter)))

    def _replace_in_json(self, body: str) -> str:
        """Insert the placeholders into a body. JSON documents and JSON lines stay valid."""
        replaced = self._replace_in_text(body)
        if replaced == body:
            return body
        if jsontext.is_json(body):
            # a pattern may match a part of a number, or an escape in a string
            return replaced if jsontext.is_json(replaced) else jsontext.replace_in_tokens(body, self._replace_in_text)
        lines = body.split("\n")
        if len(lines) > 1 and all(jsontext.is_json(line) for line in lines if line.strip()):
            return "\n".join(map(self._replace_in_json, lines))
        return replaced

    def _replace_in_text(self, text: str) -> str:
        for word, pattern in self._patterns:
            # a backslash in a placeholder is not an escape
            text = pattern.sub(word.replace("\\", "\\\\"), text)
        return text

    def _replace_in_pairs(self, encoded: str) -> str:
        """Insert placeholders into a query or a form.

        The encoded text is searched first, and then each decoded value, because a pattern can match either form.
        """
        pairs = [pair.partition("=") for pair in self._replace_in_text(encoded).split("&")]
        return "&".join(name + equals + self._replace_in_value(value) for name, equals, value in pairs)

    def _replace_in_value(self, value: str) -> str:
        decoded = unquote_plus(value, errors="surrogateescape")
        replaced = self._replace_in_text(decoded)
        return value if replaced == decoded else quote_plus(replaced, errors="surrogateescape")

    @cached_property
    def _patterns(self) -> Sequence[tuple[str, re.Pattern[str]]]:
        return [(word, re.compile(pattern)) for word, pattern in self.pairs]
