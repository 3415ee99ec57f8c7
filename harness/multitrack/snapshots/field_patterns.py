"""Match paths to fields with patterns: ``Weather.location``, ``*.created_at``, ``stops[*].city``."""

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
_ANY_STEPS: Final = None


class FieldPattern:
    """A pattern that matches the paths of fields. The name of a tool can precede the path.

    ``*`` matches one step or a part of it, ``[*]`` any item of a list or mapping, ``**`` any number of steps. A step
    that is not a name is written as in Python: ``prices['per night']``.

    Raises:
        BadOption: ``text`` is not a valid pattern.
    """

    def __init__(self, text: str) -> None:
        steps = _parse_steps(text) if isinstance(text, str) else None
        if not steps:
            raise BadOption(
                f"{text!r} is not a path to a field; "
                "write a path such as 'Weather.location', '*.created_at' or 'stops[*].city'"
            )
        self.text = text
        self._steps = tuple(_ANY_STEPS if step == "**" else _compile_step(step) for step in steps)

    def matches(self, tool: str, path: str) -> bool:
        """Return whether the pattern matches the value at ``path`` in a call to ``tool``."""
        steps = split_path(path)
        return _match(self._steps, steps) or _match(self._steps, split_path(tool) + steps)


@lru_cache(maxsize=4096)
def split_path(path: str) -> tuple[str, ...]:
    """Split a path into names, keys and numbers. A path that cannot be parsed is one step."""
    return tuple(_parse_steps(path) or [path])


def _parse_steps(path: str) -> list[str] | None:
    steps: list[str] = []
    at = 0
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            return None
        steps.append(found["name"] or found["item"] or ast.literal_eval(found["text"]))
        at = found.end()
    return steps


def _compile_step(step: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, step.split("*"))), re.DOTALL)


def _match(pattern: tuple[re.Pattern[str] | None, ...], steps: tuple[str, ...]) -> bool:
    if not pattern:
        return not steps
    first, *rest = pattern
    if first is _ANY_STEPS:
        return any(_match(tuple(rest), steps[skipped:]) for skipped in range(len(steps) + 1))
    return bool(steps) and first.fullmatch(steps[0]) is not None and _match(tuple(rest), steps[1:])
