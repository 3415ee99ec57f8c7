"""Tools, tool results, and the content of requests, independent of the wire format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from multitrack.tool_call import ToolCall


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """A function that a model can call: its name, its description, and the JSON schema of its arguments."""

    name: str
    description: str | None
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OfferedTool:
    """A tool that a request offers. ``schema`` is the JSON Schema of its arguments."""

    name: str
    schema: Mapping[str, Any]


class ToolResult(NamedTuple):
    """The answer to a tool call: whether ``call`` was accepted, and the text that the model receives about it."""

    call: ToolCall
    is_accepted: bool
    text: str


class RequestSummary(NamedTuple):
    """The names of the language model and of the tools in a request. ``model`` is None if the body has none."""

    model: str | None
    tools: tuple[str, ...]


class RequestMessage(NamedTuple):
    """A message in a request: the role of its author, and its text, including calls and their results."""

    role: str
    text: str
