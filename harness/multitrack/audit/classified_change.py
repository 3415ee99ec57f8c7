"""Classified changes, and the facts about a run that help to classify them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from multitrack.audit.alignment import ORDER
from multitrack.tape import jsontext
from multitrack.tape.matching.difference import ABSENT, Path
from multitrack.word_changes import TextPart


class Kind(IntEnum):
    """The kinds of changes, in the order in which they are reported."""

    TEXT = 1
    TOOL = 2
    SCHEMA = 3
    MODEL = 4
    MESSAGE = 5
    PARAMETER = 6
    HEADER = 7
    RENAMED = 8
    BODY = 9
    DEFAULT = 10
    NULL = 11
    FORM = 12
    NOISE = 13

    @property
    def is_formal(self) -> bool:
        """True if changes of this kind do not change what a request means."""
        return self in (Kind.DEFAULT, Kind.NULL, Kind.FORM)


@dataclass(frozen=True, slots=True)
class Change:
    """One difference in one request.

    Args:
        kind: The kind of change.
        key: A value that is the same for all changes with the same cause.
        where: The place in the request, in the words that the user sees.
        title: What changed, in one line, without the values if they vary.
        recorded: The recorded value. ``ABSENT`` if there is none.
        sent: The live value. ``ABSENT`` if there is none.
        path: The path of the value in the body. Empty if the value has no path.
        parts: The parts of two texts that stayed the same, were removed or were added. Empty for other values.
        explanation: What changed in the tools, in the same words as in the message of a miss. Empty if unknown.
        noise: The kinds of values in the difference that change in each run, such as ``uuid``.
        is_whole: Whether the whole value changes in each run. False if only a part of a longer text does.
        is_consequence: Whether the value comes from an earlier answer in the conversation, or from the result of an
            earlier call.
        is_word: Whether the recorded and the live value are single words, such as a model's name.
        versions: The versions of packages that differ.
        is_message: Whether the value is part of the conversation.
        comes_with_client: Whether a new version of the client library can be the cause of the change.
    """

    kind: Kind
    key: Hashable
    where: str
    title: str
    recorded: Any = ABSENT
    sent: Any = ABSENT
    path: Path = ()
    parts: tuple[TextPart, ...] = ()
    explanation: str = ""
    noise: tuple[str, ...] = ()
    is_whole: bool = True
    is_consequence: bool = False
    comes_with_client: bool = False
    is_word: bool = False
    is_message: bool = False
    versions: tuple[str, ...] = ()

    @property
    def values(self) -> tuple[str, str]:
        """The recorded and the live value as strings, so that equal pairs can be counted."""
        return format_value(self.recorded), format_value(self.sent)


FindVersion = Callable[[str, str], str | None]
"""Takes a version and the text of the request. Returns the name of the installed package with this version, or None."""


def _find_no_version(version: str, text: str) -> None:
    del version, text


@dataclass(frozen=True)
class ChangeContext:
    """Facts about the run that help to classify a change.

    Args:
        previous: The live bodies of the previous run that differed from their recordings. The keys are the test and
            the position of the request.
        previous_counts: The number of requests that each test sent in the previous run.
        find_version: Takes a version, and returns the name of the installed package that has this version.
        header_names: The names of the headers in any of the run's recordings.
    """

    previous: Mapping[tuple[str, int], Any] = field(default_factory=dict)
    previous_counts: Mapping[str, int] = field(default_factory=dict)
    find_version: FindVersion = _find_no_version
    header_names: Collection[str] = ()


def format_value(value: Any) -> str:
    """Return a value in a request as text."""
    if value is ABSENT or value is ORDER:
        return repr(value)
    return jsontext.canonical(value)
