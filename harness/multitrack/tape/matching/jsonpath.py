"""JSON paths: which places of a document take no part in matching.

Those steps of https://www.rfc-editor.org/rfc/rfc9535 that name places: ``.name``, ``['name']``, ``[0]``, ``.*`` and
``[*]`` for all members, and ``..name`` for a member at any depth.
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
class _Step:
    key: str | int | None
    """None stands for all members."""
    deep: bool = False


@dataclass(frozen=True, slots=True)
class JsonPath:
    """A path such as ``$.messages[*].name``."""

    steps: tuple[_Step, ...]

    @classmethod
    def parse(cls, text: str) -> JsonPath:
        """The path that ``text`` tells. Raises ValueError for anything but the steps above."""
        steps: list[_Step] = []
        place = 1
        while place < len(text):
            match = _STEP.match(text, place)
            if match is None:
                break
            place = match.end()
            steps.append(_Step(_key(match), deep=match["deep"] is not None))
        if not text.startswith("$") or place < len(text) or not steps:
            raise ValueError(f"{text!r} is no JSON path like $.metadata.* or $.messages[*].name")
        return cls(tuple(steps))

    def without(self, document: Any) -> Any:
        """A copy of ``document`` without what stands at this path."""
        return _without(document, self.steps)


def _key(match: re.Match[str]) -> str | int | None:
    if match["star"] or match["all"]:
        return None
    if match["index"] is not None:
        return int(match["index"])
    return next(match[group] for group in ("name", "single", "double") if match[group] is not None)


def _without(value: Any, steps: Sequence[_Step]) -> Any:
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
            item = _without(item, rest)
        kept.append((key, _without(item, steps) if step.deep else item))
    return dict(kept) if isinstance(value, dict) else [item for _, item in kept]
