"""Convert JSON Schema for OpenAI. The API accepts almost any schema. With ``strict``, it accepts a subset.

https://platform.openai.com/docs/guides/structured-outputs/supported-schemas
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from multitrack.wires.json_schema import (
    DESCRIBED_KEYWORDS,
    Schema,
    describe_keyword,
    has_lookaround,
    json_type,
    map_subschemas,
    omit_keys,
    remove_duplicates,
)
from multitrack.wires.lenient_json import to_compact_json
from multitrack.wires.strict_schema import StrictSchemaWriter
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
    """Return the parameters of ``tool`` in the subset of JSON Schema for strict tools. The model then sends exactly
    these fields.

    The subset has no keywords for defaults and for some bounds, so the description of the field contains them. The
    model must send every field. If it has no value for a field, it must send the default, so it has to know the
    default.

    Raises:
        TypeError: If the subset cannot express a type, such as a dictionary, a tuple of several types, or a value of
            any type. Also if the schema exceeds the provider's size limits. The message contains the name of the tool
            and the path in its schema.
    """
    return _StrictSchemaWriter(tool).write_parameters()


class _StrictSchemaWriter(StrictSchemaWriter):
    subset = "OpenAI's strict schemas"
    allows_recursion = True

    def write_parameters(self) -> dict[str, Any]:
        written = super().write_parameters()
        schemas = list(_list_schemas(written))
        names = [name for schema in schemas for key in ("properties", "$defs") for name in schema.get(key, ())]
        values = [value for schema in schemas for value in (*schema.get("enum", ()), schema.get("const"))]
        characters = sum(len(text) for text in (*names, *values) if isinstance(text, str))
        self._check_limit("properties", sum(len(schema.get("properties", ())) for schema in schemas), _MAX_PROPERTIES)
        self._check_limit(
            "enumeration values", sum(len(schema.get("enum", ())) for schema in schemas), _MAX_ENUM_VALUES
        )
        self._check_limit("characters in names and values", characters, _MAX_CHARACTERS)
        return written

    def accepts(self, keyword: str, value: Any) -> bool:
        match keyword:
            case "format":
                return value in _FORMATS
            case "pattern":
                return not has_lookaround(value)
            case _:
                return keyword in _COPIED_KEYWORDS

    def describe(self, keyword: str, value: Any) -> list[str] | None:
        if keyword == "default":
            # A null default needs no note: the type says whether null is allowed.
            return [f"default: {to_compact_json(value)}"] if value is not None else []
        if keyword in DESCRIBED_KEYWORDS or keyword in ("format", "pattern"):
            return describe_keyword(keyword, value)
        return None

    def describe_values(self, values: Sequence[Any], path: str) -> dict[str, Any]:
        characters = sum(len(value) for value in values if isinstance(value, str))
        if len(values) > _LONG_ENUM and characters > _MAX_LONG_ENUM_CHARACTERS:
            raise self.unsupported(
                f"an enum with more than {_LONG_ENUM} values that have more than "
                f"{_MAX_LONG_ENUM_CHARACTERS:,} characters in total",
                path,
            )
        # Pydantic writes no type for values of mixed types, and OpenAI refuses a schema without one.
        kinds = remove_duplicates(map(json_type, values))
        return {"type": kinds[0] if len(kinds) == 1 else kinds}

    def list_required(self, schema: Schema, fields: list[str]) -> list[str]:
        del schema
        return fields

    def _check_limit(self, what: str, count: int, limit: int) -> None:
        if count > limit:
            raise TypeError(
                f"{self.tool.name}: OpenAI's strict schemas are limited to {limit:,} {what}, "
                f"and this schema has {count:,}; make the model smaller, or remove strict=True"
            )


def _list_schemas(written: Schema) -> Iterator[Schema]:
    """Yield ``written`` and every schema in it."""
    yield written
    inner = [*written.get("properties", {}).values(), *written.get("$defs", {}).values(), *written.get("anyOf", ())]
    for schema in [*inner, written["items"]] if "items" in written else inner:
        yield from _list_schemas(schema)
