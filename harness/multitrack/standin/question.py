"""What a request asks, in words that every wire shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
    whether the conversation ends with the results of tools.
    """

    model: str
    prompt: str
    texts: tuple[str, ...]
    tools: tuple[Tool, ...] = ()
    callable_tools: tuple[Tool, ...] = ()
    after_results: bool = False
