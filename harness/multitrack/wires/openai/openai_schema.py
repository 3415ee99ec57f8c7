"""Convert JSON Schema for OpenAI, which accepts almost any schema. With ``strict``, it accepts only a subset.

https://platform.openai.com/docs/guides/structured-outputs/supported-schemas
"""

from __future__ import annotations

from collections.abc import Iterable
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
    map_subschemas,
    omit_keys,
    remove_duplicates,
    simplify,
)
from multitrack.wires.lenient_json import to_compact_json
from multitrack.wires.tool import ToolDefinition

_COPIED_KEYWORDS = frozenset(
    {"title", "description", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minItems",
     "maxItems"}
)  # fmt: skip

_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})

_MAX_PROPERTIES, _MAX_ENUM_VALUES, _MAX_CHARACTERS = 5_000, 1_000, 120_000
# An enum with more values than the first number may have at most the second number of characters in total.
_LONG_ENUM, _MAX_LONG_ENUM_CHARACTERS = 250, 15_000


def write_parameters(tool: ToolDefinition) -> dict[str, Any]:
    """Return the parameters of ``tool``, with ``items`` added to each array that has only ``prefixItems``."""
    # Otherwise the provider answers "array schema missing items", with or without strict.
    return _add_items(tool.parameters)


def _add_items(schema: Schema) -> dict[str, Any]:
    written = map_subschemas(schema, _add_items)
    if schema.get("type") != "array" or "items" in schema:
        return written
    kinds = remove_duplicates(omit_keys(item, "title") for item in written.get("prefixItems", ()))
    return {**written, "items": kinds[0] if len(kinds) == 1 else {"anyOf": kinds} if kinds else {}}


def write_strict_parameters(tool: ToolDefinition) -> dict[str, Any]:
    """Return the parameters of ``tool`` in the strict subset. The model then sends every field and no other.

    The subset has no keyword for defaults or for some bounds, so the description contains them. The description
    contains the default because the model must send a value even if it has none.

    Raises:
        TypeError: If the subset cannot express something (a dictionary, a tuple of several types, a value of any
            type), or if the schema exceeds the provider's size limits. The error names the tool and the path in its
            schema.
    """
    return _StrictSchemaWriter(tool).write_parameters()


class _StrictSchemaWriter:
    def __init__(self, tool: ToolDefinition) -> None:
        self._tool = tool
        self._definitions: Schema = tool.parameters.get("$defs", {})
        self._written_definitions: dict[str, dict[str, Any]] = {}
        self._properties = 0
        self._enum_values = 0
        self._characters = 0

    def write_parameters(self) -> dict[str, Any]:
        written = self._write(self._tool.parameters, "$")
        if self._written_definitions:
            written["$defs"] = self._written_definitions
        self._check_limit("properties", self._properties, _MAX_PROPERTIES)
        self._check_limit("enumeration values", self._enum_values, _MAX_ENUM_VALUES)
        self._check_limit("characters in names and values", self._characters, _MAX_CHARACTERS)
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
                    # Pydantic writes no type for values of mixed types, and OpenAI refuses a schema without one.
                    written = {"type": self._enum_type(keyword, value, path), **written, keyword: value}
                case "properties" | "required" | "additionalProperties" if schema.get("type") == "object":
                    pass
                case "items":
                    written[keyword] = self._write(value, f"{path}[]")
                case "prefixItems":
                    raise self._unsupported("a tuple of several types", path)
                case "default":
                    # A null default needs no note: the type says whether null is allowed.
                    notes += [f"default: {to_compact_json(value)}"] if value is not None else []
                case "format" if value in _FORMATS:
                    written[keyword] = value
                case "pattern" if not has_lookaround(value):
                    written[keyword] = value
                case _ if keyword in _COPIED_KEYWORDS:
                    written[keyword] = value
                case _ if keyword in DESCRIBED_KEYWORDS or keyword in ("format", "pattern"):
                    notes += describe_keyword(keyword, value)
                case _ if keyword in IGNORED_KEYWORDS or keyword.startswith("x-"):
                    pass
                case _:
                    raise self._unsupported(f"the keyword {keyword!r}", path)
        if schema.get("type") == "object":
            written |= self._write_object(schema, path)
        elif schema.get("type") == "array" and "items" not in written:
            raise self._unsupported("a list of values of any type", path)
        elif not written.keys() & {"$ref", "anyOf", "type"}:
            raise self._unsupported("a value of any type", path)
        return _isolate_reference(append_to_description(written, notes))

    def _write_object(self, schema: Schema, path: str) -> dict[str, Any]:
        fields = schema.get("properties", {})
        self._properties += len(fields)
        self._count_characters(fields)
        return {
            "properties": {name: self._write(field, f"{path}.{name}") for name, field in fields.items()},
            "required": list(fields),
            "additionalProperties": False,
        }

    def _enum_type(self, keyword: str, value: Any, path: str) -> Any:
        values = [value] if keyword == "const" else value
        kinds = remove_duplicates(json_type(entry) for entry in values)
        if None in kinds:
            raise self._unsupported("an enumeration of lists or objects", path)
        texts = [entry for entry in values if isinstance(entry, str)]
        if keyword == "enum":
            self._enum_values += len(values)
        if len(values) > _LONG_ENUM and sum(map(len, texts)) > _MAX_LONG_ENUM_CHARACTERS:
            raise self._unsupported(
                f"an enum with more than {_LONG_ENUM} values whose text exceeds "
                f"{_MAX_LONG_ENUM_CHARACTERS:,} characters in total",
                path,
            )
        self._count_characters(texts)
        return kinds[0] if len(kinds) == 1 else kinds

    def _write_reference(self, reference: str, path: str) -> str:
        name = reference.removeprefix("#/$defs/")
        if name not in self._definitions:
            raise self._unsupported(f"the reference {reference!r}", path)
        if name not in self._written_definitions:
            # Register the name first, because a model may contain itself.
            self._written_definitions[name] = {}
            self._count_characters([name])
            self._written_definitions[name] = self._write(self._definitions[name], path)
        return reference

    def _count_characters(self, texts: Iterable[str]) -> None:
        self._characters += sum(map(len, texts))

    def _check_limit(self, what: str, count: int, limit: int) -> None:
        if count > limit:
            raise TypeError(
                f"{self._tool.name}: OpenAI's strict schemas are limited to {limit:,} {what}, "
                f"and this one has {count:,}; make the model smaller, or remove strict=True"
            )

    def _unsupported(self, what: str, path: str) -> TypeError:
        return TypeError(
            f"{self._tool.name}: OpenAI's strict schemas cannot express {what} (at {path}); "
            f"change the type of the field, or remove strict=True"
        )


def _isolate_reference(written: dict[str, Any]) -> dict[str, Any]:
    # OpenAI refuses any keyword next to $ref, but accepts a description next to anyOf.
    if "$ref" not in written or len(written) == 1:
        return written
    return {"anyOf": [{"$ref": written["$ref"]}], **omit_keys(written, "$ref")}
