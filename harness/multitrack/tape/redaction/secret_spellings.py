r"""Find a secret whose value is known, in all its spellings.

The search finds the secret itself and these spellings:

- in JSON and in Python's ``repr``, also several levels deep
- in URLs and forms
- in HTML and XML
- with line breaks
- in base64, where a secret has three spellings, which depend on the position of its first byte

Base64 is searched for separately. In all other spellings, ASCII letters and digits stay the same. Therefore, the
search first compares only letters and digits, and then the characters between them. A pattern with all spellings of
each character would take a tenth of a second to compile.
"""

from __future__ import annotations

import base64
import json
import re
from bisect import bisect_right
from collections.abc import Collection, Iterator
from functools import cached_property, lru_cache
from html import unescape
from urllib.parse import unquote

from multitrack.tape.redaction.long_words import MIN_LENGTH, find_long_words
from multitrack.tape.redaction.text_changes import TextChange
from multitrack.tape.redaction.windows import WINDOW, find_windows
from multitrack.tape.redaction.word_boundaries import REDACTED

_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]+")
_NOT_ALPHANUMERIC = bytes(byte for byte in range(256) if not chr(byte).isalnum() or byte > 127)
_HEX = "[0-9a-fA-F]"
_ESCAPE = rf"\\+(?:u{_HEX}{{4}}|x{_HEX}{{2}}|U{_HEX}{{8}}|[nrtbf])|%(?:25)*{_HEX}{{2}}|&(?:amp;)*(?:[a-z]+|#x?{_HEX}+);"
_BETWEEN = re.compile(rf"(?:{_ESCAPE}|[^A-Za-z0-9])+")
_UNIT = re.compile(rf"{_ESCAPE}|\\*[^A-Za-z0-9]")
_MAX_UNIT = 16
"""The length of the longest escape sequence that is recognized before the first letter or digit of a secret."""
_CODE = re.compile(rf"\\+(?:u({_HEX}{{4}})|x({_HEX}{{2}})|U({_HEX}{{8}}))")
# ignored characters: line breaks, escaped or not, with the marks that some formats put before them; and characters
# that forms and JSON write differently
_INSIGNIFICANT = re.compile(r"\\+[nrtbf]|[\s\\+=]")


# An escaped line break has at most three characters. Removing one may complete another, hence the eight.
_BETWEEN_ESCAPES = re.compile(r"(?<=[^\\%]{8})(?=[^\\%]{3})")


def find_marks(text: str, marks: Collection[bytes]) -> set[bytes]:
    """Return the marks that occur in ``squeeze(text)``. To save memory, the text is squeezed in parts."""
    found: set[bytes] = set()
    overlap = max(map(len, marks), default=1) - 1
    squeezed = b""
    for start, end in find_windows(text, _BETWEEN_ESCAPES):
        # a mark may begin in one window and end in another
        squeezed = squeezed[len(squeezed) - overlap if len(squeezed) > overlap else 0 :] + squeeze(text[start:end])
        found.update(mark for mark in marks if mark not in found and mark in squeezed)
    return found


def squeeze(text: str) -> bytes:
    """Return the ASCII letters and digits of ``text``. Escaped line breaks are removed first."""
    if "\\" in text:
        text = text.replace("\\n", "").replace("\\r", "")
    if "%" in text:
        text = text.replace("%0A", "").replace("%0D", "").replace("%0a", "").replace("%0d", "")
    return text.encode("latin-1", "replace").translate(None, _NOT_ALPHANUMERIC)


class SearchedText:
    """A string that is searched for secrets.

    Args:
        text: The string.
        marks: The marks of all secrets (see ``SecretSpellings.marks``).
    """

    def __init__(self, text: str, marks: Collection[bytes] = ()) -> None:
        self.text = text
        self._marks = marks

    def may_contain(self, mark: bytes, *, in_long_word: bool) -> bool:
        """Return whether the text may contain a secret with this ``mark``. False means that it contains none."""
        if len(self.text) > WINDOW:
            return mark in self._found_marks
        return mark in (self._squeezed_words if in_long_word else self._squeezed)

    @cached_property
    def _found_marks(self) -> set[bytes]:
        return find_marks(self.text, self._marks)

    @cached_property
    def _squeezed(self) -> bytes:
        """The letters and digits of the text. Most escape sequences are included, so this is cheaper to compute than
        ``canonical``.
        """
        return squeeze(self.text)

    @cached_property
    def _squeezed_words(self) -> bytes:
        """Return the long words of the text, squeezed like ``_squeezed``. Base64 is always in a long word."""
        # The character before a word is included, because it may be the backslash or percent sign of a line break. Some
        # text after the word is included, because the last line of base64 may be short.
        parts = []
        previous = 0
        for start, end in find_long_words(self.text):
            start, end = max(previous, start - 1), end + 2 * MIN_LENGTH
            parts.append(self.text[start:end])
            previous = end
        return squeeze("".join(parts))

    @cached_property
    def canonical(self) -> str:
        """The letters and digits of the text that are not part of an escape sequence."""
        return "".join(self.text[start:end] for start, end in self._runs)

    def find_span(self, start: int, end: int) -> tuple[int, int]:
        """Convert the span from ``start`` to ``end`` in ``canonical`` to the same span in the original text."""
        return self._find_offset(start), self._find_offset(end - 1) + 1

    @cached_property
    def _runs(self) -> list[tuple[int, int]]:
        runs = []
        position = 0
        for between in _BETWEEN.finditer(self.text):
            if between.start() > position:
                runs.append((position, between.start()))
            position = between.end()
        return [*runs, (position, len(self.text))]

    @cached_property
    def _run_offsets(self) -> list[int]:
        offsets = [0]
        for start, end in self._runs:
            offsets.append(offsets[-1] + end - start)
        return offsets

    def _find_offset(self, position: int) -> int:
        run = bisect_right(self._run_offsets, position) - 1
        return self._runs[run][0] + position - self._run_offsets[run]


@lru_cache(maxsize=4096)
def spellings_of(secret: str) -> SecretSpellings:
    """Return the spellings of ``secret``. Cached, because all tests search for the same few secrets."""
    return SecretSpellings(secret)


class SecretSpellings:
    """The spellings of one secret."""

    def __init__(self, secret: str) -> None:
        self.secret = secret
        in_json = json.dumps(secret, ensure_ascii=False)[1:-1]
        encoded = [*_encode_base64(secret), *(_encode_base64(in_json) if in_json != secret else ())]
        self._forms = [_Form(secret), *(_Form(middle, is_base64=True) for middle in dict.fromkeys(encoded))]

    @property
    def marks(self) -> Iterator[bytes]:
        """Yield a mark for each form of the secret. A mark is a run of letters and digits that occurs in every text
        with the form.
        """
        return (form.mark for form in self._forms)

    def find(self, searched: SearchedText) -> Iterator[TextChange]:
        """Yield a change for each occurrence of the secret.

        If the text contains the secret itself, this function does not search for other spellings. The caller must
        replace each occurrence and search again, until nothing is found.
        """
        forms = [form for form in self._forms if form.may_be_in(searched)]
        if not forms:
            return
        text, secret = searched.text, self.secret
        start = text.find(secret)
        if start >= 0:
            # usually, the text contains no other spelling
            while start >= 0:
                end = start + len(secret)
                yield TextChange(start, end, REDACTED)
                start = text.find(secret, end)
            return
        for form in forms:
            yield from form.find(searched)


class _Form:
    """One form of a secret: the secret itself, or one of its base64 forms."""

    def __init__(self, value: str, *, is_base64: bool = False) -> None:
        self._value = value
        self._is_base64 = is_base64
        self.mark = _find_mark(value)
        self._is_in_long_word = is_base64 and len(self.mark) >= MIN_LENGTH

    def may_be_in(self, searched: SearchedText) -> bool:
        """Return whether the text may contain this form. The check is cheap, and the result is usually false."""
        return searched.may_contain(self.mark, in_long_word=self._is_in_long_word)

    @cached_property
    def _letters(self) -> str:
        return SearchedText(self._value).canonical

    @cached_property
    def _parts(self) -> tuple[str, str, str]:
        """The normalized secret in three parts. The middle part begins and ends with a letter or digit."""
        start, end = SearchedText(self._value).find_span(0, len(self._letters))
        value = self._value
        return self._normalize(value[:start]), self._normalize(value[start:end]), self._normalize(value[end:])

    def find(self, searched: SearchedText) -> Iterator[TextChange]:
        """Yield a change for each occurrence of this form in ``searched``."""
        if not (letters := self._letters):
            return
        head, core, tail = self._parts
        text = searched.text
        position = searched.canonical.find(letters)
        while position >= 0:
            start, end = searched.find_span(position, position + len(letters))
            if self._normalize(text[start:end]) == core:
                start -= self._measure(_units_before(text, start, _MAX_UNIT * len(head)), head)
                end += self._measure(_units_after(text, end, len(tail)), tail)
                yield TextChange(start, end, REDACTED)
            position = searched.canonical.find(letters, position + len(letters))

    def _measure(self, parts: Iterator[str], expected: str) -> int:
        """Return the length of the first part that equals ``expected`` when normalized, or 0 if no part does."""
        if not expected:
            return 0
        return next((len(part) for part in parts if self._normalize(part) == expected), 0)

    def _normalize(self, text: str) -> str:
        """Return ``text`` with its escape sequences decoded and without ignored characters, such as line breaks."""
        previous = None
        while text != previous:
            previous = text
            text = _CODE.sub(lambda code: chr(int(code[1] or code[2] or code[3], 16)), text)
            text = unescape(unquote(text, "latin-1"))
        if self._is_base64:
            text = text.replace("-", "+").replace("_", "/")
        text = _INSIGNIFICANT.sub("", text)
        return text if text.isascii() else _join_bytes(text)


def _join_bytes(text: str) -> str:
    """Decode characters in ``text`` that are written as surrogate pairs or as UTF-8 bytes.

    UTF-8 bytes occur in URLs and in ``repr``.
    """
    with_pairs = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    is_bytes = all(ord(character) < 256 for character in with_pairs)
    try:
        return with_pairs.encode("latin-1").decode() if is_bytes else with_pairs
    except UnicodeDecodeError:
        return with_pairs


def _units_before(text: str, position: int, limit: int) -> Iterator[str]:
    """Yield the last character before ``position``, then the last two, and so on, up to ``limit`` characters."""
    for start in range(position - 1, max(-1, position - limit - 1), -1):
        yield text[start:position]


def _units_after(text: str, position: int, count: int) -> Iterator[str]:
    """Yield the first unit after ``position``, then the first two, and so on. A unit is a character or an escape."""
    end = position
    for _ in range(count * 4):
        if (unit := _UNIT.match(text, end)) is None:
            return
        end = unit.end()
        yield text[position:end]


def _find_mark(value: str) -> bytes:
    """Find the longest part of ``value`` that is the same in every spelling, and return its letters and digits."""
    parts = []
    for run in _UNRESERVED.finditer(value):
        part = run[0]
        # `squeeze` removes the n or r after a backslash
        if run.start() and value[run.start() - 1] == "\\" and part[0] in "nr":
            part = part[1:]
        parts.append(part.encode().translate(None, _NOT_ALPHANUMERIC))
    return max(parts, key=len, default=b"")


def _encode_base64(text: str) -> Iterator[str]:
    """Yield the three base64 encodings of ``text``, one for each offset of its first byte in a group of three bytes.

    Each encoding contains only the characters that do not depend on the bytes before and after the text.
    """
    data = text.encode("utf-8", "surrogatepass")
    for offset in range(3):
        remaining = -(offset + len(data)) % 3
        encoded = base64.b64encode(bytes(offset) + data + bytes(remaining)).decode()
        yield encoded[(0, 2, 3)[offset] : len(encoded) - (0, 2, 3)[remaining]]
