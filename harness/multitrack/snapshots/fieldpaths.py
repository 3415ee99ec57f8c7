"""Patterns of paths to fields: ``Weather.location``, ``*.created_at``, ``stops[*].city``."""

from __future__ import annotations

import ast
import re
from functools import lru_cache
from typing import Final

from multitrack.errors import BadOption

_STEP = re.compile(
    r"""(?:^|\.(?!$)|(?=[\[{]))                                        # a name begins the path or follows a dot
    (?: (?P<name>(?<![\]}])[^.\[\]{}]+)
      | [\[{] (?: (?P<text>'(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*") | (?P<item>[^\]}'"]+) ) [\]}] )""",
    re.VERBOSE,
)
_ANY: Final = None


class FieldPath:
    """A pattern of paths, with or without the tool's name before it.

    ``*`` stands for one step or a part of it, ``[*]`` for any item of a list or a mapping, ``**`` for any number of
    steps. A step that is no name is written as in Python: ``prices['per night']``. Raises `BadOption` for a text that
    is no such pattern.
    """

    def __init__(self, text: str) -> None:
        steps = _steps(text) if isinstance(text, str) else None
        if not steps:
            raise BadOption(
                f"{text!r} is no path to a field; paths look like 'Weather.location', '*.created_at', 'stops[*].city'"
            )
        self.text = text
        self._steps = tuple(_ANY if step == "**" else _expression(step) for step in steps)

    def matches(self, tool: str, path: str) -> bool:
        """Whether the pattern stands for the value at ``path`` in a call of ``tool``."""
        steps = steps_of(path)
        return _match(self._steps, steps) or _match(self._steps, steps_of(tool) + steps)


@lru_cache(maxsize=4096)
def steps_of(path: str) -> tuple[str, ...]:
    """The names, keys and numbers that a path is made of; a path that cannot be read is one step."""
    return tuple(_steps(path) or [path])


def _steps(path: str) -> list[str] | None:
    steps: list[str] = []
    at = 0
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            return None
        steps.append(found["name"] or found["item"] or ast.literal_eval(found["text"]))
        at = found.end()
    return steps


def _expression(step: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, step.split("*"))), re.DOTALL)


def _match(pattern: tuple[re.Pattern[str] | None, ...], steps: tuple[str, ...]) -> bool:
    if not pattern:
        return not steps
    first, *rest = pattern
    if first is _ANY:
        return any(_match(tuple(rest), steps[skipped:]) for skipped in range(len(steps) + 1))
    return bool(steps) and first.fullmatch(steps[0]) is not None and _match(tuple(rest), steps[1:])
