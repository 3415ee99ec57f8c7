"""Find secrets.

A value is a secret if one of these is true:

- A request sent it as a credential.
- An environment variable for credentials holds it.
- It has the shape of a known credential.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from urllib.parse import parse_qsl, unquote, urlsplit

from multitrack.tape.redaction.dummies import is_dummy
from multitrack.tape.redaction.word_boundaries import REDACTED
from multitrack.wires import registry

_SHARED_CREDENTIAL_HEADERS = {
    "authorization",
    "proxy-authorization",
    "api-key",
    "x-api-key",
    "x-amz-security-token",
    "x-auth-token",
    "cookie",
    "set-cookie",
}
"""The headers in which more than one provider expects a credential, in lower case."""

CREDENTIAL_PARAMETERS = frozenset(
    {"key", "api_key", "apikey", "access_token", "token", "sig", "x-amz-signature", "x-amz-security-token"}
)
"""The URL parameters that hold a credential, in lower case."""

# the key id and the signature in a signed request's header:
# https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
_AWS_CREDENTIAL = re.compile(r"(?:Credential|Signature)=([^/,\s]+)")
_MIN_SENT_LENGTH = 8


def credential_headers() -> frozenset[str]:
    """Return the headers whose values are credentials, in lower case."""
    return registry.credential_headers() | _SHARED_CREDENTIAL_HEADERS


def find_in_request(headers: Iterable[tuple[str, str]], url: str) -> Iterator[str]:
    """Yield the secrets in headers (names in lower case) and in a URL."""
    credentials = credential_headers()
    for header, value in headers:
        if header in credentials:
            yield from filter(is_secret, _find_in_header(header, value))
    try:
        parts = urlsplit(url)
    except ValueError:  # an invalid URL, in a cassette that was edited by hand
        return
    for parameter, value in parse_qsl(parts.query):
        if parameter.lower() in CREDENTIAL_PARAMETERS and is_secret(value):
            yield value
    password = unquote(parts.password or "")
    if is_secret(password):
        yield password


def _find_in_header(header: str, value: str) -> Iterator[str]:
    match header:
        case "cookie":
            yield from (pair.partition("=")[2].strip(' "') for pair in value.split(";"))
        case "set-cookie":
            yield value.partition(";")[0].partition("=")[2].strip(' "')
        case _:
            scheme, _, credentials = value.partition(" ")
            token = credentials.strip() or scheme
            yield token
            if scheme == "AWS4-HMAC-SHA256":
                yield from _AWS_CREDENTIAL.findall(credentials)
            if scheme.lower() == "basic":
                try:
                    yield base64.b64decode(token).decode().partition(":")[2]
                except (binascii.Error, UnicodeDecodeError):
                    return


def is_secret(value: str) -> bool:
    """Return whether ``value``, which was sent as a credential, is a real credential.

    A dummy value is not a secret. Neither is a value so short that it could be an ordinary word.
    """
    return len(value) >= _MIN_SENT_LENGTH and value != REDACTED and not is_dummy(value)
