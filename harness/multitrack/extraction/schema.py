"""From a Pydantic model to the tool that a language model is offered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from multitrack.wires import Tool


class _Untitled(GenerateJsonSchema):
    """Leaves out the titles that only repeat a field's name; those that somebody wrote stay."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        del schema
        return False


def tool_names(models: tuple[type[BaseModel], ...]) -> dict[str, type[BaseModel]]:
    """The models by the names of their tools. Models with one class name get distinct tool names."""
    named: dict[str, type[BaseModel]] = {}
    for model in models:
        named[next(name for name in _names(model) if name not in named)] = model
    return named


def tool_of(name: str, model: type[BaseModel]) -> Tool:
    """``model`` as a tool: its docstring says what the tool is for, its fields are the arguments."""
    schema = model.model_json_schema(schema_generator=_Untitled)
    definitions = schema.get("$defs", {})
    for key, definition in definitions.items():
        _drop_title(definition, key)
    if reference := schema.pop("$ref", None):
        # a recursive model is a bare reference to itself, where providers demand an object
        schema = {**definitions[reference.removeprefix("#/$defs/")], **schema}
    _drop_title(schema, model.__name__)
    return Tool(name, schema.pop("description", None), schema)


def _names(model: type[BaseModel]) -> Iterator[str]:
    # https://platform.openai.com/docs/api-reference/chat/create: a-z, A-Z, 0-9, underscore, dash, at most 64
    name = re.sub(r"[^a-zA-Z0-9_-]+", "_", model.__name__).rstrip("_") or "_"
    yield name[:64]
    number = 2
    while True:
        yield f"{name[:60]}_{number}"
        number += 1


def _drop_title(schema: dict[str, Any], name: str) -> None:
    title = schema.get("title")
    if isinstance(title, str) and _plain(name).endswith(_plain(title)):
        del schema["title"]


def _plain(name: str) -> str:
    return re.sub(r"\W+", "_", name).strip("_")
