"""JSON Schema in the subset that Gemini takes: an OpenAPI 3.0 schema object, without references.

https://ai.google.dev/api/caching#Schema and
https://cloud.google.com/vertex-ai/docs/reference/rest/v1/Schema: what both take, and what the oldest SDKs carry.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    omit_keys,
    simplify,
)
from multitrack.wires.lenient_json import as_text, to_compact_json
from multitrack.wires.tool import ToolDefinition

_SAME = frozenset(
    {
        "description", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "minProperties",
        "maxProperties", "required",
    }
)  # fmt: skip

# a field that need not be sent has its default where it is not
_DROPPED = IGNORED_KEYWORDS | {"title", "default"}

_FORMATS = frozenset({"date-time", "enum", "float", "double", "int32", "int64"})


def write_parameters(tool: ToolDefinition) -> dict[str, Any]:
    """The parameters of ``tool`` in Gemini's subset; empty if it has none.

    Raises TypeError, naming the tool and the path in its schema, for what the subset cannot express: recursion,
    tuples of several types, dictionaries, objects without fields, values of any type.
    """
    if not tool.parameters.get("properties") and not has_free_keys(tool.parameters):
        return {}
    return _Rewriting(tool).schema(tool.parameters, "$", ())


class _Rewriting:
    def __init__(self, tool: ToolDefinition) -> None:
        self._tool = tool
        self._definitions: Schema = tool.parameters.get("$defs", {})

    def schema(self, given: Schema | bool, path: str, within: tuple[str, ...]) -> dict[str, Any]:
        schema = simplify(given)
        if "$ref" in schema:
            return self._referred(schema, path, within)
        if "anyOf" in schema:
            return self._choice(schema, path, within)
        if "const" in schema:
            return self._enum({**omit_keys(schema, "const"), "enum": [schema["const"]]}, path)
        if "enum" in schema:
            return self._enum(schema, path)
        if isinstance(schema.get("type"), list):
            kinds = [{"type": kind} for kind in schema["type"]]
            return self.schema({**omit_keys(schema, "type"), "anyOf": kinds}, path, within)
        return self._plain(schema, path, within)

    def _plain(self, schema: Schema, path: str, within: tuple[str, ...]) -> dict[str, Any]:
        kind = schema.get("type")
        if not isinstance(kind, str):
            raise self._cannot("a value of any type", path)
        if kind == "null":
            raise self._cannot("null alone", path)
        if kind == "object" and has_free_keys(schema):
            raise self._cannot("a dictionary, whose keys are free", path)
        if kind == "object" and not schema.get("properties"):
            raise self._cannot("an object without fields", path)
        written: dict[str, Any] = {"type": kind.upper()}
        spoken: list[str] = []
        for keyword, value in schema.items():
            match keyword:
                case "type" | "additionalProperties":
                    pass
                case "properties":
                    written[keyword] = {
                        name: self.schema(field, f"{path}.{name}", within) for name, field in value.items()
                    }
                case "items":
                    written[keyword] = self.schema(value, f"{path}[]", within)
                case "prefixItems":
                    raise self._cannot("a tuple of several types", path)
                case "format" if value in _FORMATS:
                    written[keyword] = value
                case "pattern" if not has_lookaround(value):
                    written[keyword] = value
                case _ if keyword in _SAME:
                    written[keyword] = value
                case _ if keyword in ("format", "pattern"):
                    spoken += describe_keyword(keyword, value)
                case _:
                    spoken += self._beside(keyword, value, path)
        if kind == "array" and "items" not in written:
            raise self._cannot("a list of values of any type", path)
        return append_to_description(written, spoken)

    def _referred(self, schema: Schema, path: str, within: tuple[str, ...]) -> dict[str, Any]:
        name = schema["$ref"].removeprefix("#/$defs/")
        if name in within:
            raise self._cannot(f"{name}, which contains itself", path)
        definition = self._definitions.get(name)
        if definition is None:
            raise self._cannot(f"the reference {schema['$ref']!r}", path)
        return self.schema({**definition, **omit_keys(schema, "$ref")}, path, (*within, name))

    def _choice(self, schema: Schema, path: str, within: tuple[str, ...]) -> dict[str, Any]:
        options = [option for option in map(simplify, schema["anyOf"]) if not _is_null(option)]
        nullable = len(options) < len(schema["anyOf"])
        around = omit_keys(schema, "anyOf")
        if not options:
            raise self._cannot("null alone", path)
        if len(options) == 1:
            written = self.schema({**options[0], **around}, path, within)
            return _any([written], None, nullable)
        described = self._described(around, f"beside {'anyOf'!r}", path)
        return _any([self.schema(option, path, within) for option in options], described, nullable)

    def _enum(self, schema: Schema, path: str) -> dict[str, Any]:
        values = [value for value in schema["enum"] if value is not None]
        by_type: dict[str, list[Any]] = {}
        for value in values:
            kind = json_type(value)
            if kind is None:
                raise self._cannot(f"the enumeration {to_compact_json(schema['enum'])}", path)
            by_type.setdefault(kind, []).append(value)
        if not values:
            raise self._cannot("null alone", path)
        described = self._described(omit_keys(schema, "enum", "type"), "of an enumeration", path)
        options = [_enumerated(kind, own) for kind, own in by_type.items()]
        return _any(options, described, len(values) < len(schema["enum"]))

    def _described(self, around: Schema, where: str, path: str) -> str | None:
        spoken = [
            text
            for keyword, value in around.items()
            if keyword != "description"
            for text in self._beside(keyword, value, path, where)
        ]
        return as_text(append_to_description(dict(around), spoken).get("description"))

    def _beside(self, keyword: str, value: object, path: str, where: str = "") -> list[str]:
        """What is told of a keyword for which the dialect has no word."""
        if keyword in DESCRIBED_KEYWORDS:
            return describe_keyword(keyword, value)
        if keyword in _DROPPED or keyword.startswith("x-"):
            return []
        raise self._cannot(" ".join(filter(None, (f"the keyword {keyword!r}", where))), path)

    def _cannot(self, what: str, path: str) -> TypeError:
        return TypeError(
            f"{self._tool.name}: Gemini's schema language cannot express {what} (at {path}); "
            f"give the field a type that it can"
        )


def _any(options: Sequence[dict[str, Any]], description: str | None, nullable: bool) -> dict[str, Any]:
    """The one of ``options``, or a choice of them."""
    # "When using any_of, it must be the only field set": what holds for the choice is describe_keyword of each option
    written = []
    for option in [flat for given in options for flat in given.get("anyOf", [given])]:
        texts = [text for text in (description, option.get("description")) if text]
        described = {"description": " ".join(texts)} if texts else {}
        written.append({**option, **described, **({"nullable": True} if nullable else {})})
    return written[0] if len(written) == 1 else {"anyOf": written}


def _enumerated(kind: str, values: list[Any]) -> dict[str, Any]:
    # an enumeration is a list of strings, of which none is empty; one of another type is refused
    if kind == "string" and all(values):
        return {"type": "STRING", "format": "enum", "enum": values}
    return {"type": kind.upper(), "description": f"(one of: {', '.join(map(to_compact_json, values))})"}


def _is_null(schema: Schema) -> bool:
    return schema.get("type") == "null" or schema.get("const", ...) is None
