"""What a secret is: a value sent as a credential, held by a key variable of the environment, or shaped like one."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

from multitrack.tape.redaction.word_boundaries import starting

CREDENTIAL_HEADERS = {
    "authorization",
    "proxy-authorization",
    "api-key",
    "x-api-key",
    "x-goog-api-key",
    "x-goog-iam-authorization-token",
    "x-auth-token",
    "cookie",
    "set-cookie",
}
CREDENTIAL_PARAMETERS = frozenset({"key", "api_key", "apikey", "access_token", "token", "sig", "x-amz-signature"})
"""The parameters of a URL that hold a credential."""

_CREDENTIAL_FIELDS = re.compile(
    r'"(?:access_token|refresh_token|id_token|client_secret|api_?key|password|private_key|assertion)"\s*:\s*'
    r'"((?:[^"\\]|\\.){16,})"',
    re.IGNORECASE,
)
_KEY_VARIABLE = re.compile(
    r"(?:^|_)(?:KEY|APIKEY|TOKEN|SECRET|PASSWORD|PASSWD|PAT|CREDENTIAL|ACCESS_KEY_ID)$", re.IGNORECASE
)
_DUMMY = re.compile(
    r"(?:x+|0+|\.+|\*+|not-?(?:needed|used|required)|anything|lm-studio"
    r"|(?:sk-)?(?:test|dummy|fake|mock|none|null|empty|unused|ollama|your)?[-_]?"
    r"(?:api|test|dummy|fake|mock|placeholder|openai|secret)?[-_]?(?:key|token|password|here|placeholder)?)",
    re.IGNORECASE,
)

_SPACE = r"(?:\s|\+|%20)"
# The shapes of credentials, as their issuers document them. A long shape stands before its own beginning.
_SHAPES = re.compile(
    # without its end, a key is as long as it is base64: more would take the JSON around it along
    rf"-----BEGIN(?:{_SPACE}[A-Z]+)*{_SPACE}PRIVATE{_SPACE}KEY-----"
    rf'(?:[^"]*?-----END(?:{_SPACE}[A-Z]+)*{_SPACE}PRIVATE{_SPACE}KEY-----|(?:[A-Za-z0-9+/=\s]|\\+[nr/])*)'
    + "".join(
        f"|{starting(beginning)}{rest}"
        for beginning, rest in (
            ("sk-", r"(?:proj-|svcacct-|admin-|ant-|or-)?[A-Za-z0-9_-]{20,}"),
            ("AIza", r"[0-9A-Za-z_-]{30,}"),
            ("ya29.", r"[0-9A-Za-z_.-]{20,}"),
            ("AQ.", r"[0-9A-Za-z_-]{30,}"),
            ("GOCSPX-", r"[0-9A-Za-z_-]{20,}"),
            ("AKIA", r"[0-9A-Z]{16}\b"),
            ("ASIA", r"[0-9A-Z]{16}\b"),
            ("gh", r"[pousr]_[0-9A-Za-z]{36,}"),
            ("github_pat_", r"[0-9A-Za-z_]{22,}"),
            ("glpat-", r"[0-9A-Za-z_-]{20,}"),
            ("gsk_", r"[0-9A-Za-z]{20,}"),
            ("hf_", r"[0-9A-Za-z]{30,}"),
            ("xox", r"[abposr]-[0-9A-Za-z-]{10,}"),
            ("eyJ", r"[0-9A-Za-z_-]{8,}\.eyJ[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]{8,}"),
            ("Bearer", rf"{_SPACE}+[0-9A-Za-z._~+/=-]{{20,}}"),
        )
    )
)

_SENT_LENGTH = 8
_HELD_LENGTH = 16


def is_credential(text: str, allowed: Collection[str] = ()) -> bool:
    """Whether ``text`` holds something in the shape of a known credential, other than those ``allowed``."""
    return any(match[0] not in allowed for match in _SHAPES.finditer(text))


def shapes() -> str:
    """The pattern of all known shapes."""
    return _SHAPES.pattern


def held(environment: Mapping[str, str]) -> Iterator[str]:
    """The secrets that the environment holds, with those of the service account that it points to."""
    for variable, value in environment.items():
        if _KEY_VARIABLE.search(variable) and len(value) >= _HELD_LENGTH and not _is_dummy(value):
            yield value
    account = google_account(environment)
    for field in ("private_key", "private_key_id", "client_id", "client_secret", "refresh_token"):
        if len(account.get(field, "")) >= _HELD_LENGTH:
            yield account[field]


def google_account(environment: Mapping[str, str]) -> Mapping[str, str]:
    """The fields of the credentials file that the environment points to."""
    path = environment.get("GOOGLE_APPLICATION_CREDENTIALS")
    if not path:
        return {}
    try:
        document = json.loads(Path(path).read_bytes())
    except (OSError, ValueError):
        return {}  # the SDK itself says what is wrong with the file
    fields = document.items() if isinstance(document, dict) else ()
    return {name: value for name, value in fields if isinstance(value, str)}


def sent(headers: Iterable[tuple[str, str]], url: str) -> Iterator[str]:
    """The secrets among headers (names in lower case) and the parameters of a URL."""
    for header, value in headers:
        if header in CREDENTIAL_HEADERS:
            yield from filter(is_secret, _in_header(header, value))
    parts = urlsplit(url)
    for parameter, value in parse_qsl(parts.query):
        if parameter.lower() in CREDENTIAL_PARAMETERS and is_secret(value):
            yield value
    password = unquote(parts.password or "")
    if is_secret(password):
        yield password


def _in_header(header: str, value: str) -> Iterator[str]:
    match header:
        case "cookie":
            yield from (pair.partition("=")[2].strip() for pair in value.split(";"))
        case "set-cookie":
            yield value.partition(";")[0].partition("=")[2].strip()
        case _:
            scheme, _, credentials = value.partition(" ")
            token = credentials.strip() or scheme
            yield token
            if scheme.lower() == "basic":
                try:
                    yield base64.b64decode(token).decode().partition(":")[2]
                except (binascii.Error, UnicodeDecodeError):
                    return


def fields(text: str) -> Iterator[str]:
    """The secrets in JSON fields that hold nothing else, such as ``access_token``."""
    for value in _CREDENTIAL_FIELDS.findall(text):
        if not _is_dummy(value):
            yield json.loads(f'"{value}"', strict=False)


def is_secret(value: str) -> bool:
    """Whether ``value``, sent where a credential is sent, is one, and neither a dummy nor too short to be told
    from an ordinary word."""
    return len(value) >= _SENT_LENGTH and not _is_dummy(value)


def _is_dummy(value: str) -> bool:
    return _DUMMY.fullmatch(value) is not None or "placeholder" in value.lower()


def spellings(secret: str) -> set[str]:
    """How ``secret`` may be written: as it is, inside JSON, inside JSON inside JSON, and inside a URL."""
    in_json = json.dumps(secret)[1:-1]
    in_unicode_json = json.dumps(secret, ensure_ascii=False)[1:-1]
    nested = json.dumps(in_json)[1:-1]
    return {secret, in_json, in_unicode_json, nested, quote(secret, safe=""), quote_plus(secret)}
