"""What providers demand of the schema of a tool, written down once more; and values that fit a schema."""

from __future__ import annotations

import functools
import warnings
from datetime import UTC, timedelta, timezone

from hypothesis import strategies as st

# https://platform.openai.com/docs/guides/structured-outputs/supported-schemas
STRICT_WORDS = {
    "array": {"items", "minItems", "maxItems"},
    "boolean": set(),
    "integer": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
    "null": set(),
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"},
    "object": {"properties", "required", "additionalProperties"},
    "string": {"pattern", "format"},
}
STRICT_FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}


def follows_strict(parameters):
    """Assert that ``parameters`` is a strict schema that OpenAI takes."""
    assert parameters["type"] == "object"
    definitions = parameters.get("$defs", {})
    _strict({key: value for key, value in parameters.items() if key != "$defs"}, definitions)
    for definition in definitions.values():
        _strict(definition, definitions)


def _strict(schema, definitions):
    if "$ref" in schema:
        assert schema.keys() == {"$ref"}
        assert schema["$ref"].removeprefix("#/$defs/") in definitions
        return
    words = schema.keys() - {"title", "description"}
    if "anyOf" in schema:
        assert words == {"anyOf"}
        for option in schema["anyOf"]:
            _strict(option, definitions)
        return
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    assert words <= {"type", "enum", "const"}.union(*(STRICT_WORDS[kind] for kind in kinds))
    assert schema.get("format", "date") in STRICT_FORMATS
    if "object" in kinds:
        assert schema["required"] == list(schema["properties"])
        assert schema["additionalProperties"] is False
        for field in schema["properties"].values():
            _strict(field, definitions)
    if "array" in kinds:
        _strict(schema["items"], definitions)


# https://ai.google.dev/api/caching#Schema, and what the servers were seen to refuse
GEMINI_WORDS = {
    "ARRAY": {"items", "minItems", "maxItems"},
    "BOOLEAN": set(),
    "INTEGER": {"minimum", "maximum"},
    "NUMBER": {"minimum", "maximum"},
    "OBJECT": {"properties", "required"},
    "STRING": {"enum", "format", "pattern", "minLength", "maxLength"},
}


def follows_gemini(parameters):
    """Assert that ``parameters`` is a schema that the Gemini API and Vertex take, and their SDKs carry."""
    assert parameters["type"] == "OBJECT"
    _gemini(parameters)
    for carried in _gemini_types():
        carried(parameters)


def _gemini(schema):
    if "anyOf" in schema:
        assert schema.keys() == {"anyOf"}
        for option in schema["anyOf"]:
            assert "anyOf" not in option
            _gemini(option)
        return
    assert schema.keys() <= {"type", "description", "nullable"} | GEMINI_WORDS[schema["type"]]
    if schema["type"] == "STRING":
        assert ("enum" in schema) == (schema.get("format") == "enum")
        assert schema.get("format", "enum") in ("enum", "date-time")
        assert all(isinstance(value, str) and value for value in schema.get("enum", []))
    elif schema["type"] == "ARRAY":
        _gemini(schema["items"])
    elif schema["type"] == "OBJECT":
        assert schema["properties"]
        assert set(schema.get("required", [])) <= schema["properties"].keys()
        for field in schema["properties"].values():
            _gemini(field)


@functools.cache
def _gemini_types():
    """For each SDK that is installed, what reads a schema into its own type and refuses unknown fields."""
    carried = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from google.cloud.aiplatform_v1beta1.types import Schema
            from google.protobuf.json_format import ParseDict

            carried.append(lambda schema: ParseDict(schema, Schema.pb(Schema())))
        except ImportError:
            pass
        try:
            from google.genai import types

            carried.append(types.Schema.model_validate)
        except ImportError:
            pass
    return carried


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
    """Whatever fits ``schema``, a strict one."""
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
