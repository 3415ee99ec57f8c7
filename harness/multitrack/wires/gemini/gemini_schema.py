"""Convert JSON Schema to the subset that Gemini accepts: an OpenAPI 3.0 schema object without references.

The subset is what both https://ai.google.dev/api/caching#Schema and
https://cloud.google.com/vertex-ai/docs/reference/rest/v1/Schema accept, and what the oldest supported SDKs can send.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from multitrack.wires.lenient_json import as_text, to_compact_json
from multitrack.wires.tool import ToolDefinition

_COPIED_KEYWORDS = frozenset(
    {
        "description", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "minProperties",
        "maxProperties", "required",
    }
)  # fmt: skip

# A default need not be described: the model may omit the field, and then the default applies.
_DROPPED_KEYWORDS = IGNORED_KEYWORDS | {"title", "default"}

_INTEGER_KEYWORDS = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")
_FORMATS = frozenset({"date-time", "enum", "float", "double", "int32", "int64"})


def write_parameters(tool: ToolDefinition) -> dict[str, Any]:
    """Return the parameters of ``tool`` in Gemini's subset of JSON Schema, or an empty dictionary if it has none.

    Raises:
        TypeError: If the subset cannot express a type, such as a recursive type, a tuple of several types, a
            dictionary, an object without fields, or a value of any type. The error shows the tool and the path in its
            schema.
    """
    if not tool.parameters.get("properties") and not has_arbitrary_keys(tool.parameters):
        return {}
    return _GeminiSchemaWriter(tool).write(tool.parameters, "$", ())


class _GeminiSchemaWriter:
    def __init__(self, tool: ToolDefinition) -> None:
        self._tool = tool
        self._definitions: Schema = tool.parameters.get("$defs", {})

    def write(self, original: Schema | bool, path: str, parents: tuple[str, ...]) -> dict[str, Any]:
        schema = simplify(original)
        if "$ref" in schema:
            return self._write_reference(schema, path, parents)
        if "anyOf" in schema:
            return self._write_choice(schema, path, parents)
        if "const" in schema:
            return self._write_enum({**omit_keys(schema, "const"), "enum": [schema["const"]]}, path)
        if "enum" in schema:
            return self._write_enum(schema, path)
        if isinstance(schema.get("type"), list):
            kinds = [{"type": kind} for kind in schema["type"]]
            return self.write({**omit_keys(schema, "type"), "anyOf": kinds}, path, parents)
        return self._write_simple(schema, path, parents)

    def _write_simple(self, schema: Schema, path: str, parents: tuple[str, ...]) -> dict[str, Any]:
        kind = schema.get("type")
        if not isinstance(kind, str):
            raise self._unsupported("a value of any type", path)
        if kind == "null":
            raise self._unsupported("a value that is always null", path)
        if kind == "object" and has_arbitrary_keys(schema):
            raise self._unsupported("a dictionary with arbitrary keys", path)
        if kind == "object" and not schema.get("properties"):
            raise self._unsupported("an object without fields", path)
        written: dict[str, Any] = {"type": kind.upper()}
        notes: list[str] = []
        for keyword, value in schema.items():
            match keyword:
                case "type" | "additionalProperties":
                    pass
                case "properties":
                    written[keyword] = {
                        name: self.write(field, f"{path}.{name}", parents) for name, field in value.items()
                    }
                case "items":
                    written[keyword] = self.write(value, f"{path}[]", parents)
                case "prefixItems":
                    raise self._unsupported("a tuple of several types", path)
                case "format" if value in _FORMATS:
                    written[keyword] = value
                case "pattern" if not has_lookaround(value):
                    written[keyword] = value
                case _ if keyword in _COPIED_KEYWORDS:
                    written[keyword] = value
                case _ if keyword in ("format", "pattern"):
                    notes += describe_keyword(keyword, value)
                case _:
                    notes += self._describe(keyword, value, path)
        if kind == "array" and "items" not in written:
            raise self._unsupported("a list of values of any type", path)
        return append_to_description(written, notes)

    def _write_reference(self, schema: Schema, path: str, parents: tuple[str, ...]) -> dict[str, Any]:
        name = schema["$ref"].removeprefix("#/$defs/")
        if name in parents:
            raise self._unsupported(f"the recursive type {name}", path)
        definition = self._definitions.get(name)
        if definition is None:
            raise self._unsupported(f"the reference {schema['$ref']!r}", path)
        return self.write({**definition, **omit_keys(schema, "$ref")}, path, (*parents, name))

    def _write_choice(self, schema: Schema, path: str, parents: tuple[str, ...]) -> dict[str, Any]:
        options = [option for option in map(simplify, schema["anyOf"]) if not _is_null(option)]
        nullable = len(options) < len(schema["anyOf"])
        siblings = omit_keys(schema, "anyOf")
        if not options:
            raise self._unsupported("a value that is always null", path)
        if len(options) == 1:
            written = self.write({**options[0], **siblings}, path, parents)
            return _write_any_of([written], None, nullable)
        description = self._join_description(siblings, f"next to {'anyOf'!r}", path)
        return _write_any_of([self.write(option, path, parents) for option in options], description, nullable)

    def _write_enum(self, schema: Schema, path: str) -> dict[str, Any]:
        values = [value for value in schema["enum"] if value is not None]
        by_type: dict[str, list[Any]] = {}
        for value in values:
            kind = json_type(value)
            if kind is None:
                raise self._unsupported(f"the enumeration {to_compact_json(schema['enum'])}", path)
            by_type.setdefault(kind, []).append(value)
        if not values:
            raise self._unsupported("a value that is always null", path)
        description = self._join_description(omit_keys(schema, "enum", "type"), "in an enumeration", path)
        options = [_write_enum_of_type(kind, values_of_type) for kind, values_of_type in by_type.items()]
        return _write_any_of(options, description, len(values) < len(schema["enum"]))

    def _join_description(self, siblings: Schema, where: str, path: str) -> str | None:
        notes = [
            text
            for keyword, value in siblings.items()
            if keyword != "description"
            for text in self._describe(keyword, value, path, where)
        ]
        return as_text(append_to_description(dict(siblings), notes).get("description"))

    def _describe(self, keyword: str, value: object, path: str, where: str = "") -> list[str]:
        """Return the notes that replace ``keyword`` in the description, because Gemini's subset of JSON Schema lacks
        it.
        """
        if keyword in DESCRIBED_KEYWORDS:
            return describe_keyword(keyword, value)
        if keyword in _DROPPED_KEYWORDS or keyword.startswith("x-"):
            return []
        raise self._unsupported(" ".join(filter(None, (f"the keyword {keyword!r}", where))), path)

    def _unsupported(self, what: str, path: str) -> TypeError:
        return TypeError(
            f"{self._tool.name}: Gemini's schema language cannot express {what} (at {path}); "
            f"change the type of the field"
        )


def _write_any_of(options: Sequence[dict[str, Any]], description: str | None, nullable: bool) -> dict[str, Any]:
    """Return ``options`` as ``anyOf``, or the option itself if there is only one."""
    # "When using any_of, it must be the only field set", so each option repeats what applies to the whole choice.
    written = []
    for option in [flat for nested in options for flat in nested.get("anyOf", [nested])]:
        texts = [text for text in (description, option.get("description")) if text]
        joined = {"description": " ".join(texts)} if texts else {}
        written.append({**option, **joined, **({"nullable": True} if nullable else {})})
    return written[0] if len(written) == 1 else {"anyOf": written}


def _write_enum_of_type(kind: str, values: list[Any]) -> dict[str, Any]:
    # Gemini accepts only enumerations of strings, and no empty string among them.
    if kind == "string" and all(values):
        return {"type": "STRING", "format": "enum", "enum": values}
    return {"type": kind.upper(), "description": f"(one of: {', '.join(map(to_compact_json, values))})"}


def _is_null(schema: Schema) -> bool:
    return schema.get("type") == "null" or schema.get("const", ...) is None


def read_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Convert Google's ``Schema`` message, which has types in upper case and int64 limits as text, to JSON Schema."""
    converted: dict[str, Any] = {}
    for name, value in schema.items():
        match name:
            case "type":
                converted["type"] = str(value).lower()
            case "items":
                converted["items"] = read_schema(value)
            case "anyOf":
                converted["anyOf"] = [read_schema(branch) for branch in value]
            case "properties":
                converted["properties"] = {key: read_schema(inner) for key, inner in value.items()}
            case "defs":
                converted["$defs"] = {key: read_schema(inner) for key, inner in value.items()}
            case "ref":
                converted["$ref"] = value.replace("#/defs/", "#/$defs/")
            case _ if name in _INTEGER_KEYWORDS:
                converted[name] = int(value)
            case _:
                converted[name] = value
    return converted
