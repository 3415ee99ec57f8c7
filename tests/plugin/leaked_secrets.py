"""Find parts of secrets in text, in whatever form they were written. Independent of Multitrack's own search."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

# the margin of an error, escapes of repr and JSON, entities of XML, and punctuation
_NOT_COMPARED = re.compile(r"^E(?=\s)|\\+[nrt]?|&[a-z]+;|&#\d+;|[^A-Za-z0-9]+", re.MULTILINE)
_WORDS_OF_KEY_FILES = re.compile(r"(BEGIN|END)( RSA)? PRIVATE KEY|sk-proj-")
_GRAM = 10


def find_leaks(secrets: Mapping[str, str], name: str, text: str) -> Iterator[str]:
    """Yield the lines of ``text`` that contain ten consecutive letters or digits of a secret.

    Args:
        secrets: The secrets, by their kind.
        name: The name of the text, with which each line begins.
        text: The text.
    """
    grams = {}
    for kind, secret in secrets.items():
        letters = _NOT_COMPARED.sub("", _WORDS_OF_KEY_FILES.sub("", secret))
        grams.update((letters[start : start + _GRAM], kind) for start in range(len(letters) - _GRAM + 1))
    for number, line in enumerate(text.split("\n"), start=1):
        letters = _NOT_COMPARED.sub("", line)
        for start in range(len(letters) - _GRAM + 1):
            if kind := grams.get(letters[start : start + _GRAM]):
                yield f"{name}:{number}: {kind}: {line[:200]}"
                break
