"""The providers' rules for tool schemas, written independently of Multitrack's code; and values that match a schema."""

from __future__ import annotations

import functools
import warnings
from datetime import UTC, timedelta, timezone

from hypothesis import strategies as st

# https://platform.openai.com/docs/guides/structured-outputs/supported-schemas
STRICT_KEYWORDS = {
    "array": {"items", "minItems", "maxItems"},
    "boolean": set(),
    "integer": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
    "null": set(),
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
    "object": {"properties", "required", "additionalProperties"},
    "string": {"pattern", "format"},
}
STRICT_FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}


def assert_strict_schema(parameters):
    """Assert that ``parameters`` is a strict schema that OpenAI accepts."""
    assert parameters["type"] == "object"
    definitions = parameters.get("$defs", {})
    _assert_strict({key: value for key, value in parameters.items() if key != "$defs"}, definitions)
    for definition in definitions.values():
        _assert_strict(definition, definitions)


def _assert_strict(schema, definitions):
    if "$ref" in schema:
        assert schema.keys() == {"$ref"}
        assert schema["$ref"].removeprefix("#/$defs/") in definitions
        return
    keywords = schema.keys() - {"title", "description"}
    if "anyOf" in schema:
        assert keywords == {"anyOf"}
        for option in schema["anyOf"]:
            _assert_strict(option, definitions)
        return
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    assert keywords <= {"type", "enum", "const"}.union(*(STRICT_KEYWORDS[name] for name in types))
    assert schema.get("format", "date") in STRICT_FORMATS
    if "object" in types:
        assert schema["required"] == list(schema["properties"])
        assert schema["additionalProperties"] is False
        for field in schema["properties"].values():
            _assert_strict(field, definitions)
    if "array" in types:
        _assert_strict(schema["items"], definitions)


# https://ai.google.dev/api/caching#Schema, and what the servers were observed to reject
GEMINI_KEYWORDS = {
    "ARRAY": {"items", "minItems", "maxItems"},
    "BOOLEAN": set(),
    "INTEGER": {"minimum", "maximum"},
    "NUMBER": {"minimum", "maximum"},
    "OBJECT": {"properties", "required"},
    "STRING": {"enum", "format", "pattern", "minLength", "maxLength"},
}


def assert_gemini_schema(parameters):
    """Assert that the Gemini API and Vertex AI accept ``parameters``, and that their SDKs have all its fields."""
    assert parameters["type"] == "OBJECT"
    _assert_gemini(parameters)
    for parse in _sdk_schema_parsers():
        parse(parameters)


def _assert_gemini(schema):
    if "anyOf" in schema:
        assert schema.keys() == {"anyOf"}
        for option in schema["anyOf"]:
            assert "anyOf" not in option
            _assert_gemini(option)
        return
    assert schema.keys() <= {"type", "description", "nullable"} | GEMINI_KEYWORDS[schema["type"]]
    if schema["type"] == "STRING":
        assert ("enum" in schema) == (schema.get("format") == "enum")
        assert schema.get("format", "enum") in ("enum", "date-time")
        assert all(isinstance(value, str) and value for value in schema.get("enum", []))
    elif schema["type"] == "ARRAY":
        _assert_gemini(schema["items"])
    elif schema["type"] == "OBJECT":
        assert schema["properties"]
        assert set(schema.get("required", [])) <= schema["properties"].keys()
        for field in schema["properties"].values():
            _assert_gemini(field)


@functools.cache
def _sdk_schema_parsers():
    """Return a function for each installed SDK that parses a schema into the SDK's type and rejects unknown fields."""
    parsers = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from google.cloud.aiplatform_v1beta1.types import Schema
            from google.protobuf.json_format import ParseDict

            parsers.append(lambda schema: ParseDict(schema, Schema.pb(Schema())))
        except ImportError:
            pass
        try:
            from google.genai import types

            parsers.append(types.Schema.model_validate)
        except ImportError:
            pass
    return parsers


FORMATTED = {
    "date": st.dates().map(str),
    "date-time": st.datetimes(timezones=st.sampled_from([None, UTC, timezone(timedelta(hours=-3))])).map(
        lambda moment: moment.isoformat()
    ),
    "duration": st.sampled_from(["P3DT4H", "PT0.5S", "-P1D", "P2W"]),
    "ipv4": st.ip_addresses(v=4).map(str),
    "ipv6": st.ip_addresses(v=6).map(str),
    "time": st.times().map(str),
    "uuid": st.uuids().map(str),
}


def values(schema, definitions):
    """Return a strategy for the values that are valid for the strict ``schema``."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        return st.deferred(lambda: values(definitions[name], definitions))
    if "anyOf" in schema:
        return st.one_of([values(option, definitions) for option in schema["anyOf"]])
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema["type"]:
        case "null":
            return st.none()
        case "boolean":
            return st.booleans()
        case "integer":
            least, most, step = schema.get("minimum"), schema.get("maximum"), schema.get("multipleOf", 1)
            least = schema["exclusiveMinimum"] + 1 if "exclusiveMinimum" in schema else least
            most = schema["exclusiveMaximum"] - 1 if "exclusiveMaximum" in schema else most
            steps = st.integers(least and -(-least // step), most and most // step)
            return steps.map(lambda number: number * step)
        case "number":
            return st.floats(schema.get("minimum"), schema.get("maximum"), allow_nan=False, allow_infinity=False)
        case "string" if "pattern" in schema:
            return st.from_regex(schema["pattern"], fullmatch=True)
        case "string":
            return FORMATTED[schema["format"]] if "format" in schema else st.text()
        case "array":
            items = values(schema["items"], definitions)
            return st.lists(items, min_size=schema.get("minItems", 0), max_size=schema.get("maxItems", 2))
        case "object":
            fields = schema["properties"].items()
            return st.fixed_dictionaries({name: values(field, definitions) for name, field in fields})
