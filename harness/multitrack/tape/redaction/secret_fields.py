"""Find secrets by the name of the field that holds them: in JSON, in Python's ``repr``, and in forms."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from urllib.parse import unquote_plus

from multitrack.tape.redaction.dummies import is_dummy
from multitrack.tape.redaction.environment_secrets import is_harmless
from multitrack.tape.redaction.randomness import looks_random
from multitrack.tape.redaction.windows import cache_short_texts, find_windows

_MIN_LENGTH = 12
_MIN_SENT_LENGTH = 8
_MIN_WORD_LENGTH = 16

_OPAQUE = (
    r"(?:access|refresh|id|auth|session|bearer|api|security)[_-]?token|(?:api|private|secret|secret[_-]?access)[_-]?key"
    r"|client[_-]?secret|(?:client[_-]?)?assertion"
)
_PASSWORD = r"password|passwd|passphrase"
# the name of each field with a secret contains one of these strings; those with a quote are the end of the name
_MARKS = (b"secret", b"passw", b"passphrase", b"assertion", b'token"', b"token'", b'key"', b"key'")
_BETWEEN_MARKS = re.compile(r"(?<=[^a-zA-Z\"'\\])")
# A quote or a backslash in the value. The opening quote has n backslashes if the document is itself a string in another
# document. In that case, an escaped quote has 2n + 1 backslashes, and an escaped backslash is written as 2n + 2.
_ESCAPE = r"\\(?P=slashes)(?:(?P=quote)|\\(?P=slashes))"
_FIELD = re.compile(
    rf"(?P<open>\\*[\"'])(?:[\w.-]{{0,40}}?[_.-])?(?:(?P<opaque>{_OPAQUE})|(?P<password>{_PASSWORD}))"
    # Python's repr may quote the value differently; a truncated line has no quote at its end
    rf"(?P=open)\s*:\s*(?P<quote>(?P<slashes>\\*)[\"'])"
    rf"(?P<value>(?>{_ESCAPE}|(?!(?P=quote))[^\r\n]){{12,}}?)(?=(?P=quote)|[\r\n]|\Z)",
    re.IGNORECASE,
)
_FORM_NAME = re.compile(rf"(?:[\w.-]*[_.-])?(?:(?P<opaque>{_OPAQUE})|(?P<password>{_PASSWORD}|pwd))", re.IGNORECASE)
_FORM = re.compile(r"[\w.%+\[\]-]+=[^\s&\"'{}<>=]*=*(?:&[\w.%+\[\]-]+=[^\s&\"'{}<>=]*=*)*\s*")
_NAME_IN_FORM = re.compile(r"[\w.%+\[\]-]{1,40}$")
_VALUE_IN_FORM = re.compile(r"[^&#\s\"'<>\\;,()\[\]{}]+")
_PART = re.compile(
    r"name=\"?(?P<name>[\w.-]+)\"?(?:\\r)?(?:\r?\n|\\n)(?:[^\r\n\\]+(?:\\r)?(?:\r?\n|\\n)){0,9}(?:\\r)?(?:\r?\n|\\n)"
    r"(?P<value>[^\r\n\\]{8,})"
)
_ATTRIBUTE = re.compile(r"[A-Za-z_]+(?:\.[A-Za-z_]+)+")
_IDENTIFIER = re.compile(r"[A-Za-z]+(?:[._-][A-Za-z]+)+|[A-Z]?[a-z]+(?:[A-Z][a-z]+)+")


def find_fields(text: str) -> Iterator[tuple[int, int]]:
    """Yield the spans of secret values in fields such as ``client_secret``, if name and value are quoted."""
    if not _may_have_fields(text):
        return
    for match in _FIELD.finditer(text):
        value = decode_value(match["value"], match["quote"])
        if _is_secret(value, is_password=match["password"] is not None):
            yield match.span("value")


# the same text is searched when its secrets are learned and when they are removed
@cache_short_texts
def _may_have_fields(text: str) -> bool:
    return any(_may_have_fields_in(text[start:end]) for start, end in find_windows(text, _BETWEEN_MARKS))


def _may_have_fields_in(text: str) -> bool:
    squeezed = text.encode("latin-1", "replace").lower()
    if b"\\" in squeezed:
        squeezed = squeezed.translate(None, b"\\")
    return any(mark in squeezed for mark in _MARKS)


def find_field_values(text: str) -> Iterator[str]:
    """Yield the decoded secrets in the fields and forms of ``text``."""
    spans = set(find_fields(text))
    if spans:
        for match in _FIELD.finditer(text):
            if match.span("value") in spans:
                yield decode_value(match["value"], match["quote"])
    for start, end in find_in_form(text):
        yield unquote_plus(text[start:end])


def decode_value(value: str, quote: str) -> str:
    """Decode the escapes in the JSON string ``value``, and in the JSON strings that are nested in it.

    ``quote`` is the opening quote of ``value`` with its backslashes, which show how deeply the string is nested.
    """
    levels = len(quote).bit_length()
    for _ in range(levels):
        try:
            value = json.loads(f'"{value}"', strict=False)
        except ValueError:
            return value  # the text only looks like JSON
    return value


def _is_secret(value: str, *, is_password: bool) -> bool:
    if len(value) < _MIN_LENGTH or is_dummy(value) or is_harmless(value) or "://" in value:
        return False
    if "-----BEGIN" in value:
        return True
    if any(map(str.isspace, value)):
        return False  # prose
    if any(map(str.isdigit, value)):
        return looks_random(value) or len(value) >= _MIN_WORD_LENGTH
    if _IDENTIFIER.fullmatch(value):
        return is_password and len(value) >= _MIN_WORD_LENGTH and "-" in value
    return len(value) >= _MIN_WORD_LENGTH


def find_in_form(text: str) -> Iterator[tuple[int, int]]:
    """Yield the spans of secrets in a form, which can be URL-encoded or multipart.

    If ``text`` is not a form, yield the spans of secrets in the URLs and forms that it contains.
    """
    if "=" not in text:
        return
    is_form = _FORM.fullmatch(text) is not None
    position = text.find("=")
    while position >= 0:
        name = _NAME_IN_FORM.search(text, max(0, position - 40), position)
        kind = _FORM_NAME.fullmatch(unquote_plus(name[0])) if name else None
        value = _VALUE_IN_FORM.match(text, position + 1) if kind else None
        if kind and value and _is_form_secret(text, value, is_form=is_form, is_password=kind["password"] is not None):
            yield value.span()
        # do not search within the value again
        position = text.find("=", value.end() if value else position + 1)
    if "form-data" in text:
        for part in _PART.finditer(text):
            if _FORM_NAME.fullmatch(part["name"]) and not is_dummy(part["value"]):
                yield part.span("value")


def _is_form_secret(text: str, found: re.Match[str], *, is_form: bool, is_password: bool) -> bool:
    value = unquote_plus(found[0])
    if is_form:
        return len(value) >= _MIN_SENT_LENGTH and not is_dummy(value) and not _ATTRIBUTE.fullmatch(value)
    # code such as `password=os.environ[...]` and `api_key=settings.key` is not a form
    if text[found.end() : found.end() + 1] in ("(", "[", "{"):
        return False
    has_digit = any(map(str.isdigit, value))
    return has_digit and _is_secret(value, is_password=is_password)
