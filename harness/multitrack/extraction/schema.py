"""From a Pydantic model to the tool that a language model is offered."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Iterator
from typing import Any

from pydantic import AliasChoices, AliasPath, BaseModel
from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import PydanticSerializationError

from multitrack.wires import ToolDefinition

# https://platform.openai.com/docs/api-reference/chat/create: letters, digits, underscore, dash, at most 64;
# https://ai.google.dev/api/caching#FunctionDeclaration: no digit or dash first
_TOOL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]{0,63}")


class _ArgumentsSchema(GenerateJsonSchema):
    """The schema of what a tool is called with."""

    # a default that JSON cannot say is no news to the caller, who wrote it
    ignored_warning_kinds = GenerateJsonSchema.ignored_warning_kinds | {"non-serializable-default"}

    def field_title_should_be_set(self, schema: Any) -> bool:
        # it would only repeat the field's name; a title that somebody wrote stays
        del schema
        return False

    def encode_default(self, dft: Any) -> Any:
        encoded = super().encode_default(dft)
        if isinstance(encoded, float) and not math.isfinite(encoded):
            # an SDK refuses to send a body with a number that JSON does not have
            raise PydanticSerializationError("no number of JSON")
        return encoded

    def model_schema(self, schema: Any) -> JsonSchemaValue:
        model: type[BaseModel] = schema["cls"]
        by_name = model.model_config.get("populate_by_name") or model.model_config.get("validate_by_name")
        for name, field in model.model_fields.items():
            if not by_name and _lies_deep(field.validation_alias):
                raise PydanticUserError(
                    f"the field {name} of {model.__name__} is read from {field.validation_alias} only, "
                    f"which is no name of an argument; give it an alias that is",
                    code=None,
                )
        # before 2.14 the generator names the alias that the validator then refuses
        around, self.by_alias = self.by_alias, model.model_config.get("validate_by_alias") is not False
        try:
            return super().model_schema(schema)
        finally:
            self.by_alias = around


def tool_names(models: tuple[type[BaseModel], ...]) -> dict[str, type[BaseModel]]:
    """The models by the names of their tools. Models of one name get distinct tool names, in their order."""
    named: dict[str, type[BaseModel]] = {}
    for model in models:
        named[next(name for name in _names(model) if name not in named)] = model
    return named


def tool_of(name: str, model: type[BaseModel]) -> ToolDefinition:
    """``model`` as a tool: its docstring says what the tool is for, its fields are the arguments.

    Raises TypeError for a model that has no JSON schema, or one that is no object.
    """
    try:
        schema = model.model_json_schema(schema_generator=_ArgumentsSchema)
    except (PydanticUserError, PydanticUndefinedAnnotation) as error:
        raise TypeError(f"{model.__name__} cannot be a tool: {error.message}") from error
    definitions = schema.get("$defs", {})
    for key, definition in definitions.items():
        _drop_title(definition, key)
    if reference := schema.pop("$ref", None):
        # a recursive model is a bare reference to itself, where providers demand an object
        schema = {**definitions[reference.removeprefix("#/$defs/")], **schema}
    if schema.get("type") != "object":
        raise TypeError(f"{model.__name__} cannot be a tool: its JSON schema is of no object")
    _drop_title(schema, model.__name__)
    if "title" in schema and schema["title"] == _own_title(model):
        del schema["title"]
    return ToolDefinition(name, schema.pop("description", None) or _docstring_of_origin(model), schema)


def _names(model: type[BaseModel]) -> Iterator[str]:
    name = _own_title(model) or _named_alike(model.__name__)
    yield name[:64]
    number = 2
    while True:
        yield f"{name[:60]}_{number}"
        number += 1


def _own_title(model: type[BaseModel]) -> str | None:
    """The title of ``model`` if it is a name for a tool and the model's own, since names tell tools apart."""
    title = model.model_config.get("title")
    inherited = any(getattr(base, "model_config", {}).get("title") == title for base in model.__mro__[1:])
    return title if title and not inherited and _TOOL_NAME.fullmatch(title) else None


def _named_alike(name: str) -> str:
    name = re.sub(r"[^a-zA-Z0-9_-]+", "_", name).rstrip("_") or "_"
    return name if _TOOL_NAME.match(name) else f"_{name}"


def _docstring_of_origin(model: type[BaseModel]) -> str | None:
    """What is written at the generic class that ``model`` is made of: the docstring of ``Box`` for ``Box[int]``."""
    origin = model.__pydantic_generic_metadata__["origin"]
    return inspect.cleandoc(origin.__doc__) if origin is not None and origin.__doc__ else None


def _lies_deep(alias: str | AliasPath | AliasChoices | None) -> bool:
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    return all(isinstance(choice, AliasPath) and len(choice.path) > 1 for choice in choices)


def _drop_title(schema: dict[str, Any], name: str) -> None:
    title = schema.get("title")
    if isinstance(title, str) and _plain(name).endswith(_plain(title)):
        del schema["title"]


def _plain(name: str) -> str:
    return re.sub(r"\W+", "_", name).strip("_")
