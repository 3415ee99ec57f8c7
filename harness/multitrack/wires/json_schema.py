"""JSON Schema as Pydantic writes it: what the dialects of the wires have in common.

https://json-schema.org/draft/2020-12
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from multitrack.wires.lenient_json import to_compact_json

Schema = Mapping[str, Any]

# Told to a program that stores or shows the schema; a value may be the same with and without them.
IGNORED_KEYWORDS = frozenset({"$schema", "$id", "$comment", "$defs", "readOnly", "writeOnly", "discriminator"})

# What a value is or should be, for which some dialect has no word: a model can read it in the description.
DESCRIBED_KEYWORDS = frozenset(
    {
        "multipleOf", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "uniqueItems",
        "minProperties", "maxProperties", "contentEncoding", "contentMediaType", "contentSchema", "example", "examples",
        "deprecated",
    }
)  # fmt: skip

_OF_NAMES = frozenset({"properties", "patternProperties", "$defs"})
_OF_SEVERAL = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_OF_ONE = frozenset({"items", "additionalProperties"})


def simplify(schema: Schema | bool) -> dict[str, Any]:
    """``schema`` said in fewer words: ``anyOf`` for ``oneOf``, ``items`` for a tuple whose items are all alike,
    what stands in an ``allOf`` of one for that ``allOf``, and nothing for true."""
    if isinstance(schema, bool):
        return {}
    written = dict(schema)
    while len(written.get("allOf", ())) == 1:
        written = {**simplify(written["allOf"][0]), **omit_keys(written, "allOf")}
    if "oneOf" in written and "anyOf" not in written:
        written["anyOf"] = written.pop("oneOf")
    alike = remove_duplicates(omit_keys(item, "title") for item in written.get("prefixItems", ()))
    if len(alike) == 1 and "items" not in written and written.get("maxItems") == len(written["prefixItems"]):
        del written["prefixItems"]
        written["items"] = alike[0]
    return written


def map_subschemas(schema: Schema, rewrite: Callable[[Schema], dict[str, Any]]) -> dict[str, Any]:
    """``schema`` with each schema that stands directly in it rewritten."""
    written: dict[str, Any] = {}
    for keyword, value in schema.items():
        if keyword in _OF_NAMES:
            written[keyword] = {name: rewrite(own) for name, own in value.items()}
        elif keyword in _OF_SEVERAL:
            written[keyword] = [rewrite(own) for own in value]
        elif keyword in _OF_ONE and isinstance(value, Mapping):
            written[keyword] = rewrite(value)
        else:
            written[keyword] = value
    return written


def has_free_keys(schema: Schema) -> bool:
    """Whether the keys of an object are data. A model that lets further fields pass asks for none of them."""
    further = schema.get("additionalProperties", "properties" not in schema)
    if isinstance(further, Mapping) and further:
        return True
    return bool(schema.keys() & {"patternProperties", "propertyNames"}) or (
        further is not False and not schema.get("properties")
    )


def json_type(value: object) -> str | None:
    """The name of the JSON type of ``value``, None for an object or an array."""
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
    """Whether the regular expression looks ahead or behind, which those of RE2's kind cannot.

    https://github.com/google/re2/wiki/Syntax
    """
    return re.search(r"\(\?<?[=!]", pattern) is not None


def describe_keyword(keyword: str, value: object) -> list[str]:
    """``keyword`` as it is told in a description."""
    if keyword == "deprecated":
        return ["deprecated"] if value else []
    return [f"{keyword}: {value if isinstance(value, str) else to_compact_json(value)}"]


def append_to_description(written: dict[str, Any], spoken: Sequence[str]) -> dict[str, Any]:
    """``written`` with ``spoken`` at the end of its description."""
    if not spoken:
        return written
    described = [text for text in (written.get("description"), f"({', '.join(spoken)})") if text]
    return {**written, "description": " ".join(described)}


def remove_duplicates(values: Iterable[Any]) -> list[Any]:
    """``values``, each once, in order. By their JSON, where 1 and true are two."""
    return list({to_compact_json(value): value for value in values}.values())


def omit_keys(schema: Schema, *keywords: str) -> dict[str, Any]:
    """``schema`` but for ``keywords``."""
    return {key: value for key, value in schema.items() if key not in keywords}
