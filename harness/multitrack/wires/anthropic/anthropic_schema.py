"""Convert JSON Schema to the subset that Anthropic's strict tools accept.

Without ``strict``, a tool accepts JSON Schema as Pydantic writes it.

https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations
"""

from __future__ import annotations

import re
from typing import Any

from multitrack.wires.json_schema import (
    DESCRIBED_KEYWORDS,
    IGNORED_KEYWORDS,
    Schema,
    append_to_description,
    describe_keyword,
    has_arbitrary_keys,
    has_lookaround,
    json_type,
    omit_keys,
    simplify,
)
from multitrack.wires.tool import ToolDefinition

_COPIED_KEYWORDS = frozenset({"title", "description", "default"})
_DESCRIBED = DESCRIBED_KEYWORDS | {"minimum", "maximum", "minItems", "maxItems", "format", "pattern"}
_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
)  # fmt: skip
# Groups that capture nothing are supported, word boundaries and references to a group are not.
_UNSUPPORTED_PATTERN = re.compile(r"\\[bB1-9]|\(\?P=|\(\?<?[=!]")


def write_strict_parameters(tool: ToolDefinition) -> dict[str, Any]:
    """Return the parameters of ``tool`` in the strict subset. The model then sends only fields that the schema names.

    The subset has no keyword for most bounds, so the description contains them.

    Raises:
        TypeError: If the subset cannot express something: a dictionary, a tuple of several types, a value of any type,
            or a model that contains itself. The error names the tool and the path in its schema.
    """
    return _StrictSchemaWriter(tool).write_parameters()


class _StrictSchemaWriter:
    def __init__(self, tool: ToolDefinition) -> None:
        self._tool = tool
        self._definitions: Schema = tool.parameters.get("$defs", {})
        self._written_definitions: dict[str, dict[str, Any]] = {}
        self._open_references: list[str] = []

    def write_parameters(self) -> dict[str, Any]:
        written = self._write(self._tool.parameters, "$")
        if self._written_definitions:
            written["$defs"] = self._written_definitions
        return written

    def _write(self, original: Schema | bool, path: str) -> dict[str, Any]:
        schema = simplify(original)
        if schema.get("type") == "object" and has_arbitrary_keys(schema):
            raise self._unsupported("a dictionary with arbitrary keys", path)
        written: dict[str, Any] = {}
        notes: list[str] = []
        for keyword, value in schema.items():
            match keyword:
                case "$ref":
                    written[keyword] = self._write_reference(value, path)
                case "anyOf":
                    written[keyword] = [self._write(option, path) for option in value]
                case "type":
                    written[keyword] = value
                case "enum" | "const":
                    self._check_values(keyword, value, path)
                    written[keyword] = value
                case "properties" | "required" | "additionalProperties" if schema.get("type") == "object":
                    pass
                case "items":
                    written[keyword] = self._write(value, f"{path}[]")
                case "prefixItems":
                    raise self._unsupported("a tuple of several types", path)
                case "format" if value in _FORMATS:
                    written[keyword] = value
                case "pattern" if not (has_lookaround(value) or _UNSUPPORTED_PATTERN.search(value)):
                    written[keyword] = value
                case "minItems" if value in (0, 1):
                    written[keyword] = value
                case _ if keyword in _COPIED_KEYWORDS:
                    written[keyword] = value
                case _ if keyword in _DESCRIBED:
                    notes += describe_keyword(keyword, value)
                case _ if keyword in IGNORED_KEYWORDS or keyword.startswith("x-"):
                    pass
                case _:
                    raise self._unsupported(f"the keyword {keyword!r}", path)
        if schema.get("type") == "object":
            written |= self._write_object(schema, path)
        elif schema.get("type") == "array" and "items" not in written:
            raise self._unsupported("a list of values of any type", path)
        elif not written.keys() & {"$ref", "anyOf", "type", "enum", "const"}:
            raise self._unsupported("a value of any type", path)
        return _isolate_reference(append_to_description(written, notes))

    def _write_object(self, schema: Schema, path: str) -> dict[str, Any]:
        fields = schema.get("properties", {})
        required = {"required": schema["required"]} if schema.get("required") else {}
        properties = {name: self._write(field, f"{path}.{name}") for name, field in fields.items()}
        return {"properties": properties, **required, "additionalProperties": False}

    def _check_values(self, keyword: str, value: Any, path: str) -> None:
        if any(json_type(entry) is None for entry in ([value] if keyword == "const" else value)):
            raise self._unsupported("an enumeration of lists or objects", path)

    def _write_reference(self, reference: str, path: str) -> str:
        name = reference.removeprefix("#/$defs/")
        if name not in self._definitions:
            raise self._unsupported(f"the reference {reference!r}", path)
        if name in self._open_references:
            raise self._unsupported(f"{name}, which contains itself", path)
        if name not in self._written_definitions:
            self._open_references.append(name)
            self._written_definitions[name] = self._write(self._definitions[name], path)
            self._open_references.pop()
        return reference

    def _unsupported(self, what: str, path: str) -> TypeError:
        return TypeError(
            f"{self._tool.name}: Anthropic's strict tools cannot express {what} (at {path}); "
            f"change the type of the field, or remove strict=True"
        )


def _isolate_reference(written: dict[str, Any]) -> dict[str, Any]:
    # a keyword next to $ref is refused, but a description next to anyOf is not
    if "$ref" not in written or len(written) == 1:
        return written
    return {"anyOf": [{"$ref": written["$ref"]}], **omit_keys(written, "$ref")}


def write_parameters(tool: ToolDefinition) -> dict[str, Any]:
    """Return the parameters of ``tool``, which are JSON Schema already."""
    return dict(tool.parameters)
