"""What a request asks, in words that every wire shares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as it was offered: ``schema`` is the JSON Schema of its arguments."""

    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """What a request asks.

    ``prompt`` is the text of the last user message, "" where there is none; ``texts`` the texts of all
    messages in order, tool results and the system's included. ``tools`` are those offered; ``callable_tools``
    those that the request lets the model call at once (``tool_choice`` and its kin). ``after_results`` says
    whether the conversation ends with the results of tools, ``turn`` how often the model has spoken in it.
    """

    model: str
    prompt: str
    texts: tuple[str, ...]
    tools: tuple[Tool, ...] = ()
    callable_tools: tuple[Tool, ...] = ()
    after_results: bool = False
    turn: int = 0


def turns(spoken: Iterable[bool]) -> int:
    """How often the model has spoken, of whose items it is told which are the model's own: once in a row."""
    return sum(1 for own, _ in groupby(spoken) if own)
