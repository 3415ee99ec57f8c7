"""Helpers for JSON Schema as Pydantic writes it, shared by the schema dialects of the wire formats.

https://json-schema.org/draft/2020-12
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from multitrack.wires.lenient_json import to_compact_json

Schema = Mapping[str, Any]

# Keywords for programs that store or show the schema. They do not change which values are valid.
IGNORED_KEYWORDS = frozenset({"$schema", "$id", "$comment", "$defs", "readOnly", "writeOnly", "discriminator"})

# Keywords that describe a value but that some dialects lack. The model can read them in the description.
DESCRIBED_KEYWORDS = frozenset(
    {
        "multipleOf", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "uniqueItems",
        "minProperties", "maxProperties", "contentEncoding", "contentMediaType", "contentSchema", "example", "examples",
        "deprecated",
    }
)  # fmt: skip

_KEYWORDS_WITH_NAMED_SCHEMAS = frozenset({"properties", "patternProperties", "$defs"})
_KEYWORDS_WITH_SCHEMA_LIST = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_KEYWORDS_WITH_SCHEMA = frozenset({"items", "additionalProperties"})


def simplify(schema: Schema | bool) -> dict[str, Any]:
    """Return an equivalent of ``schema`` that uses fewer keywords.

    - ``oneOf`` becomes ``anyOf``.
    - A tuple with items of one type becomes ``items``.
    - An ``allOf`` with one schema becomes that schema.
    - ``true`` becomes an empty schema.
    """
    if isinstance(schema, bool):
        return {}
    written = dict(schema)
    while len(written.get("allOf", ())) == 1:
        written = {**simplify(written["allOf"][0]), **omit_keys(written, "allOf")}
    if "oneOf" in written and "anyOf" not in written:
        written["anyOf"] = written.pop("oneOf")
    item_schemas = remove_duplicates(omit_keys(item, "title") for item in written.get("prefixItems", ()))
    if len(item_schemas) == 1 and "items" not in written and written.get("maxItems") == len(written["prefixItems"]):
        del written["prefixItems"]
        written["items"] = item_schemas[0]
    return written


def map_subschemas(schema: Schema, rewrite: Callable[[Schema], dict[str, Any]]) -> dict[str, Any]:
    """Return ``schema`` with ``rewrite`` applied to each schema directly inside it."""
    written: dict[str, Any] = {}
    for keyword, value in schema.items():
        if keyword in _KEYWORDS_WITH_NAMED_SCHEMAS:
            written[keyword] = {name: rewrite(subschema) for name, subschema in value.items()}
        elif keyword in _KEYWORDS_WITH_SCHEMA_LIST:
            written[keyword] = [rewrite(subschema) for subschema in value]
        elif keyword in _KEYWORDS_WITH_SCHEMA and isinstance(value, Mapping):
            written[keyword] = rewrite(value)
        else:
            written[keyword] = value
    return written


def has_arbitrary_keys(schema: Schema) -> bool:
    """Return whether ``schema`` describes an object with arbitrary keys, such as a dictionary.

    The result is False for a model that has fields and permits extra fields, because such a model works without the
    extra fields.
    """
    additional = schema.get("additionalProperties", "properties" not in schema)
    if isinstance(additional, Mapping) and additional:
        return True
    return bool(schema.keys() & {"patternProperties", "propertyNames"}) or (
        additional is not False and not schema.get("properties")
    )


def json_type(value: object) -> str | None:
    """Return the name of the JSON type of ``value``, or None for an object or an array."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case _:
            return None


def has_lookaround(pattern: str) -> bool:
    """Return whether a regular expression looks ahead or behind, which RE2 and similar engines do not support.

    https://github.com/google/re2/wiki/Syntax
    """
    return re.search(r"\(\?<?[=!]", pattern) is not None


def describe_keyword(keyword: str, value: object) -> list[str]:
    """Return a list with the note that describes ``keyword``, or an empty list for ``deprecated: false``."""
    if keyword == "deprecated":
        return ["deprecated"] if value else []
    return [f"{keyword}: {value if isinstance(value, str) else to_compact_json(value)}"]


def append_to_description(written: dict[str, Any], notes: Sequence[str]) -> dict[str, Any]:
    """Return ``written`` with ``notes`` in parentheses at the end of its description."""
    if not notes:
        return written
    texts = [text for text in (written.get("description"), f"({', '.join(notes)})") if text]
    return {**written, "description": " ".join(texts)}


def remove_duplicates(values: Iterable[Any]) -> list[Any]:
    """Return ``values`` in order without duplicates. Values are compared as JSON, where 1 and true differ."""
    return list({to_compact_json(value): value for value in values}.values())


def omit_keys(schema: Schema, *keywords: str) -> dict[str, Any]:
    """Return ``schema`` without ``keywords``."""
    return {key: value for key, value in schema.items() if key not in keywords}
