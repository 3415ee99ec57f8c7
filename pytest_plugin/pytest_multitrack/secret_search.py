"""Find known secrets in printed text that is split over lines, escaped, marked as a difference, or truncated.

``Redactor`` finds a secret that is written in one piece. pytest prints values in other forms:

- It puts ``E`` before each line of an error.
- It puts ``+`` and ``-`` before each line of a difference.
- It writes long values as several literals.
- It replaces the middle of a long value with ``...``.

All of these forms keep the letters and the digits of the secret, in order.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator

from multitrack.tape.redaction.word_boundaries import REDACTED

_FILLER = re.compile(
    r"^E(?=\s|$)"  # the margin of an error message
    r"|\b[bBrRuU]{1,2}(?=['\"])"  # the prefix of a literal
    r"|%[0-9A-Fa-f]{2}"
    r"|\\+(?:u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|x[0-9a-fA-F]{2}|[abfnrtv0])?"
    r"|[^A-Za-z0-9\\%]+|%",
    re.MULTILINE,
)
"""The parts of a string that are not compared."""

_MIN_LETTERS = 12
"""The minimum number of letters and digits in a secret that is searched for.

Without its punctuation, a shorter secret could be an ordinary word. ``Redactor`` finds it as it is written.
"""

_GRAM = 8
"""The length of the shortest part of a secret that is searched for."""

_MIN_AT_LINE = 12
_MIN_ANYWHERE = 16
# where a printed value may be cut: at an ellipsis, at the start of a line, and at the end of a line
_ELLIPSIS_BEFORE = re.compile(r"\.\.\.\W{0,3}$")
_ELLIPSIS_AFTER = re.compile(r"\W{0,3}\.\.\.")
_LINE_BEFORE = re.compile(r"(?:^|\n)(?:E(?=\s))?[\s|+\-?>]*(?:assert )?[bBrRuU]?['\"]?\W{0,3}$")
_SKIPPED = "Skipping "  # pytest leaves out equal characters at the start or the end of a line, and says so above
_LINE_AFTER = re.compile(r"\W{0,5}(?:\n|$)")

_PRIVATE_KEY_BEGIN = r"-----BEGIN[A-Z ]*PRIVATE KEY-----"
_PRIVATE_KEY = re.compile(
    rf"{_PRIVATE_KEY_BEGIN}(?:(?:(?!-----BEGIN)[\s\S]){{0,20000}}?-----END[A-Z ]*PRIVATE KEY-----"
    # a key without its end: as far as the text is base64, between margins, quotes and escaped line ends
    r"|(?:[\s'\"|+\-?>]|\\+[nr]|E(?=\s)|[A-Za-z0-9+/=]{16,}|[A-Za-z0-9+/=]*\.\.\.[A-Za-z0-9+/=]*)*)"
)


class SecretSearch:
    """A search for known secrets in printed text."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._letters: dict[str, str] = {}
        self._longest_first: list[tuple[str, str]] = []
        self._grams: dict[str, list[tuple[str, int]]] = {}

    def add(self, secrets: Iterable[str]) -> None:
        """Add ``secrets`` to the search. Pass each secret as it was sent or set, without any escapes."""
        new = set(secrets) - self._known
        if not new:
            return
        self._known |= new
        for secret in new:
            wanted = _FILLER.sub("", secret)
            if _is_distinctive(wanted):
                self._letters[secret] = wanted
                for start in range(len(wanted) - _GRAM + 1):
                    self._grams.setdefault(wanted[start : start + _GRAM], []).append((wanted, start))
        self._longest_first = sorted(self._letters.items(), key=lambda pair: -len(pair[1]))

    def hide(self, text: str, *, may_be_cut: bool = False) -> str:
        """Return ``text`` with ``REDACTED`` instead of each secret, in whatever form it was printed.

        Args:
            text: The printed text.
            may_be_cut: Whether to look for parts of secrets, too. A part must have at least 16 letters and digits. At
                the start or the end of a line, 12 are enough. Next to an ellipsis or another sign of truncation, 8
                are enough.
        """
        if "PRIVATE KEY" in text:
            text = _PRIVATE_KEY.sub(REDACTED, text)
        if may_be_cut or any(_may_contain(text, wanted) for wanted in self._letters.values()):
            text = self._hide_whole(text)
        return self._hide_parts(text) if may_be_cut else text

    def _hide_whole(self, text: str) -> str:
        printed: _Letters | None = None
        for secret, wanted in self._longest_first:
            printed = printed or _Letters(text)
            if wanted in printed.letters:
                text = _replace(text, printed.find_all(wanted), secret)
                printed = None
        return text

    def _hide_parts(self, text: str) -> str:
        printed = _Letters(text)
        letters, index, spans = printed.letters, 0, []
        while index <= len(letters) - _GRAM:
            places = self._grams.get(letters[index : index + _GRAM], ())
            if length := max((_count_equal(letters, index, *place) for place in places), default=0):
                start, end = printed.to_span(index, index + length)
                if _is_cut_part(text, start, end, length):
                    spans.append((start, end))
                    index += length
                    continue
            index += 1
        return _replace(text, spans)


def _is_distinctive(wanted: str) -> bool:
    return len(wanted) >= _MIN_LETTERS and (len(wanted) >= _MIN_ANYWHERE or not _is_word(wanted))


def _is_word(text: str) -> bool:
    """Return whether ``text`` could be an ordinary word: letters, capitalized like a word."""
    return text.isalpha() and (text.islower() or text.isupper() or text.istitle())


def _may_contain(text: str, wanted: str) -> bool:
    """Return whether ``text`` contains at least one of four short samples of ``wanted``.

    Looking for the samples is faster than a full search.
    """
    step = (len(wanted) - 4) // 3
    return any(wanted[start : start + 4] in text for start in range(0, len(wanted) - 3, step))


class _Letters:
    """The ASCII letters and digits of a string, without escapes and margins, and their positions in the string."""

    def __init__(self, text: str) -> None:
        kept: list[str] = []
        self._starts: list[int] = []
        self._positions: list[int] = []
        start = count = 0
        for filler in _FILLER.finditer(text):
            if start < filler.start():
                self._starts.append(count)
                self._positions.append(start)
                kept.append(text[start : filler.start()])
                count += filler.start() - start
            start = filler.end()
        if start < len(text):
            self._starts.append(count)
            self._positions.append(start)
            kept.append(text[start:])
        self.letters = "".join(kept)

    def to_span(self, start: int, end: int) -> tuple[int, int]:
        """Convert the range from ``start`` to ``end`` in ``self.letters`` to the corresponding span of the text."""
        return self._to_position(start), self._to_position(end - 1) + 1

    def _to_position(self, index: int) -> int:
        run = bisect_right(self._starts, index) - 1
        return self._positions[run] + index - self._starts[run]

    def find_all(self, wanted: str) -> Iterator[tuple[int, int]]:
        """Yield the span of each place in the text that contains the letters in ``wanted``."""
        start = self.letters.find(wanted)
        while start >= 0:
            yield self.to_span(start, start + len(wanted))
            start = self.letters.find(wanted, start + len(wanted))


def _replace(text: str, spans: Iterable[tuple[int, int]], secret: str = "") -> str:
    """Replace ``spans`` with a placeholder.

    ``spans`` never include the punctuation at the start and the end of ``secret``. Where this punctuation is next to
    a span, the placeholder replaces it, too. The spans must be sorted.
    """
    found = list(spans)
    if not found:
        return text
    before = secret[: len(secret) - len(secret.lstrip(_punctuation(secret)))]
    after = secret[len(secret.rstrip(_punctuation(secret))) :]
    parts, position = [], 0
    for start, end in found:
        if before and text.endswith(before, position, start):
            start -= len(before)
        if after and text.startswith(after, end):
            end += len(after)
        parts += [text[position:start], REDACTED]
        position = end
    return "".join([*parts, text[position:]])


def _punctuation(secret: str) -> str:
    return "".join(character for character in set(secret) if not (character.isascii() and character.isalnum()))


def _count_equal(letters: str, index: int, wanted: str, start: int) -> int:
    length = _GRAM
    while letters[index + length : index + length + 1] == wanted[start + length : start + length + 1] != "":
        length += 1
    return length


def _is_cut_part(text: str, start: int, end: int, length: int) -> bool:
    before, after = text[max(0, start - 80) : start], text[end : end + 20]
    if length >= _MIN_ANYWHERE:
        return True
    is_at_line = bool(_LINE_BEFORE.search(before) or _LINE_AFTER.match(after))
    is_marked = _ELLIPSIS_BEFORE.search(before) or _ELLIPSIS_AFTER.match(after) or (is_at_line and _SKIPPED in text)
    if is_marked and not _is_word(text[start:end]):
        return True
    return is_at_line and length >= _MIN_AT_LINE
