"""A tool to be offered to a model, before it is written in a wire's dialect; and a request's summary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that a model may call: its name, what it is for, and the JSON schema of its arguments."""

    name: str
    description: str | None
    parameters: Mapping[str, Any]


class Requested(NamedTuple):
    """What a request asks for: the model, and the names of the tools that it offers."""

    model: str | None
    tools: tuple[str, ...]
