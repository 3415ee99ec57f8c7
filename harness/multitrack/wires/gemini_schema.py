"""JSON Schema in the subset that Gemini takes: an OpenAPI 3.0 schema object, without references.

https://ai.google.dev/api/caching#Schema
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from multitrack.wires.tool import Tool
from multitrack.wires.untrusted import compact

_SAME = frozenset(
    {
        "description", "minimum", "maximum", "minLength", "maxLength", "pattern", "minItems", "maxItems",
        "minProperties", "maxProperties", "required",
    }
)  # fmt: skip

# The answer is validated all the same; a schema for a model to read loses nothing by them.
_DROPPED = frozenset({"title", "default", "examples", "example", "$defs", "$schema", "$id", "$comment",
                      "deprecated", "readOnly", "writeOnly", "discriminator"})  # fmt: skip

# Bounds of a value for which the dialect has no word: they are said in the description.
_SPOKEN = frozenset({"exclusiveMinimum", "exclusiveMaximum", "multipleOf", "uniqueItems", "contentEncoding",
                     "contentMediaType"})  # fmt: skip

_FORMATS = frozenset({"date-time", "enum", "float", "double", "int32", "int64"})


def rewritten(tool: Tool) -> dict[str, Any]:
    """The parameters of ``tool`` in Gemini's subset.

    Raises TypeError, naming the tool and the path in its schema, for what the subset cannot express:
    recursion, tuples, typed dictionaries, values of any type.
    """
    return _Rewriting(tool).schema(tool.parameters, "$", ())


class _Rewriting:
    def __init__(self, tool: Tool) -> None:
        self._tool = tool
        self._definitions: Mapping[str, Any] = tool.parameters.get("$defs", {})

    def schema(self, schema: Mapping[str, Any], path: str, within: tuple[str, ...]) -> dict[str, Any]:
        if "$ref" in schema:
            return self._referred(schema, path, within)
        for keyword in ("anyOf", "oneOf"):
            if keyword in schema:
                return self._choice(schema, keyword, path, within)
        if "allOf" in schema:
            return self._merged(schema, path, within)
        if "const" in schema:
            return self.schema({**_without(schema, "const"), "enum": [schema["const"]]}, path, within)
        if "enum" in schema:
            return self._enum(schema, path)
        if isinstance(schema.get("type"), list):
            kinds = [{"type": kind} for kind in schema["type"]]
            return self.schema({**_without(schema, "type"), "anyOf": kinds}, path, within)
        return self._plain(schema, path, within)

    def _plain(self, schema: Mapping[str, Any], path: str, within: tuple[str, ...]) -> dict[str, Any]:
        kind = schema.get("type")
        if not isinstance(kind, str):
            raise self._cannot("a value of any type", path)
        if kind == "null":
            raise self._cannot("null alone", path)
        written: dict[str, Any] = {"type": kind.upper()}
        spoken: list[str] = []
        for keyword, value in schema.items():
            match keyword:
                case "type":
                    pass
                case "properties":
                    written[keyword] = {
                        name: self.schema(field, f"{path}.{name}", within) for name, field in value.items()
                    }
                case "items":
                    written[keyword] = self.schema(value, f"{path}[]", within)
                case "additionalProperties":
                    if isinstance(value, Mapping) and value:
                        raise self._cannot("a dictionary with values of one type", path)
                case "format" if value in _FORMATS:
                    written[keyword] = value
                case "format":
                    spoken.append(f"format: {value}")
                case _ if keyword in _SAME:
                    written[keyword] = value
                case _ if keyword in _SPOKEN:
                    spoken.append(f"{keyword}: {compact(value)}")
                case _ if keyword in _DROPPED:
                    pass
                case "prefixItems":
                    raise self._cannot("a tuple", path)
                case _:
                    raise self._cannot(f"the keyword {keyword!r}", path)
        if kind == "array" and "items" not in written:
            raise self._cannot("a list of values of any type", path)
        return _saying(written, spoken)

    def _referred(self, schema: Mapping[str, Any], path: str, within: tuple[str, ...]) -> dict[str, Any]:
        name = schema["$ref"].removeprefix("#/$defs/")
        if name in within:
            raise self._cannot(f"{name}, which contains itself", path)
        definition = self._definitions.get(name)
        if definition is None:
            raise self._cannot(f"the reference {schema['$ref']!r}", path)
        return self.schema({**definition, **_without(schema, "$ref")}, path, (*within, name))

    def _choice(self, schema: Mapping[str, Any], keyword: str, path: str, within: tuple[str, ...]) -> dict[str, Any]:
        options = [option for option in schema[keyword] if not _is_null(option)]
        nullable = {"nullable": True} if len(options) < len(schema[keyword]) else {}
        around = _without(schema, keyword)
        if len(options) == 1:
            return {**self.schema({**options[0], **around}, path, within), **nullable}
        if not options:
            raise self._cannot("null alone", path)
        described = {"description": schema["description"]} if "description" in schema else {}
        if unknown := around.keys() - {"description"} - _DROPPED:
            raise self._cannot(f"the keyword {min(unknown)!r} beside {keyword!r}", path)
        return {"anyOf": [self.schema(option, path, within) for option in options], **described, **nullable}

    def _merged(self, schema: Mapping[str, Any], path: str, within: tuple[str, ...]) -> dict[str, Any]:
        if len(schema["allOf"]) != 1:
            raise self._cannot("the keyword 'allOf'", path)
        return self.schema({**schema["allOf"][0], **_without(schema, "allOf")}, path, within)

    def _enum(self, schema: Mapping[str, Any], path: str) -> dict[str, Any]:
        values = [value for value in schema["enum"] if value is not None]
        nullable = {"nullable": True} if len(values) < len(schema["enum"]) else {}
        described = {"description": schema["description"]} if "description" in schema else {}
        options = [
            _enumerated(kind, own) for kind, belongs in _KINDS if (own := [value for value in values if belongs(value)])
        ]
        if sum(len(option.get("enum", ())) for option in options) < len(values) or not options:
            raise self._cannot(f"the enumeration {compact(schema['enum'])}", path)
        if len(options) > 1:
            return {"anyOf": options, **described, **nullable}
        return {**options[0], **described, **nullable}

    def _cannot(self, what: str, path: str) -> TypeError:
        return TypeError(
            f"{self._tool.name}: Gemini's schema language cannot express {what} (at {path}); "
            f"give the field a type that it can"
        )


_KINDS: tuple[tuple[str, Callable[[Any], bool]], ...] = (
    ("STRING", lambda value: isinstance(value, str)),
    ("INTEGER", lambda value: isinstance(value, int) and not isinstance(value, bool)),
)


def _enumerated(kind: str, values: list[Any]) -> dict[str, Any]:
    # the values of an enumeration of integers are written as text, too: the field is a list of strings
    return {"type": kind, "format": "enum", "enum": [str(value) for value in values]}


def _is_null(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") == "null" or schema.get("const", ...) is None


def _without(schema: Mapping[str, Any], keyword: str) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != keyword}


def _saying(written: dict[str, Any], spoken: list[str]) -> dict[str, Any]:
    if not spoken:
        return written
    described = [text for text in [written.get("description"), f"({', '.join(spoken)})"] if text]
    return {**written, "description": " ".join(described)}
