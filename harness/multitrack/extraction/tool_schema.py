"""Turn a Pydantic model into a tool that is offered to a language model."""

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
# https://ai.google.dev/api/caching#FunctionDeclaration: must not start with a digit or a dash
_TOOL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_-]{0,63}")


class _ArgumentsSchema(GenerateJsonSchema):
    """A generator of the JSON schema of a tool's arguments."""

    # no warning for a default that JSON cannot represent, because the user who wrote it cannot act on it
    ignored_warning_kinds = GenerateJsonSchema.ignored_warning_kinds | {"non-serializable-default"}

    def field_title_should_be_set(self, schema: Any) -> bool:
        # a generated title only repeats the field's name; a title that the user wrote is kept
        del schema
        return False

    def encode_default(self, dft: Any) -> Any:
        encoded = super().encode_default(dft)
        if isinstance(encoded, float) and not math.isfinite(encoded):
            # an SDK refuses to send a body with a number that JSON cannot represent
            raise PydanticSerializationError("cannot be represented as a JSON number")
        return encoded

    def model_schema(self, schema: Any) -> JsonSchemaValue:
        model: type[BaseModel] = schema["cls"]
        by_name = model.model_config.get("populate_by_name") or model.model_config.get("validate_by_name")
        for name, field in model.model_fields.items():
            if not by_name and _has_only_nested_paths(field.validation_alias):
                raise PydanticUserError(
                    f"the field {name} of {model.__name__} can only be read from {field.validation_alias}, "
                    f"which cannot be the name of an argument; add an alias that is a plain string",
                    code=None,
                )
        # before 2.14, Pydantic's generator uses the alias even if validate_by_alias=False makes the validator reject it
        outer, self.by_alias = self.by_alias, model.model_config.get("validate_by_alias") is not False
        try:
            return super().model_schema(schema)
        finally:
            self.by_alias = outer


def assign_tool_names(models: tuple[type[BaseModel], ...]) -> dict[str, type[BaseModel]]:
    """Return a dictionary from tool name to model. Equal names are numbered in order: ``Weather``, ``Weather_2``."""
    named: dict[str, type[BaseModel]] = {}
    for model in models:
        named[next(name for name in _candidate_names(model) if name not in named)] = model
    return named


def build_tool(name: str, model: type[BaseModel]) -> ToolDefinition:
    """Return ``model`` as a tool: its docstring becomes the description, and its fields become the parameters.

    Raises:
        TypeError: If the model has no JSON schema, or if its schema does not describe an object.
    """
    try:
        schema = model.model_json_schema(schema_generator=_ArgumentsSchema)
    except (PydanticUserError, PydanticUndefinedAnnotation) as error:
        raise TypeError(f"{model.__name__} cannot be a tool: {error.message}") from error
    definitions = schema.get("$defs", {})
    for key, definition in definitions.items():
        _drop_generated_title(definition, key)
    if reference := schema.pop("$ref", None):
        # Pydantic writes a recursive model as a bare reference to itself, but providers require an object
        schema = {**definitions[reference.removeprefix("#/$defs/")], **schema}
    if schema.get("type") != "object":
        raise TypeError(f"{model.__name__} cannot be a tool: its JSON schema does not describe an object")
    _drop_generated_title(schema, model.__name__)
    if "title" in schema and schema["title"] == _title_as_tool_name(model):
        del schema["title"]
    return ToolDefinition(name, schema.pop("description", None) or _generic_origin_docstring(model), schema)


def _candidate_names(model: type[BaseModel]) -> Iterator[str]:
    name = _title_as_tool_name(model) or _sanitize_name(model.__name__)
    yield name[:64]
    number = 2
    while True:
        yield f"{name[:60]}_{number}"
        number += 1


def _title_as_tool_name(model: type[BaseModel]) -> str | None:
    """Return the title of ``model`` if it is a valid tool name.

    An inherited title does not count, because it would give several models the same tool name.
    """
    title = model.model_config.get("title")
    inherited = any(getattr(base, "model_config", {}).get("title") == title for base in model.__mro__[1:])
    return title if title and not inherited and _TOOL_NAME.fullmatch(title) else None


def _sanitize_name(name: str) -> str:
    name = re.sub(r"[^a-zA-Z0-9_-]+", "_", name).rstrip("_") or "_"
    return name if _TOOL_NAME.match(name) else f"_{name}"


def _generic_origin_docstring(model: type[BaseModel]) -> str | None:
    """Return the docstring of the generic class behind ``model``: the docstring of ``Box`` for ``Box[int]``."""
    origin = model.__pydantic_generic_metadata__["origin"]
    return inspect.cleandoc(origin.__doc__) if origin is not None and origin.__doc__ else None


def _has_only_nested_paths(alias: str | AliasPath | AliasChoices | None) -> bool:
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    return all(isinstance(choice, AliasPath) and len(choice.path) > 1 for choice in choices)


def _drop_generated_title(schema: dict[str, Any], name: str) -> None:
    title = schema.get("title")
    if isinstance(title, str) and _normalize(name).endswith(_normalize(title)):
        del schema["title"]


def _normalize(name: str) -> str:
    return re.sub(r"\W+", "_", name).strip("_")
