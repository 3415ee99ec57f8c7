"""The answers on a tape, without the rest, for those who read thousands of tapes.

What `yaml_format` writes has one layout, in which an answer is found by its indent, 30 times as fast as YAML is read. A
tape of another layout is read as any tape.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from multitrack.tape.file import storage, yaml_format
from multitrack.tape.file.yaml_loader import Loader

# what stands in a block is deeper than the key of the block, so that no text in a body is taken for a key; a quoted
# text that goes on in the next line might be, and is left to YAML
_LINE = r"""(?:[^'"\n]|'[^'\n]*'|"(?:[^"\\\n]|\\.)*")*\n"""
_INTERACTION = re.compile(
    rf"""
    ^-[ ]request:\n (?:(?:[ ]{{4}}.*)?\n)*
    [ ]{{2}}response:\n (?:[ ]{{4}}(?:status|headers):[ ]{_LINE})*
    [ ]{{4}}body:\n [ ]{{6}}string:[ ]\|-\n (?P<body>(?:(?:[ ]{{8}}.*)?\n)*)
    (?P<rest>
      (?:[ ]{{4}}(?:chunks|ending|failure):[ ]{_LINE})*
      (?:[ ]{{2}}(?:provenance|tests|models|results):[ ]{_LINE})*
    )
    """,
    re.MULTILINE | re.VERBOSE,
)
_INDENT = re.compile(r"^ {8}", re.MULTILINE)
_MODELS = re.compile(r"^  models: (.*)$", re.MULTILINE)
_RESULTS = re.compile(r"^  results: (.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class RecordedAnswer:
    """The ``body`` of an answer, and the import paths of the ``models`` that its request offered, by tool name."""

    body: bytes
    models: Mapping[str, str]
    _results: str | tuple[str, ...] | None

    @property
    def results(self) -> tuple[str, ...]:
        """What came of each call when a test passed with it; empty where none did."""
        if isinstance(self._results, str):
            return tuple(yaml.load(self._results, Loader=Loader))
        return self._results or ()


def read(path: Path) -> list[RecordedAnswer]:
    """The answers on the tape at ``path``, in order. Raises `CassetteCorrupt`."""
    text = storage.read_text(path) or ""
    return _quickly(text) or [
        RecordedAnswer(one.response.body, dict(one.models), one.results)
        for one in yaml_format.load_cassette(text.encode(), path).interactions
    ]


def _quickly(text: str) -> list[RecordedAnswer]:
    """The same; nothing where ``text`` has another layout."""
    _, _, interactions = text.partition("\ninteractions:\n")
    interactions, _, metadata = interactions.partition("\nmetadata:\n")
    interactions += "\n"
    if f"  format: {yaml_format.FORMAT}\n" not in metadata:
        return []
    answers: list[RecordedAnswer] = []
    end = 0
    while found := _INTERACTION.match(interactions, end):
        answers.append(_answer(found))
        end = found.end()
    return answers if end == len(interactions) else []


def _answer(found: re.Match[str]) -> RecordedAnswer:
    models, results = _MODELS.search(found["rest"]), _RESULTS.search(found["rest"])
    body = _INDENT.sub("", found["body"]).rstrip("\n")
    return RecordedAnswer(body.encode(), _mapping(models[1]) if models else {}, results[1] if results else None)


@lru_cache(maxsize=256)
def _mapping(text: str) -> Mapping[str, str]:
    found: Any = yaml.load(text, Loader=Loader)
    return {str(tool): str(path) for tool, path in found.items()}
