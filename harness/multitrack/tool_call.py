"""The class of a tool call. This module imports no other part of the package."""

from __future__ import annotations

import json
from dataclasses import dataclass
from keyword import iskeyword
from typing import Any


@dataclass(frozen=True, slots=True, init=False)
class ToolCall:
    """One tool call in a response.

    Args:
        id: The provider's id for the call; None if the provider sent no id or an empty id.
        name: The name of the tool.
        arguments: The arguments as text, exactly as received. Gemini sends an object instead, which is written as
            compact JSON, with whole numbers as integers. None if the call has no arguments.
        index: The position of the call in the response, starting at 0.
    """

    id: str | None
    name: str
    arguments: str | None
    index: int

    def __init__(self, id: str | None, name: str, arguments: str | None, index: int) -> None:  # noqa: A002
        # takes half the time of the method that `dataclass` generates for a frozen class, and runs for each decoded
        # call; the class is frozen, so that a call cannot change between its validation and a report
        _set_id(self, id)
        _set_name(self, name)
        _set_arguments(self, arguments)
        _set_index(self, index)

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


_set_id, _set_name, _set_arguments, _set_index = (vars(ToolCall)[name].__set__ for name in ToolCall.__slots__)


def _format_keywords(arguments: dict[str, Any]) -> str:
    if all(name.isidentifier() and not iskeyword(name) for name in arguments):
        return ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    return f"**{arguments!r}"
