"""Find substrings that have the shape of a secret.

There are 200 rules, and trying all of them at each character would be slow. The secrets of most rules start with a
fixed prefix. Such a rule is tried only where its prefix occurs in a long word.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import lru_cache
from typing import TypeAlias
from urllib.parse import unquote

from multitrack.tape.redaction.byte_arrays import find_in_byte_arrays
from multitrack.tape.redaction.dummies import is_dummy
from multitrack.tape.redaction.encoded_data import is_in_encoded_data
from multitrack.tape.redaction.environment_secrets import name_says_secret
from multitrack.tape.redaction.long_words import find_long_words
from multitrack.tape.redaction.randomness import looks_random
from multitrack.tape.redaction.secret_fields import find_fields, find_in_form
from multitrack.tape.redaction.shape_rules import ShapeRule, load_rules
from multitrack.tape.redaction.text_changes import TextChange, apply_changes, select_disjoint
from multitrack.tape.redaction.word_boundaries import REDACTED

Rules: TypeAlias = Sequence[tuple[str, ShapeRule]]
"""Rules, each with the fixed beginning of its secrets."""

_MIN_LENGTH = 12
_MAX_CACHED = 100
_PARTS = re.compile(r"[A-Za-z0-9]+")
_ESCAPE = re.compile(r"(?<=\\)(?:[nrtbf]|u[0-9a-fA-F]{4})|(?<=%)[0-9a-fA-F]{2}")
_REST_OF_WORD = re.compile(r"[A-Za-z0-9]*")
_DIGIT = re.compile(r"[0-9]")

_SPACE = r"(?:\s|\+|%20)"
_PRIVATE_KEY = re.compile(
    # if the end line is missing, the key ends where the base64 ends, so the JSON around it stays
    rf"-----BEGIN(?:{_SPACE}[A-Z]+)*{_SPACE}PRIVATE{_SPACE}KEY(?:{_SPACE}BLOCK)?-----"
    rf'(?:[^"]{{0,12000}}?-----END(?:{_SPACE}[A-Z]+)*{_SPACE}PRIVATE{_SPACE}KEY(?:{_SPACE}BLOCK)?-----'
    r"|(?:[A-Za-z0-9+/=\s]|\\+[nr/])*)",
    re.DOTALL,
)
_SCHEME = re.compile(rf"(?:[Bb]earer|[Bb]asic){_SPACE}+([0-9A-Za-z._~+/=-]{{16,}})")
_MIN_BEARER = 20
_PASSWORD_IN_URL = re.compile(r":(?:\\*/){2}[^\s/?#@:\"'\\<>]*:([^\s/?#,\"'\\<>]{6,})@")
_PAIR_IN_CONNECTION = re.compile(
    r"(?i:(?:^|[;\"'\s])(?:account ?key|shared ?access ?key|shared ?access ?signature|password|pwd|client ?secret)"
    r"\s*=\s*)([^;\s\"'\\&<>]{6,}?)(?=[;\"'\\\s]|$)"
)
_CONNECTION = re.compile(r"(?<![A-Za-z ])[A-Za-z ]+=[^;=\s\"]+;")
_DISCORD = re.compile(r"discord(?:app)?\.com/api/webhooks/\d+/([\w-]{20,})")
_TELEGRAM = re.compile(r"(?:(?<![A-Za-z0-9])|(?<=\\[nrtbf]))(?:bot)?(\d{6,12}:AA[\w-]{30,})")

_OPERATORS = "=:>,|?"
_BETWEEN = "`'\"\\ \t\n"


def has_credential_shape(text: str, allowed: Collection[str] = ()) -> bool:
    """Return whether any part of ``text`` looks like a secret. Parts in ``allowed`` are ignored.

    If ``text`` contains arrays of bytes, the decoded bytes are searched, too.
    """

    def redact(part: str) -> str:
        return apply_changes(part, find_shapes(part, allowed))

    return bool(find_shapes(text, allowed) or find_in_byte_arrays(text, redact))


def find_shapes(text: str, allowed: Collection[str] = ()) -> list[TextChange]:
    """Return a change for each part of ``text`` that looks like a secret, except the parts in ``allowed``.

    The parts before and after a removed secret are searched separately. Otherwise, the placeholder and the text next
    to it could look like another secret.
    """
    if REDACTED not in text:
        return _find_in_part(text, allowed)
    found: list[TextChange] = []
    offset = 0
    for part in text.split(REDACTED):
        found += (TextChange(offset + start, offset + end, new) for start, end, new in _find_in_part(part, allowed))
        offset += len(part) + len(REDACTED)
    return found


def _find_in_part(text: str, allowed: Collection[str]) -> list[TextChange]:
    if len(text) < _MIN_LENGTH:
        return []
    found = [*_find_in_long_words(text), *(span for fixed, find in _MARKED if fixed in text for span in find(text))]
    for infix, rule in load_rules().by_infix:
        if infix in text:
            found += (match.span() for match in rule.pattern.finditer(text) if rule.accepts(match[0]))
    found += find_fields(text)
    found += find_in_form(text)
    if not found:
        return []
    longest_first = sorted(set(found), key=lambda span: (span[0] - span[1], span))
    return select_disjoint(
        TextChange(start, end, REDACTED) for start, end in longest_first if text[start:end] not in allowed
    )


def _find_in_long_words(text: str) -> Iterator[tuple[int, int]]:
    for start, end in find_long_words(text):
        is_cached = end - start < _MAX_CACHED
        candidates, has_digit = _examine(text[start:end]) if is_cached else _examine_span(text, start, end)
        if candidates:
            # where the last match of each rule ended; a match that begins before this position is not searched again
            ends: dict[str, int] = {}
            for offset, rules in candidates:
                yield from _try_rules(rules, text, start + offset, ends)
        if start and text[start - 1] in "\\%" and (escape := _ESCAPE.match(text, start)):
            # the word begins with the rest of an escape sequence
            begins = escape.end()
            rules = load_rules().by_beginning.get(text[begins : begins + 2].lower(), ())
            yield from _try_rules(rules, text, begins, {})
        if has_digit:
            yield from _find_by_name(text, start)


# cached, because tool names and JSON field names are the same in each request
@lru_cache(maxsize=4096)
def _examine(word: str) -> tuple[Sequence[tuple[int, Rules]], bool]:
    """Find where a secret may begin in ``word``.

    Returns:
        The positions, each with the rules to try at it, and whether ``word`` contains a digit.
    """
    return _examine_span(word, 0, len(word))


def _examine_span(text: str, word_start: int, word_end: int) -> tuple[Sequence[tuple[int, Rules]], bool]:
    """Examine a word in ``text``, as ``_examine`` does, without copying the word."""
    rules = load_rules().by_beginning
    candidates = []
    for part in _PARTS.finditer(text, word_start, word_end):
        start = part.start()
        found = rules.get(text[start : min(start + 2, part.end())].lower(), ())
        found = found or rules.get(text[start : min(start + 2, word_end)].lower(), ())
        fitting = [
            (beginning, rule)
            for beginning, rule in found
            if text[start : min(start + len(beginning), word_end)].lower() == beginning
        ]
        if fitting:
            candidates.append((start - word_start, fitting))
    return candidates, _DIGIT.search(text, word_start, word_end) is not None


def _try_rules(rules: Rules, text: str, position: int, ends: dict[str, int]) -> Iterator[tuple[int, int]]:
    for beginning, rule in rules:
        if text[position : position + len(beginning)].lower() != beginning or position < ends.get(rule.name, 0):
            continue
        if (match := rule.pattern.match(text, position)) is None:
            continue
        ends[rule.name] = match.end()
        if rule.accepts(match[0]) and not is_in_encoded_data(text, position):
            # a pattern of fixed length matches only a part of a longer secret
            rest = _REST_OF_WORD.match(text, match.end())
            yield position, rest.end() if rest else match.end()


def _find_by_name(text: str, start: int) -> Iterator[tuple[int, int]]:
    """Yield the span of the value at ``start`` if a name in front of the value suggests a secret."""
    before = text[max(0, start - 70) : start].rstrip(_BETWEEN)
    if not before or before[-1] not in _OPERATORS:
        return
    name = before.rstrip(_OPERATORS).rstrip(_BETWEEN)[-50:]
    first = max(map(name.rfind, "\"'`{,;&\n\\")) + 1
    for rule in _rules_for_name(name[first:]):
        if (match := rule.pattern.match(text, start)) and rule.accepts(match[1]):
            yield match.span(1)


@lru_cache(maxsize=4096)
def _rules_for_name(name: str) -> Sequence[ShapeRule]:
    # `linear_issue` also names the service, but is not the name of a secret
    if not name_says_secret(name):
        return ()
    return [rule for pattern, rule in load_rules().named if re.search(pattern, name)]


def _find_private_keys(text: str) -> Iterator[tuple[int, int]]:
    return (match.span() for match in _PRIVATE_KEY.finditer(text))


def _find_authorizations(text: str) -> Iterator[tuple[int, int]]:
    for match in _SCHEME.finditer(text):
        if match[0][0] in "Bb" and text[match.start() : match.start() + 2].lower() == "be":
            is_secret = len(match[1]) >= _MIN_BEARER and looks_random(match[1])
        else:
            is_secret = _has_password(match[1])
        if is_secret:
            yield match.span()


def _has_password(encoded: str) -> bool:
    try:
        decoded = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return False
    _, colon, password = decoded.partition(":")
    return bool(colon) and decoded.isprintable() and not is_dummy(password)


def _find_passwords_in_urls(text: str) -> Iterator[tuple[int, int]]:
    for match in _PASSWORD_IN_URL.finditer(text):
        user = match[0].rpartition("/")[2].partition(":")[0]
        if not is_dummy(unquote(match[1])) and match[1] != user:
            yield match.span(1)


def _find_in_connection_strings(text: str) -> Iterator[tuple[int, int]]:
    if _CONNECTION.search(text):
        for match in _PAIR_IN_CONNECTION.finditer(text):
            if not is_dummy(match[1]):
                yield match.span(1)


def _find_discord_webhooks(text: str) -> Iterator[tuple[int, int]]:
    return (match.span(1) for match in _DISCORD.finditer(text))


def _find_telegram_tokens(text: str) -> Iterator[tuple[int, int]]:
    return (match.span(1) for match in _TELEGRAM.finditer(text))


_MARKED: Sequence[tuple[str, Callable[[str], Iterator[tuple[int, int]]]]] = (
    ("-----BEGIN", _find_private_keys),
    ("earer", _find_authorizations),
    ("asic", _find_authorizations),
    ("@", _find_passwords_in_urls),
    (";", _find_in_connection_strings),
    ("/webhooks/", _find_discord_webhooks),
    (":AA", _find_telegram_tokens),
)
"""Functions that find secrets, each with a fixed string. A function is only called if the text contains its string."""
