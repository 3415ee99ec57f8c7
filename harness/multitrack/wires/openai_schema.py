"""JSON Schema as OpenAI takes it: almost any, or the subset by which ``strict`` holds a model to it.

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
    has_free_keys,
    has_lookaround,
    json_type,
    map_subschemas,
    omit_keys,
    remove_duplicates,
    simplify,
)
from multitrack.wires.lenient_json import to_compact_json
from multitrack.wires.tool import ToolDefinition

_SAME = frozenset(
    {"title", "description", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minItems",
     "maxItems"}
)  # fmt: skip

_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})

_PROPERTIES, _ENUM_VALUES, _CHARACTERS = 5_000, 1_000, 120_000
_LONG_ENUM, _LONG_ENUM_CHARACTERS = 250, 15_000


def write_parameters(tool: ToolDefinition) -> dict[str, Any]:
    """The parameters of ``tool``; where an array says what it holds by ``prefixItems`` alone, by ``items``, too."""
    # "array schema missing items" is what the provider answers otherwise, strict or not
    return _with_items(tool.parameters)


def _with_items(schema: Schema) -> dict[str, Any]:
    written = map_subschemas(schema, _with_items)
    if schema.get("type") != "array" or "items" in schema:
        return written
    kinds = remove_duplicates(omit_keys(item, "title") for item in written.get("prefixItems", ()))
    return {**written, "items": kinds[0] if len(kinds) == 1 else {"anyOf": kinds} if kinds else {}}


def write_strict_parameters(tool: ToolDefinition) -> dict[str, Any]:
    """The parameters of ``tool`` in the strict subset.

    There a model sends every field, and no other. A default has no word there and is told in the description,
    since it is what to send where nothing else is known; so are bounds that have none. Raises TypeError, naming
    the tool and the path in its schema, for what the subset cannot express: dictionaries, tuples of several
    types, values of any type; and for a schema beyond the provider's limits of size.
    """
    return _Strict(tool).parameters()


class _Strict:
    def __init__(self, tool: ToolDefinition) -> None:
        self._tool = tool
        self._definitions: Schema = tool.parameters.get("$defs", {})
        self._written: dict[str, dict[str, Any]] = {}
        self._properties = 0
        self._enum_values = 0
        self._characters = 0

    def parameters(self) -> dict[str, Any]:
        written = self._schema(self._tool.parameters, "$")
        if self._written:
            written["$defs"] = self._written
        self._within("properties", self._properties, _PROPERTIES)
        self._within("values of enumerations", self._enum_values, _ENUM_VALUES)
        self._within("characters in names and values", self._characters, _CHARACTERS)
        return written

    def _schema(self, given: Schema | bool, path: str) -> dict[str, Any]:
        schema = simplify(given)
        if schema.get("type") == "object" and has_free_keys(schema):
            raise self._cannot("a dictionary, whose keys are free", path)
        written: dict[str, Any] = {}
        spoken: list[str] = []
        for keyword, value in schema.items():
            match keyword:
                case "$ref":
                    written[keyword] = self._reference(value, path)
                case "anyOf":
                    written[keyword] = [self._schema(option, path) for option in value]
                case "type":
                    written[keyword] = value
                case "enum" | "const":
                    # Pydantic writes no type for values of several types, and a schema without one is refused
                    written = {"type": self._enumerated(keyword, value, path), **written, keyword: value}
                case "properties" | "required" | "additionalProperties" if schema.get("type") == "object":
                    pass
                case "items":
                    written[keyword] = self._schema(value, f"{path}[]")
                case "prefixItems":
                    raise self._cannot("a tuple of several types", path)
                case "default":
                    # null is describe_keyword by the type where it may be sent, and cannot be sent where it is not
                    spoken += [f"default: {to_compact_json(value)}"] if value is not None else []
                case "format" if value in _FORMATS:
                    written[keyword] = value
                case "pattern" if not has_lookaround(value):
                    written[keyword] = value
                case _ if keyword in _SAME:
                    written[keyword] = value
                case _ if keyword in DESCRIBED_KEYWORDS or keyword in ("format", "pattern"):
                    spoken += describe_keyword(keyword, value)
                case _ if keyword in IGNORED_KEYWORDS or keyword.startswith("x-"):
                    pass
                case _:
                    raise self._cannot(f"the keyword {keyword!r}", path)
        if schema.get("type") == "object":
            written |= self._object(schema, path)
        elif schema.get("type") == "array" and "items" not in written:
            raise self._cannot("a list of values of any type", path)
        elif not written.keys() & {"$ref", "anyOf", "type"}:
            raise self._cannot("a value of any type", path)
        return _alone(append_to_description(written, spoken))

    def _object(self, schema: Schema, path: str) -> dict[str, Any]:
        fields = schema.get("properties", {})
        self._properties += len(fields)
        self._count(fields)
        return {
            "properties": {name: self._schema(field, f"{path}.{name}") for name, field in fields.items()},
            "required": list(fields),
            "additionalProperties": False,
        }

    def _enumerated(self, keyword: str, value: Any, path: str) -> Any:
        values = [value] if keyword == "const" else value
        kinds = remove_duplicates(json_type(entry) for entry in values)
        if None in kinds:
            raise self._cannot("an enumeration of lists or objects", path)
        texts = [entry for entry in values if isinstance(entry, str)]
        if keyword == "enum":
            self._enum_values += len(values)
        if len(values) > _LONG_ENUM and sum(map(len, texts)) > _LONG_ENUM_CHARACTERS:
            raise self._cannot(
                f"an enumeration of more than {_LONG_ENUM} values with more than {_LONG_ENUM_CHARACTERS:,} characters",
                path,
            )
        self._count(texts)
        return kinds[0] if len(kinds) == 1 else kinds

    def _reference(self, reference: str, path: str) -> str:
        name = reference.removeprefix("#/$defs/")
        if name not in self._definitions:
            raise self._cannot(f"the reference {reference!r}", path)
        if name not in self._written:
            # the place is taken first, since a model may hold itself
            self._written[name] = {}
            self._count([name])
            self._written[name] = self._schema(self._definitions[name], path)
        return reference

    def _count(self, texts: Iterable[str]) -> None:
        self._characters += sum(map(len, texts))

    def _within(self, what: str, found: int, most: int) -> None:
        if found > most:
            raise TypeError(
                f"{self._tool.name}: OpenAI's strict schemas hold {most:,} {what} at most, and this one has {found:,}; "
                f"make it smaller, or leave out strict=True"
            )

    def _cannot(self, what: str, path: str) -> TypeError:
        return TypeError(
            f"{self._tool.name}: OpenAI's strict schemas cannot express {what} (at {path}); "
            f"give the field a type that they can, or leave out strict=True"
        )


def _alone(written: dict[str, Any]) -> dict[str, Any]:
    # beside a reference nothing may stand, beside anyOf a description may
    if "$ref" not in written or len(written) == 1:
        return written
    return {"anyOf": [{"$ref": written["$ref"]}], **omit_keys(written, "$ref")}
