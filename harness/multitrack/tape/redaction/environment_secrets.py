"""Find the secrets in environment variables.

A variable holds a secret in two cases:

- Its name contains a word such as ``KEY``, ``TOKEN`` or ``DSN``.
- Its value is a URL or a connection string with a credential in it. Only the credential is secret.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from multitrack.tape.redaction.dummies import is_dummy
from multitrack.tape.redaction.environment_variables import copy_variables, decode

MIN_LENGTH = 12
"""The length of the shortest secret that is removed from text. A shorter one could be an ordinary word."""

_NAME_LIST = (
    "KEY KEYS APIKEY APIKEYS ACCESSKEY SECRETKEY PRIVATEKEY AUTHKEY APPKEY MASTERKEY SIGNINGKEY ENCRYPTIONKEY TOKEN "
    "TOKENS SECRET SECRETS PASSWORD PASSWORDS PASSWD PASSPHRASE PASSCODE PASS PWD PAT CREDENTIAL CREDENTIALS CRED "
    "CREDS DSN JWT BEARER COOKIE SAS SIGNATURE WEBHOOK"
)
_NAMES = frozenset(_NAME_LIST.split())
_NAME_ENDS = ("PASSWORD", "PASSWD", "TOKEN", "SECRET", "APIKEY", "CREDENTIALS")
_FOLDERS = frozenset({"PWD", "OLDPWD"})
_NAME_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_NUMBER = re.compile(r"[-+]?[\d_.,:]*\d(?:[eE][-+]?\d+)?%?")
_BOOLEAN = frozenset({"true", "false", "yes", "no", "on", "off", "enabled", "disabled"})
_PATH = re.compile(r"(?:~|\.{1,2}|[A-Za-z]:)?(?:[/\\][\w.@ -]*)+|[\w.-]+(?:/[\w.-]+)+\.[A-Za-z]{1,5}")
_RANDOM_PART = re.compile(r"(?=[^/\\]*[a-z])(?=[^/\\]*[A-Z])(?=[^/\\]*\d)[\w-]{16,}")
_PAIR = re.compile(r"(?:^|[;\s])([A-Za-z][A-Za-z _]*?)\s*=\s*([^;\s]+|'[^']*')")
_PAIR_LIST = (
    "accountkey sharedaccesskey sharedaccesssignature password pwd secret clientsecret apikey accesskey secretkey "
    "secretaccesskey token accesstoken authtoken sastoken passphrase privatekey instrumentationkey"
)
_SECRET_PAIRS = frozenset(_PAIR_LIST.split())
_WEBHOOK = re.compile(r"hook|/bot\d|/services/", re.IGNORECASE)

_ACCOUNT_SECRETS = ("private_key", "private_key_id", "client_id", "client_secret", "refresh_token")


@dataclass(frozen=True, slots=True)
class EnvironmentSecrets:
    """The secrets in a set of environment variables."""

    values: tuple[str, ...]
    """The values that are removed from text."""
    short_variables: tuple[str, ...]
    """The variables whose passwords are too short to be removed."""
    google_account: Mapping[str, str]
    """The text fields of the file that GOOGLE_APPLICATION_CREDENTIALS names. Empty if there is no such file."""
    variables: Mapping[str, str]
    """All environment variables."""


def find_in_environment(environment: Mapping[str, str]) -> EnvironmentSecrets:
    """Return the secrets in ``environment``. The results for recent environments are cached."""
    path = environment.get("GOOGLE_APPLICATION_CREDENTIALS", "")
    return _find_in_variables(frozenset(copy_variables(environment).items()), path, _read_version(path))


@lru_cache(maxsize=8)
def _find_in_variables(
    variables: frozenset[tuple[str | bytes, str | bytes]], account_path: str, version: tuple[int, int] | None
) -> EnvironmentSecrets:
    found: dict[str, None] = {}
    short: list[str] = []
    decoded = sorted((decode(variable), decode(value)) for variable, value in variables)
    for variable, value in decoded:
        for secret in find_in_variable(variable, value):
            if is_dummy(secret):
                continue
            if len(secret) < MIN_LENGTH:
                short.append(variable)
            else:
                found.update(dict.fromkeys(_divide(secret)))
    account = _read_text_fields(account_path) if version else {}
    for field in _ACCOUNT_SECRETS:
        if len(account.get(field, "")) >= MIN_LENGTH:
            found.update(dict.fromkeys(_divide(account[field])))
    return EnvironmentSecrets(tuple(found), tuple(dict.fromkeys(short)), account, dict(decoded))


def _divide(secret: str) -> Iterator[str]:
    """Yield ``secret``, and each of its long lines, because the output can show a single line of a private key."""
    # a key in a variable often contains the two characters `\n`, which the application replaces with line breaks
    if "-----BEGIN" in secret:
        secret = secret.replace("\\n", "\n")
    yield secret.strip()
    lines = secret.split("\n")
    if len(lines) > 1:
        yield from (stripped for line in lines if len(stripped := line.strip()) >= 24 and "-----" not in line)


def find_in_variable(name: str, value: str) -> Iterator[str]:
    """Yield the secrets in one variable. Short secrets, and dummies such as ``your-api-key``, are included."""
    value = value.strip()
    if len(value) < 4 or name in _FOLDERS:
        return
    is_named = name_says_secret(name)
    pairs = list(_find_pairs(value)) if "=" in value else []
    yield from pairs
    if "://" in value:
        try:
            yield from _find_in_url(urlsplit(value), is_named=is_named)
        except ValueError:  # not a valid URL
            if is_named:
                yield value
    elif pairs or not is_named or is_harmless(value):
        return
    elif value.startswith("{") and (fields := list(_find_in_object(value))):
        yield from fields
    else:
        yield value


@lru_cache(maxsize=1024)
def name_says_secret(name: str) -> bool:
    """Return whether a part of ``name``, such as ``API_KEY`` or ``authToken``, says that its value is a secret."""
    parts = [part.upper() for part in re.split(r"[\W_]+", name)]
    inner = [part.upper() for part in _NAME_PART.findall(name)]
    return any(part in _NAMES or part.endswith(_NAME_ENDS) for part in (*parts, *inner))


def is_harmless(value: str) -> bool:
    """Return whether ``value`` is a number, a boolean or a path."""
    if _NUMBER.fullmatch(value) or value.lower() in _BOOLEAN:
        return True
    # base64 may begin with a slash as well
    return _PATH.fullmatch(value) is not None and not _RANDOM_PART.search(value)


def _find_in_url(url: SplitResult, *, is_named: bool) -> Iterator[str]:
    if url.password:
        yield unquote(url.password)
    elif url.username and len(url.username) >= MIN_LENGTH and any(map(str.isdigit, url.username)):
        yield unquote(url.username)  # the key of a DSN, or a token
    for parameter, value in parse_qsl(url.query):
        if name_says_secret(parameter) or parameter.lower() in ("sig", "code"):
            yield value
    if is_named or _WEBHOOK.search(f"{url.hostname}{url.path}"):
        yield from (part for part in url.path.split("/") if len(part) >= MIN_LENGTH and _looks_random(part))


def _looks_random(part: str) -> bool:
    return any(map(str.isdigit, part)) and any(map(str.isalpha, part))


def _find_pairs(value: str) -> Iterator[str]:
    """Yield the secrets in a connection string such as ``Server=db;Password=…`` or ``host=db password=…``."""
    for name, content in _PAIR.findall(value):
        if re.sub("[ _]", "", name).lower() in _SECRET_PAIRS:
            yield content.strip("'")


def _find_in_object(value: str) -> Iterator[str]:
    try:
        document = json.loads(value)
    except ValueError:
        return
    for name, content in document.items() if isinstance(document, dict) else ():
        if isinstance(content, str) and (name_says_secret(name) or name in _ACCOUNT_SECRETS):
            yield content


def _read_version(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path) if path else None
    except (OSError, ValueError):
        return None  # the SDK itself reports what is wrong with the file
    return (status.st_mtime_ns, status.st_size) if status else None


def _read_text_fields(path: str) -> Mapping[str, str]:
    try:
        document = json.loads(Path(path).read_bytes())
    except (OSError, ValueError):
        return {}
    fields = document.items() if isinstance(document, dict) else ()
    return {name: value for name, value in fields if isinstance(value, str)}
