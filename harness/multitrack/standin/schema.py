"""Values that are valid for a JSON Schema, the same each time.

A value is made from, in this order: ``const``, ``enum``, ``default``, the parts of ``allOf``, ``anyOf`` and
``oneOf``, and the type with its limits. An object gets its required properties only.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from multitrack.standin.pattern import matching_text

_FORMATS = {
    "date": "2025-06-15",
    "date-time": "2025-06-15T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "email": "someone@example.com",
    "idn-email": "someone@example.com",
    "hostname": "example.com",
    "idn-hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "iri": "https://example.com/",
    "uri-reference": "https://example.com/",
    "url": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "json-pointer": "/text",
    "regex": "text",
    "byte": "dGV4dA==",
    "binary": "dGV4dA==",
}
_DEPTH = 32
_NOT_UNDERSTOOD = ("not", "contains", "if", "dependentRequired", "dependentSchemas")


class UnsatisfiableError(ValueError):
    """No value can be made for a schema; the message names the place in it."""


def example(schema: Any, number: int = 0) -> Any:
    """A value that is valid for ``schema``; another ``number``, where the schema has room, another value.

    Raises `UnsatisfiableError` where there is none, or none that is found by the rules above.
    """
    return _value(schema, _Place(schema, "#", 0), number)


class _Place:
    """Where in which schema a value is being made."""

    def __init__(self, root: Any, path: str, depth: int) -> None:
        if depth > _DEPTH:
            raise UnsatisfiableError(f"{path[:60]}...: the schema requires itself without end")
        self._root = root
        self._path = path
        self._depth = depth

    def below(self, *names: object) -> _Place:
        return _Place(self._root, "/".join([self._path, *map(str, names)]), self._depth + 1)

    def wrong(self, reason: str) -> UnsatisfiableError:
        return UnsatisfiableError(f"{self._path}: {reason}")

    def target(self, reference: str) -> Any:
        """What ``$ref`` points at, by https://www.rfc-editor.org/rfc/rfc6901 within the same document."""
        if not reference.startswith("#"):
            raise self.wrong(f"$ref leaves the document: {reference}")
        found = self._root
        for step in reference[1:].split("/")[1:]:
            name = unquote(step).replace("~1", "/").replace("~0", "~")
            try:
                found = found[int(name)] if isinstance(found, list) else found[name]
            except (KeyError, IndexError, ValueError, TypeError):
                raise self.wrong(f"$ref points at nothing: {reference}") from None
        return found


def _value(schema: Any, place: _Place, number: int) -> Any:
    if schema is False:
        raise place.wrong("the schema allows no value")
    if not isinstance(schema, Mapping):
        return _text({}, place, number)
    for keyword in _NOT_UNDERSTOOD:
        if keyword in schema:
            raise place.wrong(f"{keyword} is not understood")
    if "$ref" in schema:
        siblings = {key: value for key, value in schema.items() if key != "$ref"}
        return _value(_merged(place.target(schema["$ref"]), siblings), place.below("$ref"), number)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][number % len(schema["enum"])]
    if "default" in schema and number == 0:
        return schema["default"]
    if schema.get("allOf"):
        whole: Any = {key: value for key, value in schema.items() if key != "allOf"}
        for part in schema["allOf"]:
            whole = _merged(whole, _resolved(part, place))
        return _value(whole, place.below("allOf"), number)
    for key in ("anyOf", "oneOf"):
        if schema.get(key):
            return _first_of(key, schema, place, number)
    return _typed(schema, place, number)


def _resolved(schema: Any, place: _Place) -> Any:
    if isinstance(schema, Mapping) and "$ref" in schema:
        return _resolved(place.target(schema["$ref"]), place.below("$ref"))
    return schema


def _merged(first: Any, second: Any) -> Any:
    if not isinstance(first, Mapping) or not isinstance(second, Mapping):
        return first if second is True else second
    merged = {**first, **second}
    for key in ("properties", "$defs"):
        if key in first and key in second:
            merged[key] = {**first[key], **second[key]}
    if "required" in first and "required" in second:
        merged["required"] = list(dict.fromkeys([*first["required"], *second["required"]]))
    for key, narrower in (("minimum", max), ("minLength", max), ("minItems", max), ("maximum", min)):
        if key in first and key in second:
            merged[key] = narrower(first[key], second[key])
    return merged


def _first_of(key: str, schema: Mapping[str, Any], place: _Place, number: int) -> Any:
    siblings = {name: value for name, value in schema.items() if name != key}
    branches = sorted(schema[key], key=lambda branch: _resolved(branch, place) == {"type": "null"})
    failure = place.wrong(f"{key} has no branches")
    for position, branch in enumerate(branches):
        try:
            return _value(_merged(_resolved(branch, place), siblings), place.below(key, position), number)
        except UnsatisfiableError as error:
            failure = error
    raise failure


def _typed(schema: Mapping[str, Any], place: _Place, number: int) -> Any:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((name for name in kind if name != "null"), "null")
    if kind is None:
        kind = _implied_type(schema)
    match kind:
        case "string":
            return _text(schema, place, number)
        case "integer" | "number":
            return _number(schema, place, number, whole=kind == "integer")
        case "boolean":
            return number % 2 == 0
        case "null":
            return None
        case "array":
            return _array(schema, place)
        case "object":
            return _object(schema, place)
    raise place.wrong(f"unknown type {kind!r}")


def _implied_type(schema: Mapping[str, Any]) -> str:
    if schema.keys() & {"properties", "required", "additionalProperties", "minProperties"}:
        return "object"
    if schema.keys() & {"items", "prefixItems", "minItems"}:
        return "array"
    if schema.keys() & {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}:
        return "number"
    return "string"


def _text(schema: Mapping[str, Any], place: _Place, number: int) -> str:
    shortest, longest = schema.get("minLength", 0), schema.get("maxLength", math.inf)
    if "pattern" in schema:
        try:
            text = matching_text(schema["pattern"], shortest)
            text = text.ljust(shortest, text[-1:] or "x")
        except ValueError as error:
            raise place.wrong(f"no text found for the pattern {schema['pattern']!r}: {error}") from error
    elif schema.get("format") in _FORMATS:
        text = _FORMATS[schema["format"]]
    else:
        text = f"text-{number}" if number else "text"
        text = text.ljust(shortest, "x")
        text = text if len(text) <= longest else text[-int(longest) :] if longest else ""
    if not shortest <= len(text) <= longest:
        raise place.wrong(f"{text!r} does not have {shortest} to {longest} characters")
    if "pattern" in schema and not re.search(schema["pattern"], text):
        raise place.wrong(f"no text found for the pattern {schema['pattern']!r}")
    return text


def _number(schema: Mapping[str, Any], place: _Place, number: int, *, whole: bool) -> int | float:
    low, high = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    above, below = schema.get("exclusiveMinimum", -math.inf), schema.get("exclusiveMaximum", math.inf)

    def allowed(value: float) -> bool:
        return bool(low <= value <= high and above < value < below)

    step = schema.get("multipleOf", 1)
    floor, ceiling = max(low, above), min(high, below)
    if floor > -math.inf:
        start = math.ceil(floor / step) * step
    elif ceiling < math.inf:
        start = min(step, math.floor(ceiling / step) * step)
    else:
        start = step
    direction = -1 if floor == -math.inf and ceiling < math.inf else 1
    candidates: list[int | float] = [start + direction * offset * step for offset in range(number, number + 3)]
    if not whole and "multipleOf" not in schema and math.isfinite(floor) and math.isfinite(ceiling):
        candidates += [floor + (ceiling - floor) * share for share in (0.5, 0.0, 1.0)]
    for value in candidates:
        if allowed(value) and (not whole or float(value).is_integer()):
            return int(value) if float(value).is_integer() else value
    raise place.wrong("no number lies within the limits")


def _array(schema: Mapping[str, Any], place: _Place) -> list[Any]:
    values: list[Any] = []
    leading = schema.get("prefixItems", [])
    rest = schema.get("items", {})
    candidate = 0
    while len(values) < schema.get("minItems", 0):
        position = len(values)
        item = leading[position] if position < len(leading) else rest
        value = _value(item, place.below("items", position), candidate)
        candidate += 1
        if schema.get("uniqueItems") and value in values:
            if candidate > 2 * _DEPTH:
                raise place.wrong("not enough different items found")
            continue
        values.append(value)
    return values


def _object(schema: Mapping[str, Any], place: _Place) -> dict[str, Any]:
    properties = schema.get("properties", {})
    others = schema.get("additionalProperties", {})
    names = list(schema.get("required", ()))
    spare = [name for name in properties if name not in names]
    spare += [f"key_{position}" for position in range(schema.get("minProperties", 0))]
    names += spare[: max(0, schema.get("minProperties", 0) - len(names))]
    return {name: _value(properties.get(name, others), place.below(name), 0) for name in names}
