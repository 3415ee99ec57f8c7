"""The tool call, on which every other part of the package depends."""

from __future__ import annotations

import json
from dataclasses import dataclass
from keyword import iskeyword
from typing import Any


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One tool call of a response.

    Args:
        id: The provider's id of the call; None if it sent none or an empty one.
        name: The name of the tool.
        arguments: The arguments exactly as received. Gemini sends an object, which is written as compact JSON, with
            whole numbers as integers. None if the response has no arguments.
        index: The position of the call in the response, starting at 0.
    """

    id: str | None
    name: str
    arguments: str | None
    index: int

    def __str__(self) -> str:
        """Return the call as a Python expression: ``Weather(location='Toronto', units='metric')``.

        Arguments that are not a JSON object are shown as text: ``Weather(<'{"loc'>)``.
        """
        if self.arguments is None:
            return f"{self.name}()"
        try:
            arguments = json.loads(self.arguments)
            if isinstance(arguments, dict):
                return f"{self.name}({_format_keywords(arguments)})"
        except (ValueError, RecursionError):
            pass
        return f"{self.name}(<{self.arguments!r}>)"


def _format_keywords(arguments: dict[str, Any]) -> str:
    if all(name.isidentifier() and not iskeyword(name) for name in arguments):
        return ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    return f"**{arguments!r}"
