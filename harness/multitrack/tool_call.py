"""The tool call: the leaf that every other part speaks of."""

from __future__ import annotations

import json
from dataclasses import dataclass
from keyword import iskeyword
from typing import Any


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a tool, as a model's answer held it.

    ``id`` is the provider's id of the call, None where it sent none or an empty one. ``name`` is the
    tool's name. ``arguments`` is the text exactly as received; on Gemini, where no text exists, compact
    JSON of ``args`` with whole numbers as integers; None where the answer has no arguments at all.
    ``index`` is the call's position in the answer, from 0.
    """

    id: str | None
    name: str
    arguments: str | None
    index: int

    def __str__(self) -> str:
        """The call as a call expression: ``Weather(location='Toronto', units='metric')``.

        Arguments that are no JSON object are shown as the text they are: ``Weather(<'{"loc'>)``.
        """
        if self.arguments is None:
            return f"{self.name}()"
        try:
            arguments = json.loads(self.arguments)
        except ValueError:
            arguments = None
        if not isinstance(arguments, dict):
            return f"{self.name}(<{self.arguments!r}>)"
        return f"{self.name}({_keywords(arguments)})"


def _keywords(arguments: dict[str, Any]) -> str:
    if all(name.isidentifier() and not iskeyword(name) for name in arguments):
        return ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    return f"**{arguments!r}"
