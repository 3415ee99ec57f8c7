"""Generate a value that is valid for a JSON Schema. Equal schemas give equal values.

These keywords decide the value, in this order: ``const``, ``enum``, ``default``, ``allOf``, ``anyOf``, ``oneOf``, and
``type`` with its limits. An object gets only its required properties.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

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
_MAX_DEPTH = 32
_UNSUPPORTED = ("not", "contains", "if", "dependentRequired", "dependentSchemas")


class UnsatisfiableError(ValueError):
    """No value can be generated for a schema. The message says where in the schema, and why."""


def generate_value(schema: Any, number: int = 0) -> Any:
    """Return a value that is valid for ``schema``.

    Args:
        schema: A JSON Schema.
        number: Selects one of the valid values. A different number selects a different value if the schema allows it.

    Raises:
        UnsatisfiableError: There is no valid value, or this module cannot find one.
    """
    return _make_value(schema, _Location(schema, "#", 0), number)


class _Location:
    """The location in a schema for which a value is being generated."""

    def __init__(self, root: Any, path: str, depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise UnsatisfiableError(f"{path[:60]}...: the schema requires a value that contains itself")
        self._root = root
        self._path = path
        self._depth = depth

    def descend(self, *names: object) -> _Location:
        return _Location(self._root, "/".join([self._path, *map(str, names)]), self._depth + 1)

    def error(self, reason: str) -> UnsatisfiableError:
        return UnsatisfiableError(f"{self._path}: {reason}")

    def resolve(self, reference: str) -> Any:
        """Return the target of ``$ref``: a JSON pointer (https://www.rfc-editor.org/rfc/rfc6901) into this document."""
        if not reference.startswith("#"):
            raise self.error(f"$ref points outside the schema: {reference}")
        target = self._root
        for step in reference[1:].split("/")[1:]:
            name = unquote(step).replace("~1", "/").replace("~0", "~")
            try:
                target = target[int(name)] if isinstance(target, list) else target[name]
            except (KeyError, IndexError, ValueError, TypeError):
                raise self.error(f"the target of $ref does not exist: {reference}") from None
        return target


def _make_value(schema: Any, location: _Location, number: int) -> Any:
    if schema is False:
        raise location.error("the schema allows no value")
    if not isinstance(schema, Mapping):
        return _make_text({}, location, number)
    for keyword in _UNSUPPORTED:
        if keyword in schema:
            raise location.error(f"{keyword} is not supported")
    if "$ref" in schema:
        siblings = {key: value for key, value in schema.items() if key != "$ref"}
        return _make_value(_merge(location.resolve(schema["$ref"]), siblings), location.descend("$ref"), number)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][number % len(schema["enum"])]
    if "default" in schema and number == 0:
        return schema["default"]
    if schema.get("allOf"):
        combined: Any = {key: value for key, value in schema.items() if key != "allOf"}
        for part in schema["allOf"]:
            combined = _merge(combined, _resolve_reference(part, location))
        return _make_value(combined, location.descend("allOf"), number)
    for key in ("anyOf", "oneOf"):
        if schema.get(key):
            return _make_from_first_branch(key, schema, location, number)
    return _make_typed_value(schema, location, number)


def _resolve_reference(schema: Any, location: _Location) -> Any:
    if isinstance(schema, Mapping) and "$ref" in schema:
        return _resolve_reference(location.resolve(schema["$ref"]), location.descend("$ref"))
    return schema


def _merge(first: Any, second: Any) -> Any:
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


def _make_from_first_branch(key: str, schema: Mapping[str, Any], location: _Location, number: int) -> Any:
    siblings = {name: value for name, value in schema.items() if name != key}
    branches = sorted(schema[key], key=lambda branch: _resolve_reference(branch, location) == {"type": "null"})
    failure = location.error(f"{key} has no branches")
    for position, branch in enumerate(branches):
        try:
            return _make_value(
                _merge(_resolve_reference(branch, location), siblings), location.descend(key, position), number
            )
        except UnsatisfiableError as error:
            failure = error
    raise failure


def _make_typed_value(schema: Mapping[str, Any], location: _Location, number: int) -> Any:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((name for name in kind if name != "null"), "null")
    if kind is None:
        kind = _infer_type(schema)
    match kind:
        case "string":
            return _make_text(schema, location, number)
        case "integer" | "number":
            return _make_number(schema, location, number, is_integer=kind == "integer")
        case "boolean":
            return number % 2 == 0
        case "null":
            return None
        case "array":
            return _make_array(schema, location)
        case "object":
            return _make_object(schema, location, number)
    raise location.error(f"unknown type {kind!r}")


def _infer_type(schema: Mapping[str, Any]) -> str:
    if schema.keys() & {"properties", "required", "additionalProperties", "minProperties"}:
        return "object"
    if schema.keys() & {"items", "prefixItems", "minItems"}:
        return "array"
    if schema.keys() & {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}:
        return "number"
    return "string"


def _make_text(schema: Mapping[str, Any], location: _Location, number: int) -> str:
    min_length, max_length = schema.get("minLength", 0), schema.get("maxLength", math.inf)
    if "pattern" in schema:
        # Imported only here, because it needs a private Python module that later versions may lack.
        from multitrack.schema_values.pattern_text import generate_text

        try:
            text = generate_text(schema["pattern"], min_length)
            text = text.ljust(min_length, text[-1:] or "x")
        except ValueError as error:
            raise location.error(f"found no string that matches the pattern {schema['pattern']!r}: {error}") from error
    elif schema.get("format") in _FORMATS:
        text = _FORMATS[schema["format"]]
    else:
        text = f"text-{number}" if number else "text"
        text = text.ljust(min_length, "x")
        text = text if len(text) <= max_length else text[-int(max_length) :] if max_length else ""
    if not min_length <= len(text) <= max_length:
        raise location.error(f"{text!r} is not {min_length} to {max_length} characters long")
    if "pattern" in schema and not re.search(schema["pattern"], text):
        raise location.error(f"found no string that matches the pattern {schema['pattern']!r}")
    return text


def _make_number(schema: Mapping[str, Any], location: _Location, number: int, *, is_integer: bool) -> int | float:
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
    if not is_integer and "multipleOf" not in schema and math.isfinite(floor) and math.isfinite(ceiling):
        candidates += [floor + (ceiling - floor) * share for share in (0.5, 0.0, 1.0)]
    for value in candidates:
        if allowed(value) and (not is_integer or float(value).is_integer()):
            return int(value) if float(value).is_integer() else value
    raise location.error("found no number within the limits")


def _make_array(schema: Mapping[str, Any], location: _Location) -> list[Any]:
    values: list[Any] = []
    leading = schema.get("prefixItems", [])
    rest = schema.get("items", {})
    candidate = 0
    while len(values) < schema.get("minItems", 0):
        position = len(values)
        item = leading[position] if position < len(leading) else rest
        value = _make_value(item, location.descend("items", position), candidate)
        candidate += 1
        if schema.get("uniqueItems") and value in values:
            if candidate > 2 * _MAX_DEPTH:
                raise location.error("found too few different items")
            continue
        values.append(value)
    return values


def _make_object(schema: Mapping[str, Any], location: _Location, number: int) -> dict[str, Any]:
    properties = schema.get("properties", {})
    others = schema.get("additionalProperties", {})
    names = list(schema.get("required", ()))
    spare = [name for name in properties if name not in names]
    spare += [f"key_{position}" for position in range(schema.get("minProperties", 0))]
    names += spare[: max(0, schema.get("minProperties", 0) - len(names))]
    return {name: _make_value(properties.get(name, others), location.descend(name), number) for name in names}
