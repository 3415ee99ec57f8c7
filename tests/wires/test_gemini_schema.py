"""Convert JSON Schema to Gemini's subset."""

import copy

import pytest

from multitrack.wires import ToolDefinition, write_tools


def convert(field, **definitions):
    schema = {"type": "object", "properties": {"f": field}, "$defs": definitions}
    [tool] = write_tools([ToolDefinition("T", None, schema)], "gemini.stream")
    return tool["functionDeclarations"][0]["parameters"]["properties"]["f"]


STRING = {"type": "STRING"}


@pytest.mark.parametrize(
    ("field", "written"),
    [
        ({"type": "string", "title": "F", "default": "x", "description": "d"}, {**STRING, "description": "d"}),
        ({"const": "a"}, {**STRING, "format": "enum", "enum": ["a"]}),
        ({"enum": [1, 2], "type": "integer"}, {"type": "INTEGER", "description": "(one of: 1, 2)"}),
        ({"const": 1.5, "description": "d"}, {"type": "NUMBER", "description": "d (one of: 1.5)"}),
        ({"const": True, "type": "boolean"}, {"type": "BOOLEAN", "description": "(one of: true)"}),
        ({"enum": ["", "a"], "type": "string"}, {**STRING, "description": '(one of: "", "a")'}),
        ({"enum": ["a", None]}, {**STRING, "format": "enum", "enum": ["a"], "nullable": True}),
        (
            {"enum": ["a", 1, None], "description": "d"},
            {
                "anyOf": [
                    {**STRING, "format": "enum", "enum": ["a"], "description": "d", "nullable": True},
                    {"type": "INTEGER", "description": "d (one of: 1)", "nullable": True},
                ]
            },
        ),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {**STRING, "nullable": True}),
        (
            {"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "null"}], "description": "d"},
            {
                "anyOf": [
                    {**STRING, "description": "d", "nullable": True},
                    {"type": "NUMBER", "description": "d", "nullable": True},
                ]
            },
        ),
        (
            {"anyOf": [{"anyOf": [{"type": "string"}, {"type": "null"}]}, {"$ref": "#/$defs/P"}], "default": "x"},
            {"anyOf": [{**STRING, "nullable": True}, {"type": "OBJECT", "properties": {"x": STRING}}]},
        ),
        (
            {"anyOf": [{"type": "string", "description": "own"}, {"type": "number"}], "examples": ["a"]},
            {
                "anyOf": [
                    {**STRING, "description": '(examples: ["a"]) own'},
                    {"type": "NUMBER", "description": '(examples: ["a"])'},
                ]
            },
        ),
        (
            {
                "oneOf": [{"$ref": "#/$defs/P"}, {"type": "boolean"}],
                "discriminator": {"propertyName": "kind"},
            },
            {"anyOf": [{"type": "OBJECT", "properties": {"x": STRING}}, {"type": "BOOLEAN"}]},
        ),
        ({"type": ["string", "null"]}, {**STRING, "nullable": True}),
        (
            {"$ref": "#/$defs/P", "description": "mine"},
            {"type": "OBJECT", "properties": {"x": STRING}, "description": "mine"},
        ),
        ({"allOf": [{"$ref": "#/$defs/P"}]}, {"type": "OBJECT", "properties": {"x": STRING}}),
        (
            {"type": "array", "items": {"type": "integer", "minimum": 1}, "maxItems": 3, "uniqueItems": True},
            {
                "type": "ARRAY",
                "items": {"type": "INTEGER", "minimum": 1},
                "maxItems": 3,
                "description": "(uniqueItems: true)",
            },
        ),
        (
            {"type": "number", "exclusiveMinimum": 0, "multipleOf": 0.5, "description": "Days."},
            {"type": "NUMBER", "description": "Days. (exclusiveMinimum: 0, multipleOf: 0.5)"},
        ),
        ({"type": "string", "format": "date-time"}, {**STRING, "format": "date-time"}),
        ({"type": "string", "format": "date"}, {**STRING, "description": "(format: date)"}),
        (
            {
                "type": "array",
                "prefixItems": [{"title": "X", "type": "number"}, {"title": "Y", "type": "number"}],
                "minItems": 2,
                "maxItems": 2,
            },
            {"type": "ARRAY", "items": {"type": "NUMBER"}, "minItems": 2, "maxItems": 2},
        ),
        ({"type": "string", "pattern": "^a+$"}, {**STRING, "pattern": "^a+$"}),
        ({"type": "string", "pattern": "^(?!a)"}, {**STRING, "description": "(pattern: ^(?!a))"}),
        (
            {"type": "string", "contentMediaType": "application/json", "contentSchema": {"type": "null"}},
            {**STRING, "description": '(contentMediaType: application/json, contentSchema: {"type":"null"})'},
        ),
        (
            {"type": "string", "deprecated": True, "x-order": 1, "readOnly": True},
            {**STRING, "description": "(deprecated)"},
        ),
        (
            {"type": "object", "properties": {"x": {"type": "string"}}, "additionalProperties": True},
            {"type": "OBJECT", "properties": {"x": STRING}},
        ),
        (
            {"type": "object", "properties": {"title": {"type": "string"}}, "additionalProperties": False},
            {"type": "OBJECT", "properties": {"title": STRING}},
        ),
    ],
)
def test_a_schema_is_converted(field, written):
    point = {"title": "P", "type": "object", "properties": {"x": {"type": "string", "title": "X"}}}
    before = copy.deepcopy(field)
    assert convert(field, P=point) == written
    assert field == before, "the schema of the caller has changed"


@pytest.mark.parametrize(
    ("field", "what"),
    [
        ({"$ref": "#/$defs/Node"}, "the recursive type Node (at $.f.kids[])"),
        *(
            ({"type": "object", **free}, "a dictionary with arbitrary keys (at $.f)")
            for free in [
                {},
                {"additionalProperties": True},
                {"additionalProperties": {}, "properties": {}},
                {"additionalProperties": {"type": "string"}},
                {"additionalProperties": {"type": "string"}, "properties": {"x": {"type": "string"}}},
                {"additionalProperties": {"type": "string"}, "propertyNames": {"enum": ["a"]}},
                {"patternProperties": {"^a": {"type": "string"}}},
            ]
        ),
        ({"type": "object", "properties": {}}, "an object without fields (at $.f)"),
        ({"type": "object", "additionalProperties": False}, "an object without fields (at $.f)"),
        (
            {"type": "array", "prefixItems": [{"type": "string"}, {"type": "number"}], "maxItems": 2},
            "a tuple of several types (at $.f)",
        ),
        ({"type": "array", "prefixItems": [{"type": "string"}]}, "a tuple of several types (at $.f)"),
        ({"type": "array"}, "a list of values of any type (at $.f)"),
        ({"description": "anything"}, "a value of any type (at $.f)"),
        ({"type": "array", "items": {}}, "a value of any type (at $.f[])"),
        ({"type": "array", "items": True}, "a value of any type (at $.f[])"),
        ({"anyOf": [{"type": "string"}, True]}, "a value of any type (at $.f)"),
        ({"const": None}, "a value that is always null (at $.f)"),
        ({"anyOf": [{"type": "null"}]}, "a value that is always null (at $.f)"),
        ({"enum": [[1]]}, "the enumeration [[1]] (at $.f)"),
        ({"enum": ["a"], "not": {}}, "the keyword 'not' in an enumeration (at $.f)"),
        ({"type": "null"}, "a value that is always null (at $.f)"),
        ({"type": "string", "not": {"const": "x"}}, "the keyword 'not' (at $.f)"),
        ({"allOf": [{}, {}]}, "a value of any type (at $.f)"),
        (
            {"anyOf": [{"type": "string"}, {"type": "number"}], "minimum": 3},
            "the keyword 'minimum' next to 'anyOf' (at $.f)",
        ),
        ({"$ref": "#/$defs/Gone"}, "the reference '#/$defs/Gone' (at $.f)"),
    ],
)
def test_an_inexpressible_schema_is_an_error(field, what):
    node = {
        "type": "object",
        "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/Node"}}},
    }
    with pytest.raises(TypeError) as raised:
        convert(field, Node=node)
    assert str(raised.value) == (f"T: Gemini's schema language cannot express {what}; change the type of the field")


def test_a_tool_with_arbitrary_arguments_is_not_one_without_arguments():
    anything = {"type": "object", "properties": {}, "additionalProperties": True}
    with pytest.raises(TypeError, match=r"^T: .* a dictionary with arbitrary keys \(at \$\)"):
        write_tools([ToolDefinition("T", None, anything)], "gemini")


def test_gemini_refuses_strict():
    with pytest.raises(
        TypeError,
        match=r"^strict=True is not available, because Gemini has no strict schemas; remove ",
    ):
        write_tools([ToolDefinition("T", None, {"type": "object", "properties": {}})], "gemini", strict=True)
