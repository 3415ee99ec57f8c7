"""JSON paths that select the ignored parts of a document.

The supported steps of https://www.rfc-editor.org/rfc/rfc9535 are:

- ``.name`` and ``['name']`` for a member
- ``[0]`` for an item
- ``.*`` and ``[*]`` for all members
- ``..name`` for a member at any depth
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_STEP = re.compile(
    r"""
    (?P<deep>\.\.)?
    (?: (?(deep)|\.) (?P<name>[^\W\d][\w-]*)
      | (?(deep)|\.) (?P<star>\*)
      | \[ (?: (?P<index>\d+) | (?P<all>\*) | '(?P<single>[^']*)' | "(?P<double>[^"]*)" ) \]
    )
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class _PathStep:
    """One step of a path. If ``key`` is None, the step matches all members."""

    key: str | int | None
    is_deep: bool = False


@dataclass(frozen=True, slots=True)
class JsonPath:
    """A parsed path such as ``$.messages[*].name``."""

    steps: tuple[_PathStep, ...]

    @classmethod
    def parse(cls, text: str) -> JsonPath:
        """Parse a path. Raises ValueError if it has a step that is not supported."""
        steps: list[_PathStep] = []
        position = 1
        while position < len(text):
            match = _STEP.match(text, position)
            if match is None:
                break
            position = match.end()
            steps.append(_PathStep(_read_key(match), is_deep=match["deep"] is not None))
        if not text.startswith("$") or position < len(text) or not steps:
            raise ValueError(f"{text!r} is not a JSON path such as $.metadata.* or $.messages[*].name")
        return cls(tuple(steps))

    def remove_from(self, document: Any) -> Any:
        """Return a copy of ``document`` without the values at this path."""
        return _remove(document, self.steps)


def format_json_path(path: Sequence[str | int]) -> str | None:
    """Return the keys and positions in ``path`` as a path that ``JsonPath.parse`` reads.

    None if ``path`` is empty, or if a key cannot be written.
    """
    steps = [f"[{step}]" if isinstance(step, int) else _format_name(step) for step in path]
    return "$" + "".join(steps) if steps and "" not in steps else None


def _format_name(name: str) -> str:
    if _STEP.fullmatch(f".{name}") and name != "*":
        return f".{name}"
    return "" if "'" in name or "\\" in name else f"['{name}']"


def _read_key(match: re.Match[str]) -> str | int | None:
    if match["star"] or match["all"]:
        return None
    if match["index"] is not None:
        return int(match["index"])
    return next(match[group] for group in ("name", "single", "double") if match[group] is not None)


def _remove(value: Any, steps: Sequence[_PathStep]) -> Any:
    step, *rest = steps
    if isinstance(value, dict):
        members: list[tuple[str | int, Any]] = list(value.items())
    elif isinstance(value, list):
        members = list(enumerate(value))
    else:
        return value
    kept = []
    for key, item in members:
        if step.key is None or step.key == key:
            if not rest:
                continue
            item = _remove(item, rest)
        kept.append((key, _remove(item, steps) if step.is_deep else item))
    return dict(kept) if isinstance(value, dict) else [item for _, item in kept]
