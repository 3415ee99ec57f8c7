"""Values for JSON Schemas: valid according to Pydantic and reproducible, or an error that says why there is none."""

import datetime
import re
import subprocess
import sys
import uuid
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, HttpUrl, TypeAdapter

from multitrack import schema_values
from multitrack.schema_values import UnsatisfiableError, generate_value
from multitrack.schema_values.pattern_text import generate_text


class Colour(Enum):
    RED = "red"


class Node(BaseModel):
    value: int
    next: "Node | None"


class Circle(BaseModel):
    kind: Literal["circle"]
    radius: Annotated[float, Field(gt=0, lt=1)]


class Square(BaseModel):
    kind: Literal["square"]
    side: int


class Drawing(BaseModel):
    shape: Annotated[Circle | Square, Field(discriminator="kind")]
    nodes: list[Node] = Field(min_length=2)
    note: str = "kept"


@pytest.mark.parametrize(
    "kind",
    [
        str,
        int,
        float,
        bool,
        None,
        Any,
        datetime.date,
        datetime.datetime,
        datetime.time,
        datetime.timedelta,
        uuid.UUID,
        HttpUrl,
        bytes,
        Colour,
        Literal["imperial", "metric"],
        int | None,
        list[int],
        Annotated[list[int], Field(min_length=3)],
        Annotated[set[Literal["a", "b", "c"]], Field(min_length=3)],
        tuple[int, str, Colour],
        dict[str, int],
        Annotated[dict[str, int], Field(min_length=2)],
        Annotated[int, Field(ge=3, multiple_of=5)],
        Annotated[int, Field(lt=-7)],
        Annotated[float, Field(gt=0, lt=1)],
        Annotated[float, Field(ge=0.1, le=0.2)],
        Annotated[str, Field(min_length=10, max_length=12)],
        Annotated[str, Field(max_length=2)],
        Annotated[str, Field(pattern=r"^[A-Z]{3}-\d{4}$")],
        Annotated[str, Field(pattern=r"^\w+@\w+$", min_length=9)],
        Node,
        Drawing,
    ],
    ids=str,
)
def test_values_are_valid(kind):
    adapter = TypeAdapter(kind)
    schema = adapter.json_schema()

    value = generate_value(schema)

    adapter.validate_python(value)
    assert generate_value(schema) == value


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"const": 7, "enum": [1]}, 7),
        ({"enum": ["b", "a"]}, "b"),
        ({"type": "integer", "default": 30}, 30),
        ({"type": ["null", "string"]}, "text"),
        ({"anyOf": [{"type": "null"}, {"type": "boolean"}]}, True),
        ({"type": "string", "format": "email"}, "someone@example.com"),
        (
            {
                "allOf": [{"properties": {"a": {"type": "string"}}, "required": ["a"]}, {"$ref": "#/$defs/b~1c"}],
                "$defs": {"b/c": {"properties": {"b": {"minimum": 4}}, "required": ["b"]}},
            },
            {"a": "text", "b": 4},
        ),
        ({"type": "object", "properties": {"a": {}, "b": {"type": "null"}}, "required": ["b"]}, {"b": None}),
        ({"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 1}, {"key_0": 1}),
    ],
)
def test_keywords_decide_the_value_in_a_fixed_order(schema, value):
    assert generate_value(schema) == value


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (False, "#: the schema allows no value"),
        ({"type": "integer", "minimum": 5, "maximum": 4}, "#: found no number within the limits"),
        ({"not": {}}, "#: not is not supported"),
        ({"$ref": "https://example.com/schema"}, "#: $ref points outside the schema: https://example.com/schema"),
        ({"$ref": "#/$defs/None"}, "#: the target of $ref does not exist: #/$defs/None"),
        ({"type": "text"}, "#: unknown type 'text'"),
        (
            {"type": "array", "items": {"type": "boolean"}, "minItems": 3, "uniqueItems": True},
            "#: found too few different items",
        ),
        (
            {"properties": {"a": {"type": "string", "maxLength": 1, "format": "date"}}, "required": ["a"]},
            "#/a: '2025-06-15' is not 0 to 1 characters long",
        ),
    ],
)
def test_the_error_for_an_unsatisfiable_schema_says_where(schema, message):
    with pytest.raises(UnsatisfiableError) as failure:
        generate_value(schema)

    assert str(failure.value) == message


def test_a_schema_that_requires_itself_is_an_error():
    schema = {"$defs": {"A": {"properties": {"a": {"$ref": "#/$defs/A"}}, "required": ["a"]}}, "$ref": "#/$defs/A"}

    with pytest.raises(UnsatisfiableError, match="the schema requires a value that contains itself"):
        generate_value(schema)


@pytest.mark.parametrize(
    "pattern",
    [
        r"",
        r"abc",
        r"^a{2,3}b*c+?$",
        r"^(foo|bar)-\1$",
        r"[^a-z0-9]",
        r"[\d_]{5}",
        r"^\D\W\S\s\w\d.$",
        r"[^x]",
        r"(?:ab){2}|c",
        r"^(?P<year>\d{4})-(?P=year)$",
    ],
)
def test_a_generated_text_matches_its_pattern(pattern):
    assert re.search(pattern, generate_text(pattern))


@pytest.mark.parametrize("pattern", [r"(?<=a)b", r"^(?!a)", r"["])
def test_an_unsupported_pattern_is_an_error(pattern):
    with pytest.raises(ValueError, match=r"is not supported|unterminated character set"):
        generate_text(pattern)


@pytest.mark.slow
def test_only_a_pattern_imports_the_private_parser_of_re_and_nothing_the_stand_in():
    code = (
        "import sys; from multitrack.schema_values import generate_value\n"
        "names = ('multitrack.schema_values.pattern_text', 'multitrack.standin')\n"
        "generate_value({'type': 'string'}); print(*(name in sys.modules for name in names))\n"
        "generate_value({'type': 'string', 'pattern': 'a'}); print(*(name in sys.modules for name in names))\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout.split() == ["False", "False", "True", "False"]


def test_one_module_of_the_project_uses_the_private_parser_of_re():
    package = Path(schema_values.__file__).parents[1]
    files = [
        path for path in package.rglob("*.py") if re.search(r"\bre\._|sre_parse|from re import _", path.read_text())
    ]

    assert [path.name for path in files] == ["pattern_text.py"]
