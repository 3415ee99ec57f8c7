"""Patterns of paths to fields: ``Weather.location``, ``*.created_at``, ``stops[*].city``."""

from __future__ import annotations

import ast
import re
from functools import lru_cache

from multitrack.errors import BadOption

_STEP = re.compile(
    r"""(?:^|\.(?!$)|(?=[\[{]))                                        # a name begins the path or follows a dot
    (?: (?P<name>(?<![\]}])[^.\[\]{}]+)
      | [\[{] (?: (?P<text>'(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*") | (?P<item>[^\]}]+) ) [\]}] )""",
    re.VERBOSE,
)
_BETWEEN = "\x1f"


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
        self._pattern = re.compile("".join(map(_expression, steps)))

    def matches(self, tool: str, path: str) -> bool:
        """Whether the pattern stands for the value at ``path`` in a call of ``tool``."""
        steps = _joined(path)
        return bool(self._pattern.fullmatch(steps) or self._pattern.fullmatch(_joined(tool) + steps))


def steps_of(path: str) -> tuple[str, ...]:
    """The names, keys and numbers that a path is made of."""
    return tuple(_joined(path).split(_BETWEEN)[:-1])


@lru_cache(maxsize=4096)
def _joined(path: str) -> str:
    return "".join(f"{step}{_BETWEEN}" for step in _steps(path) or [path])


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


def _expression(step: str) -> str:
    if step == "**":
        return f"(?:[^{_BETWEEN}]*{_BETWEEN})*"
    return f"[^{_BETWEEN}]*".join(map(re.escape, step.split("*"))) + _BETWEEN
