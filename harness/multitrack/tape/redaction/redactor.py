"""Redaction: the one function through which everything passes that is matched, written or printed."""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from urllib.parse import unquote_plus

from multitrack.tape import interleaving
from multitrack.tape.exchange import Headers, Request, Response
from multitrack.tape.redaction import fragments, secrets
from multitrack.tape.redaction.pseudonyms import Pseudonyms
from multitrack.tape.redaction.word_boundaries import REDACTED

KEPT_HEADERS = frozenset(
    {
        "content-type",
        "content-encoding",  # only where the body could not be decoded
        "location",
        "link",
        "content-range",
        "content-disposition",
        "retry-after",
        "retry-after-ms",
        "x-should-retry",
        "x-goog-upload-status",
        "x-goog-upload-url",
        "grpc-status",
        "grpc-message",
        "grpc-status-details-bin",
        interleaving.HEADER,
    }
)
"""The only headers that a tape keeps, beside ``x-ratelimit-*`` of a 429 and what ``keep_headers`` names."""

_PARAMETER = re.compile(
    r"(?<=[?&])(" + "|".join(sorted(secrets.CREDENTIAL_PARAMETERS)) + r")=([^&#\s<>\"]+)", re.IGNORECASE
)
# of a protobuf message, what its JSON cannot hold
_WIRE = re.compile(r'("@wire":\s*")((?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?)(")')
_USER_INFORMATION = re.compile(r"(?<=//)[^/?#@\s]*@")


class Redactor:
    """Takes secrets and private names out of requests, answers and texts; what it was shown, it never lets by.

    It learns credentials from the environment and from each request before that request is matched, so that
    the live request and the tape pass through the same function. ``worded`` puts the user's own words into a request.
    Idempotent. Safe to be shared by threads.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        keep_headers: Sequence[str] = (),
        allow_secrets: Sequence[str] = (),
        worded: Callable[[Request], Request] = lambda request: request,
    ) -> None:
        self._worded = worded
        self._names = Pseudonyms(environment)
        self._kept = KEPT_HEADERS | {header.lower() for header in keep_headers}
        self._allowed = frozenset(allow_secrets)
        self._known: set[str] = set()
        # re-entrant: a dropped stream that the garbage collector ends may come by while it is held
        self._lock = threading.RLock()
        self._pattern = _pattern(frozenset())
        self._learn(secrets.held(environment))

    @property
    def placeholders(self) -> frozenset[str]:
        """The plain words that stand for a private name."""
        return self._names.given

    def learn_request(self, request: Request) -> None:
        """Learn the credentials and the names that ``request`` was sent with."""
        self._learn(secrets.sent(request.headers, request.url))
        self._learn(secrets.fields(request.body.decode("utf-8", "replace")))
        self._names.learn_headers(request.headers)
        self._names.learn_url(request.url)

    def learn_response(self, headers: Headers, body: bytes = b"") -> None:
        """Learn the cookies, tokens and names that an answer came with."""
        self._learn(secrets.sent(headers, ""))
        self._learn(secrets.fields(body.decode("utf-8", "replace")))
        self._names.learn_headers(headers)

    def text(self, text: str) -> str:
        """``text`` with a hole for each secret and a plain word for each private name."""
        # what is left beside a hole may look like a secret in its turn
        while (scrubbed := self._names.text(self._pattern.sub(self._hole, text))) != text:
            text = scrubbed
        return text

    def url(self, url: str) -> str:
        """``url`` without its user information, with holes in credential parameters."""
        url = _PARAMETER.sub(self._parameter, _USER_INFORMATION.sub("", url))
        return self.text(self._names.url(url))

    def body(self, body: bytes) -> bytes:
        """``body`` scrubbed, also where a secret is spread over the events of a stream."""
        # a form with a file in it is no text as a whole, and holds credentials as any other
        text = _WIRE.sub(self._wire, body.decode("utf-8", "surrogateescape"))
        # the streamed text first: of a secret that is cut, the beginning may look like a whole one
        return self.text(fragments.scrubbed(text, self.text)).encode("utf-8", "surrogateescape")

    def request(self, request: Request) -> Request:
        """What a tape keeps of ``request``."""
        return self._worded(
            replace(
                request,
                url=self.url(request.url),
                # the body is kept decoded
                headers=self._headers(request.headers, self._kept - {"content-encoding"}),
                body=self.body(request.body),
            )
        )

    def response(self, response: Response) -> Response:
        """What a tape keeps of ``response``."""
        kept = self._kept
        if response.status == 429:
            kept = kept | {name for name, _ in response.headers if name.startswith("x-ratelimit-")}
        body, failure = self.body(response.body), response.failure
        return replace(
            response,
            headers=self._headers(response.headers, kept),
            body=body,
            chunks=response.chunks.adapt(response.body, body, response.header("content-type")),
            failure=replace(failure, message=self.text(failure.message)) if failure else None,
        )

    def _headers(self, headers: Headers, kept: Iterable[str]) -> Headers:
        return tuple((name, self._header(name, value)) for name, value in headers if name in kept)

    def _header(self, name: str, value: str) -> str:
        if not name.endswith("-bin"):
            return self.url(value)
        if name == "grpc-status-details-bin":
            with suppress(ImportError):
                from multitrack.tape.google import status_details

                value = status_details.reworded(value, self.text)
        try:
            return self._starred(value + "=" * (-len(value) % 4)) or value
        except ValueError:
            return self.url(value)

    def _learn(self, found: Iterable[str]) -> None:
        new = {secret for secret in found if secret not in self._known and secret not in self._allowed}
        if new:
            with self._lock:
                self._known |= new
                self._pattern = _pattern(frozenset(self._known))

    def _hole(self, match: re.Match[str]) -> str:
        return match[0] if match[0] in self._allowed else REDACTED

    def _wire(self, match: re.Match[str]) -> str:
        hidden = self._starred(match[2])
        return match[1] + hidden + match[3] if hidden else match[0]

    def _starred(self, encoded: str) -> str | None:
        """Bytes in base64 with stars for each secret, as many as it had letters, since a field tells its length before
        it; None if there is none. Raises ValueError where it is no base64."""
        wire = base64.b64decode(encoded, validate=True).decode("latin-1")
        hidden = self._pattern.sub(
            lambda found: "*" * len(found[0]) if self._hole(found) == REDACTED else found[0], wire
        )
        return base64.b64encode(hidden.encode("latin-1")).decode() if hidden != wire else None

    def _parameter(self, match: re.Match[str]) -> str:
        value = unquote_plus(match[2])
        return f"{match[1]}={REDACTED}" if secrets.is_secret(value) and value not in self._allowed else match[0]


# each test's tape learns the same few credentials; to spell them out took a quarter of a replayed call
@lru_cache(maxsize=64)
def _pattern(known: frozenset[str]) -> re.Pattern[str]:
    """What finds the ``known`` secrets however they are written, and others by their shape."""
    written = {spelling for secret in known for spelling in secrets.spellings(secret)}
    longest_first = sorted(written, key=lambda spelling: (-len(spelling), spelling))
    return re.compile("|".join([*map(re.escape, longest_first), secrets.shapes()]), re.DOTALL)
