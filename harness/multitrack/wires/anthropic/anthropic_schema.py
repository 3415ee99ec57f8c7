"""Convert JSON Schema to the subset that Anthropic's strict tools accept.

Tools that are not strict accept the JSON Schema that Pydantic writes, without a conversion.

https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from multitrack.wires.json_schema import (
    DESCRIBED_KEYWORDS,
    Schema,
    describe_keyword,
    has_lookaround,
)
from multitrack.wires.strict_schema import StrictSchemaWriter
from multitrack.wires.tool import ToolDefinition

_COPIED_KEYWORDS = frozenset({"title", "description", "default"})
_DESCRIBED = DESCRIBED_KEYWORDS | {"minimum", "maximum", "minItems", "maxItems", "format", "pattern"}
_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
)  # fmt: skip
# Non-capturing groups are supported; word boundaries and backreferences are not.
_UNSUPPORTED_PATTERN = re.compile(r"\\[bB1-9]|\(\?P=|\(\?<?[=!]")


def write_parameters(tool: ToolDefinition) -> dict[str, Any]:
    """Return the parameters of ``tool``, which are already JSON Schema."""
    return dict(tool.parameters)


def write_strict_parameters(tool: ToolDefinition) -> dict[str, Any]:
    """Return the parameters of ``tool`` for Anthropic's strict tools.

    With strict tools, the language model sends only fields that are listed in the schema. Strict tools support only a
    subset of JSON Schema, which has no keyword for most bounds. The bounds are added to the description instead.

    Raises:
        TypeError: If the subset cannot express a type, such as a dictionary, a tuple of several types, a value of any
            type, or a model that contains itself. The message shows the tool and the path in its schema.
    """
    return AnthropicStrictSchemaWriter(tool).write_parameters()


class AnthropicStrictSchemaWriter(StrictSchemaWriter):
    """A writer of a tool's parameters in the subset of JSON Schema that Anthropic's strict tools accept."""

    subset = "Anthropic's strict tools"
    allows_recursion = False

    def accepts(self, keyword: str, value: Any) -> bool:
        match keyword:
            case "format":
                return value in _FORMATS
            case "pattern":
                return not (has_lookaround(value) or _UNSUPPORTED_PATTERN.search(value))
            case "minItems":
                return value in (0, 1)
            case _:
                return keyword in _COPIED_KEYWORDS

    def describe(self, keyword: str, value: Any) -> list[str] | None:
        return describe_keyword(keyword, value) if keyword in _DESCRIBED else None

    def describe_values(self, values: Sequence[Any], path: str) -> dict[str, Any]:
        del values, path
        return {}

    def list_required(self, schema: Schema, fields: list[str]) -> list[str] | None:
        del fields
        return schema.get("required") or None
