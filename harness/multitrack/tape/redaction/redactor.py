"""Redact everything that Multitrack matches, writes or prints."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote_plus

from multitrack.errors import BadOption
from multitrack.tape import interleaving
from multitrack.tape.exchange import Headers, Request, Response
from multitrack.tape.redaction import grpc_values, secrets
from multitrack.tape.redaction.byte_arrays import find_in_byte_arrays
from multitrack.tape.redaction.cookies import redact_set_cookie
from multitrack.tape.redaction.environment_secrets import find_in_environment
from multitrack.tape.redaction.fragments import redact_fragments
from multitrack.tape.redaction.known_secrets import KnownSecrets
from multitrack.tape.redaction.pseudonyms import Pseudonyms, may_have_private_names
from multitrack.tape.redaction.secret_fields import find_field_values
from multitrack.tape.redaction.shapes import find_shapes
from multitrack.tape.redaction.text_changes import FindChanges, TextChange, apply_changes, apply_to_pieces, has_divided
from multitrack.tape.redaction.word_boundaries import REDACTED

if TYPE_CHECKING:
    from multitrack.tape.redaction.project_function import ProjectFunction

KEPT_HEADERS = frozenset(
    {
        "content-type",
        "content-encoding",  # only if the body could not be decoded
        "location",
        "link",
        "content-range",
        "content-disposition",
        "retry-after",
        "retry-after-ms",
        "x-should-retry",
        "x-amzn-errortype",  # the name of an AWS error, which is not in the body
        "x-goog-upload-status",
        "x-goog-upload-url",
        # https://modelcontextprotocol.io/specification/2025-06-18/basic/transports#session-management: a client without
        # a session does not send all requests
        "mcp-session-id",
        "mcp-protocol-version",
        "set-cookie",  # without the value
        "grpc-status",
        "grpc-message",
        "grpc-status-details-bin",
        interleaving.HEADER,
    }
)
"""The headers that are recorded, besides the rate limits in a 429 response and the headers in ``keep_headers``."""

T = TypeVar("T")

_RATE_LIMIT = "ratelimit-"  # OpenAI's headers begin with x-ratelimit-, Anthropic's with anthropic-ratelimit-

_RESPONSE_HEADERS = {"content-encoding", "mcp-session-id", "mcp-protocol-version", "set-cookie"}
"""The headers that are recorded for responses only.

The body of a request is always stored without its content encoding.
"""

_PARAMETER = re.compile(
    r"(?<=[?&])(" + "|".join(sorted(secrets.CREDENTIAL_PARAMETERS)) + r")=([^&#\s<>\"]+)", re.IGNORECASE
)
_MAX_URLS = 256
# up to the last @, because a password may contain one
_USER_INFORMATION = re.compile(r"(?<=//)[^/?#\s]*@")


# a project's tests all send requests to the same few URLs
@lru_cache(maxsize=1024)
def _has_ordinary_shape(url: str) -> bool:
    """Return False if a part of ``url`` has the shape of a secret or of a private name.

    If True, the URL may still contain a secret or a private name that the redactor has learned.
    """
    has_secret = _PARAMETER.search(url) or _USER_INFORMATION.search(url) or find_shapes(url)
    return not has_secret and not may_have_private_names(url)


class Redactor:
    """A redactor that removes secrets and private names from requests, responses and strings.

    A redactor learns credentials from the environment and, before a request is matched, from that request. The live
    request and the recording are therefore redacted in the same way. Redaction is idempotent. Thread-safe.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        keep_headers: Sequence[str] = (),
        allow_secrets: Sequence[str] = (),
        project_function: ProjectFunction | None = None,
    ) -> None:
        """Create a redactor.

        Args:
            environment: The environment variables.
            keep_headers: Headers that are kept in addition to ``KEPT_HEADERS``.
            allow_secrets: Strings that look like secrets but are not.
            project_function: The project's own redaction function, or ``None`` if there is none.
        """
        found = find_in_environment(environment)
        self._pseudonyms = Pseudonyms(found)
        self._kept = KEPT_HEADERS | {header.lower() for header in keep_headers}
        self._allowed = frozenset(allow_secrets)
        self._known = KnownSecrets(self._allowed)
        self._known.add(found.values)
        self.short_variables = found.short_variables
        """The environment variables whose passwords are too short to be removed from text."""
        self._function = project_function
        self._redacted_urls: dict[tuple[str, int, int], str] = {}

    # not attributes: a redactor that refers to its own methods stays in memory until the garbage collector runs
    @property
    def _secret_steps(self) -> tuple[FindChanges, ...]:
        return self._known.find, self._find_shapes, self._find_in_byte_arrays

    @property
    def _steps(self) -> tuple[FindChanges, ...]:
        return *self._secret_steps, *self._pseudonyms.steps

    @property
    def pseudonyms(self) -> frozenset[str]:
        """The pseudonyms that were assigned to private names."""
        return self._pseudonyms.assigned

    @property
    def known_secrets(self) -> frozenset[str]:
        """The secrets that were learned so far, exactly as they appeared in a request or in an environment variable."""
        return self._known.values

    def find_secrets(self, text: str) -> Iterator[str]:
        """Yield each substring of ``text`` that is a secret."""
        for find in self._secret_steps:
            changes = find(text)
            yield from (text[start:end] for start, end, _ in changes)
            text = apply_changes(text, changes)

    def learn_request(self, request: Request) -> None:
        """Learn the credentials and the private names in ``request``."""
        self._known.add(secrets.find_in_request(request.headers, request.url))
        self._known.add(find_field_values(request.body.decode("utf-8", "replace")))
        self._pseudonyms.learn_headers(request.headers)
        self._pseudonyms.learn_url(request.url)

    def learn_response(self, headers: Headers, body: bytes = b"") -> None:
        """Learn the cookies, tokens and private names in a response."""
        self._known.add(secrets.find_in_request(headers, ""))
        self._known.add(find_field_values(body.decode("utf-8", "replace")))
        self._pseudonyms.learn_headers(headers)

    def redact_text(self, text: str) -> str:
        """Return ``text`` with ``REDACTED`` instead of each secret, and a pseudonym instead of each private name."""
        return self._apply_steps(text if self._function is None else self._function.redact_text(text))

    def redact_secrets(self, text: str) -> str:
        """Return ``text`` with ``REDACTED`` instead of each secret. Private names stay."""
        return self._apply(self._secret_steps, text)

    def redact_printed(self, text: str) -> str:
        """Redact ``text`` that is printed. If the project's redaction function fails, continue without it.

        The function's error already fails the test. Raising it here, too, would end the run.
        """
        try:
            return self.redact_text(text)
        except BadOption:
            return self._apply_steps(text)

    def _apply_steps(self, text: str) -> str:
        return self._apply(self._steps, text)

    @staticmethod
    def _apply(steps: Sequence[FindChanges], text: str) -> str:
        # the text next to a removed secret may then look like a secret itself
        previous = None
        while text != previous:
            previous = text
            for find in steps:
                if changes := find(text):
                    text = apply_changes(text, changes)
        return text

    def _redact_pieces(self, pieces: Sequence[str]) -> Sequence[str]:
        """Redact the joined ``pieces`` of a string. Return the pieces unchanged if no secret spans several of them."""
        text = "".join(pieces)
        if self.redact_text(text) == text:
            return pieces
        steps = self._steps if self._function is None else (self._function.find_changes, *self._steps)
        redacted, is_divided, previous = pieces, False, None
        while text != previous:
            previous = text
            for find in steps:
                if changes := find(text):
                    is_divided = is_divided or has_divided(redacted, changes)
                    redacted = apply_to_pieces(redacted, changes)
                    text = "".join(redacted)
        return redacted if is_divided else pieces

    def redact_url(self, url: str) -> str:
        """Return ``url`` without user information and without secrets in its parameters."""
        if self._function is None and _has_ordinary_shape(url) and not self._finds_known(url):
            return url
        # cached, because a tape's requests have the same few URLs and headers
        key = (url, len(self._known), len(self._pseudonyms))
        if (known := self._redacted_urls.get(key)) is None:
            if len(self._redacted_urls) > _MAX_URLS:
                self._redacted_urls.clear()
            known = self._redacted_urls[key] = self._redact_url(url)
        else:
            # the strings that were searched for this result are unknown by now
            self._pseudonyms.note_search(None)
        return known

    def _finds_known(self, text: str) -> bool:
        return bool(self._known.find(text) or self._pseudonyms.find_known_names(text))

    def _redact_url(self, url: str) -> str:
        if self._function is not None:
            url = self._function.redact_url(url)
        url = _PARAMETER.sub(self._redact_parameter, _USER_INFORMATION.sub("", url))
        # a secret with a line break, in a malformed URL, may have hidden the user information until it was removed
        return _USER_INFORMATION.sub("", self._apply_steps(self._pseudonyms.replace_in_url(url)))

    def redact_body(self, body: bytes) -> bytes:
        """Return ``body`` without secrets, including secrets that a stream splits across several events."""
        # a form with an uploaded file is not text as a whole, but may contain credentials as well
        decoded = body.decode("utf-8", "surrogateescape")
        text = grpc_values.redact_wire_bytes(decoded, self._mask_secrets)
        if self._function is not None:
            text = self._function.redact_body(text)
        # the joined fragments first, because the first fragment of a secret may look like a whole secret
        text = redact_fragments(text, self._redact_pieces)
        text = self._apply_steps(text)
        return body if text == decoded else text.encode("utf-8", "surrogateescape")

    def redact_request(self, request: Request) -> Request:
        """Return ``request`` redacted, and without the headers that a cassette does not store."""
        return self._redact_message(
            lambda: replace(
                request,
                url=self.redact_url(request.url),
                headers=self._redact_headers(request.headers, self._kept - _RESPONSE_HEADERS),
                body=self.redact_body(request.body),
            )
        )

    def _redact_message(self, redact: Callable[[], T]) -> T:
        """Call ``redact`` and return its result.

        A private name can be learned from one part of a message, such as the body. If a part that was redacted earlier
        may contain this name, ``redact`` is called again.
        """
        while True:
            with self._pseudonyms.watch_searches() as searches:
                redacted = redact()
            if not searches.may_have_missed_names():
                return redacted

    def redact_response(self, response: Response, *, keep_all_headers: bool = False) -> Response:
        """Return ``response`` without secrets, ready to be recorded.

        Args:
            keep_all_headers: Whether to keep every header. True for responses in cassettes from other recorders.
        """
        kept = self._kept
        if response.status == 429:
            kept = kept | {name for name, _ in response.headers if _RATE_LIMIT in name}
        if response.ending == "complete" and not response.body and response.header("content-length") not in (None, "0"):
            kept = kept | {"content-length"}  # only this header has the length of a response to HEAD
        if keep_all_headers:
            kept = kept | {name for name, _ in response.headers}
        return self._redact_message(lambda: self._redact_parts(response, kept))

    def _redact_parts(self, response: Response, kept: Iterable[str]) -> Response:
        body, failure = self.redact_body(response.body), response.failure
        return replace(
            response,
            reason=self.redact_text(response.reason),
            headers=self._redact_headers(response.headers, kept),
            body=body,
            chunks=response.chunks.adapt(response.body, body, response.header("content-type")),
            encoded_body=None,
            failure=replace(failure, message=self.redact_text(failure.message)) if failure else None,
        )

    def _redact_headers(self, headers: Headers, kept: Iterable[str]) -> Headers:
        redacted = (
            (name, redact_set_cookie(value) if name == "set-cookie" else value)
            for name, value in headers
            if name in kept
        )
        return tuple((name, self._redact_header(name, value)) for name, value in redacted if value is not None)

    def _redact_header(self, name: str, value: str) -> str:
        if name.endswith("-bin"):
            with suppress(ValueError):
                return grpc_values.redact_binary_header(name, value, self._mask_secrets, self._apply_steps)
        return self.redact_url(value)

    def _find_shapes(self, text: str) -> list[TextChange]:
        return find_shapes(text, self._allowed)

    def _find_in_byte_arrays(self, text: str) -> list[TextChange]:
        return find_in_byte_arrays(text, self.redact_text)

    def _mask_secrets(self, text: str) -> str:
        """Replace each secret in ``text`` with as many asterisks as it has characters."""
        for find in (self._known.find, self._find_shapes):
            text = apply_changes(text, [TextChange(start, end, "*" * (end - start)) for start, end, _ in find(text)])
        return text

    def _redact_parameter(self, match: re.Match[str]) -> str:
        value = unquote_plus(match[2])
        return f"{match[1]}={REDACTED}" if secrets.is_secret(value) and value not in self._allowed else match[0]
