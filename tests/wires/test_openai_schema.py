"""Convert JSON Schema for OpenAI, with and without strict."""

import copy
import string

import pytest

from multitrack.wires import ToolDefinition, write_tools

STRING, INTEGER = {"type": "string"}, {"type": "integer"}
POINT = {"title": "P", "type": "object", "properties": {"x": STRING, "y": {**INTEGER, "default": 0}}, "required": ["x"]}
STRICT_POINT = {
    "title": "P",
    "type": "object",
    "properties": {"x": STRING, "y": {**INTEGER, "description": "(default: 0)"}},
    "required": ["x", "y"],
    "additionalProperties": False,
}


def parameters(field, definitions=None, *, strict):
    schema = {"type": "object", "properties": {"f": field}, "$defs": definitions or {}}
    [tool] = write_tools([ToolDefinition("T", None, schema)], "openai.chat", strict=strict)
    return tool["function"]["parameters"]


def test_a_strict_tool_says_so_in_each_wire_format():
    tool = ToolDefinition("Point", "A point.", POINT)
    assert write_tools([tool], "openai.chat.stream", strict=True) == [
        {
            "type": "function",
            "function": {"name": "Point", "description": "A point.", "parameters": STRICT_POINT, "strict": True},
        }
    ]
    assert write_tools([tool], "openai.responses", strict=True) == [
        {
            "type": "function",
            "name": "Point",
            "description": "A point.",
            "parameters": STRICT_POINT,
            "strict": True,
        }
    ]
    assert write_tools(
        [ToolDefinition("Ping", None, {"type": "object", "properties": {}})], "openai.responses", strict=True
    ) == [
        {
            "type": "function",
            "name": "Ping",
            "parameters": {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
            "strict": True,
        }
    ]


@pytest.mark.parametrize(
    ("field", "written"),
    [
        (STRING, STRING),
        (
            {"type": "string", "title": "F", "description": "d", "default": "x"},
            {"type": "string", "title": "F", "description": 'd (default: "x")'},
        ),
        ({**INTEGER, "default": None}, INTEGER),
        (
            {"anyOf": [STRING, {"type": "null"}], "default": None, "description": "d"},
            {"anyOf": [STRING, {"type": "null"}], "description": "d"},
        ),
        ({"type": ["string", "null"]}, {"type": ["string", "null"]}),
        ({"$ref": "#/$defs/P"}, {"$ref": "#/$defs/P"}),
        (
            {"$ref": "#/$defs/P", "description": "mine", "default": {"x": "a"}},
            {"anyOf": [{"$ref": "#/$defs/P"}], "description": 'mine (default: {"x":"a"})'},
        ),
        ({"allOf": [{"$ref": "#/$defs/P"}]}, {"$ref": "#/$defs/P"}),
        (
            {"oneOf": [{"$ref": "#/$defs/P"}, STRING], "discriminator": {"propertyName": "kind"}},
            {"anyOf": [{"$ref": "#/$defs/P"}, STRING]},
        ),
        ({"const": "a"}, {"type": "string", "const": "a"}),
        ({"const": None, "type": "null"}, {"type": "null", "const": None}),
        (
            {"enum": ["a", 1, True, 1.5, None]},
            {"type": ["string", "integer", "boolean", "number", "null"], "enum": ["a", 1, True, 1.5, None]},
        ),
        ({"enum": [1, 1.5], "type": "number"}, {"type": "number", "enum": [1, 1.5]}),
        (
            {"type": "array", "items": {"$ref": "#/$defs/P"}, "minItems": 1, "maxItems": 3, "uniqueItems": True},
            {
                "type": "array",
                "items": {"$ref": "#/$defs/P"},
                "minItems": 1,
                "maxItems": 3,
                "description": "(uniqueItems: true)",
            },
        ),
        (
            {"type": "array", "prefixItems": [INTEGER, INTEGER], "minItems": 2, "maxItems": 2},
            {"type": "array", "items": INTEGER, "minItems": 2, "maxItems": 2},
        ),
        (
            {
                "type": "number",
                "minimum": 1,
                "maximum": 9,
                "exclusiveMinimum": 0,
                "exclusiveMaximum": 10,
                "multipleOf": 2,
            },
            {
                "type": "number",
                "minimum": 1,
                "maximum": 9,
                "exclusiveMinimum": 0,
                "exclusiveMaximum": 10,
                "multipleOf": 2,
            },
        ),
        (
            {
                "type": "string",
                "minLength": 1,
                "maxLength": 3,
                "pattern": "^a+$",
                "examples": ["a"],
                "deprecated": True,
            },
            {
                "type": "string",
                "pattern": "^a+$",
                "description": '(minLength: 1, maxLength: 3, examples: ["a"], deprecated)',
            },
        ),
        ({"type": "string", "pattern": "(?<=a)b"}, {"type": "string", "description": "(pattern: (?<=a)b)"}),
        ({"type": "string", "format": "uuid"}, {"type": "string", "format": "uuid"}),
        ({"type": "string", "format": "uri"}, {"type": "string", "description": "(format: uri)"}),
        ({"type": "string", "writeOnly": True, "x-order": 1, "$comment": "c", "deprecated": False}, STRING),
        (
            {"type": "object", "properties": {"required": STRING, "default": STRING}, "additionalProperties": True},
            {
                "type": "object",
                "properties": {"required": STRING, "default": STRING},
                "required": ["required", "default"],
                "additionalProperties": False,
            },
        ),
    ],
)
def test_a_strict_schema_is_converted(field, written):
    before = copy.deepcopy(field)
    schema = parameters(field, {"P": POINT, "Unused": {"type": "object"}}, strict=True)
    assert schema["properties"]["f"] == written
    assert schema["required"] == ["f"]
    assert schema["additionalProperties"] is False
    assert schema.get("$defs", {}) in ({}, {"P": STRICT_POINT})
    assert field == before, "the schema of the caller has changed"


def test_a_recursive_reference_may_have_a_description():
    node = {
        "type": "object",
        "properties": {"left": {"$ref": "#/$defs/Node", "description": "The first."}},
        "required": [],
    }
    written = {
        "type": "object",
        "properties": {"left": {"anyOf": [{"$ref": "#/$defs/Node"}], "description": "The first."}},
        "required": ["left"],
        "additionalProperties": False,
    }
    assert parameters({"$ref": "#/$defs/Node"}, {"Node": node}, strict=True)["$defs"] == {"Node": written}


@pytest.mark.parametrize(
    ("field", "what"),
    [
        *(
            ({"type": "object", **free}, "a dictionary with arbitrary keys (at $.f)")
            for free in [
                {},
                {"additionalProperties": True},
                {"additionalProperties": {"type": "string"}},
                {"additionalProperties": {"type": "string"}, "propertyNames": {"enum": ["a"]}},
                {"additionalProperties": {"type": "string"}, "properties": {"x": STRING}},
                {"patternProperties": {"^a": STRING}},
            ]
        ),
        ({"type": "array", "prefixItems": [STRING, INTEGER], "maxItems": 2}, "a tuple of several types (at $.f)"),
        ({"type": "array", "maxItems": 0}, "a list of values of any type (at $.f)"),
        ({"type": "array", "items": {}}, "a value of any type (at $.f[])"),
        ({"type": "array", "items": True}, "a value of any type (at $.f[])"),
        ({}, "a value of any type (at $.f)"),
        ({"description": "anything"}, "a value of any type (at $.f)"),
        ({"anyOf": [STRING, {}]}, "a value of any type (at $.f)"),
        ({"enum": ["a", [1]]}, "an enumeration of lists or objects (at $.f)"),
        ({"allOf": [STRING, {"minLength": 1}]}, "the keyword 'allOf' (at $.f)"),
        ({"type": "string", "not": {"const": "x"}}, "the keyword 'not' (at $.f)"),
        ({"anyOf": [STRING], "oneOf": [STRING]}, "the keyword 'oneOf' (at $.f)"),
        ({"$ref": "#/$defs/Gone"}, "the reference '#/$defs/Gone' (at $.f)"),
        ({"type": "array", "items": {"$ref": "#/$defs/Free"}}, "a dictionary with arbitrary keys (at $.f[].any)"),
        (
            {"enum": [f"{number:0>100}" for number in range(251)]},
            "an enum with more than 250 values that have more than 15,000 characters in total (at $.f)",
        ),
    ],
)
def test_an_inexpressible_strict_schema_is_an_error(field, what):
    free = {"type": "object", "properties": {"any": {"type": "object", "additionalProperties": INTEGER}}}
    with pytest.raises(TypeError) as raised:
        parameters(field, {"Free": free}, strict=True)
    assert str(raised.value) == (
        f"T: OpenAI's strict schemas cannot express {what}; change the type of the field, or remove strict=True"
    )


def object_with_fields(number, value=STRING):
    return {"type": "object", "properties": {f"field_{index}": value for index in range(number)}}


@pytest.mark.parametrize(
    ("field", "fits", "complaint"),
    [
        (object_with_fields, 4_999, "5,000 properties, and this schema has 5,001"),
        (
            lambda size: {"enum": list(range(size))},
            1_000,
            "1,000 enumeration values, and this schema has 1,001",
        ),
        (
            lambda size: {"const": "x" * size},
            119_999,
            "120,000 characters in names and values, and this schema has 120,001",
        ),
    ],
)
def test_strict_schemas_have_size_limits(field, fits, complaint):
    parameters(field(fits), strict=True)
    with pytest.raises(TypeError) as raised:
        parameters(field(fits + 1), strict=True)
    assert str(raised.value) == (
        f"T: OpenAI's strict schemas are limited to {complaint}; make the model smaller, or remove strict=True"
    )


def test_the_name_of_a_definition_counts_once():
    names = {letter * 10_000: object_with_fields(1) for letter in string.ascii_letters[:12]}
    few = {"anyOf": [{"$ref": f"#/$defs/{name}"} for name in [*names][:11] * 2]}
    parameters(few, names, strict=True)
    with pytest.raises(TypeError, match="limited to 120,000 characters in names and values"):
        parameters({"anyOf": [*few["anyOf"], {"$ref": f"#/$defs/{[*names][11]}"}]}, names, strict=True)


@pytest.mark.parametrize(
    ("field", "items"),
    [
        ({"type": "array", "prefixItems": [STRING, INTEGER, STRING]}, {"anyOf": [STRING, INTEGER]}),
        ({"type": "array", "prefixItems": [{**INTEGER, "title": "X"}, {**INTEGER, "title": "Y"}]}, INTEGER),
        ({"type": "array", "maxItems": 0}, {}),
    ],
)
def test_without_strict_an_array_gets_items(field, items):
    wanted = {**field, "items": items}
    assert parameters(field, strict=False)["properties"]["f"] == wanted
    nested = {"anyOf": [{"type": "array", "items": field}, {"type": "object", "additionalProperties": field}]}
    assert parameters(nested, strict=False)["properties"]["f"] == {
        "anyOf": [{"type": "array", "items": wanted}, {"type": "object", "additionalProperties": wanted}]
    }
    assert parameters({"$ref": "#/$defs/A"}, {"A": field}, strict=False)["$defs"]["A"] == wanted


def test_without_strict_other_schemas_are_unchanged():
    field = {
        "oneOf": [{"$ref": "#/$defs/P"}, {"enum": [{"type": "array"}]}, {"type": "array", "items": {}}],
        "default": {"type": "array"},
        "additionalProperties": False,
    }
    assert parameters(field, {"P": POINT}, strict=False) == {
        "type": "object",
        "properties": {"f": field},
        "$defs": {"P": POINT},
    }
