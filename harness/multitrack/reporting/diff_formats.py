"""Format the output of ``multitrack diff``, which shows how cassettes changed, as text, Markdown or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from multitrack.wording import count_noun


@dataclass(frozen=True, slots=True)
class InteractionDiff:
    """An interaction that differs between two versions of a cassette.

    Args:
        kind: "removed", "added", "request changed", or the kind of drift of the response, such as "arguments
            changed".
        tests: The tests that recorded the interaction.
        before: The interaction's position in the old version, from 1. None if it was added.
        after: The interaction's position in the new version, from 1. None if it was removed.
        summary: The interaction in one line, without its position.
        lines: The differences.
    """

    kind: str
    tests: tuple[str, ...]
    before: int | None
    after: int | None
    summary: str
    lines: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the difference as plain data, for ``--json``."""
        return {
            "kind": self.kind,
            "tests": list(self.tests),
            "before": self.before,
            "after": self.after,
            "interaction": self.summary,
            "lines": list(self.lines),
        }


DiffsByCassette = Mapping[str, Sequence[InteractionDiff]]
"""The interactions that differ, by the cassette as it is shown to the user."""


def _format_text(found: DiffsByCassette) -> str:
    lines = []
    for name, diffs in found.items():
        lines.append(name)
        for diff in diffs:
            lines += [f"  {_head(diff)}", *(f"    {line}" for line in diff.lines)]
    return "\n".join([*lines, _count(found)])


def _format_markdown(found: DiffsByCassette) -> str:
    parts = []
    for name, diffs in found.items():
        parts.append(f"### {name}")
        # four backticks, because a line may contain three
        parts += (
            "\n".join([f"**{diff.kind}**: {_head(diff, kind=False)}", "", "````text", *diff.lines, "````"])
            for diff in diffs
        )
    return "\n\n".join([*parts, _count(found)])


def _format_json(found: DiffsByCassette) -> str:
    cassettes = {name: [diff.to_dict() for diff in diffs] for name, diffs in found.items()}
    return json.dumps({"version": 1, "cassettes": cassettes}, indent=2, ensure_ascii=False)


FORMATS: Mapping[str, Callable[[DiffsByCassette], str]] = {
    "text": _format_text,
    "markdown": _format_markdown,
    "json": _format_json,
}
"""Functions that format the result, by the name of the format."""


def _head(diff: InteractionDiff, *, kind: bool = True) -> str:
    position = diff.after if diff.after is not None else diff.before
    tests = f" ({', '.join(diff.tests)})" if diff.tests else ""
    return f"{f'{diff.kind}: ' if kind else ''}interaction {position}, {diff.summary}{tests}"


def _count(found: DiffsByCassette) -> str:
    if not found:
        return "no differences"
    count = sum(map(len, found.values()))
    verb = "differs" if count == 1 else "differ"
    return f"{count_noun(count, 'interaction')} in {count_noun(len(found), 'cassette')} {verb}"
