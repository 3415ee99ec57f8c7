"""Locate a validation error: its class, its field, and its JSON path in the arguments."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import AliasChoices, AliasPath, BaseModel
from pydantic.fields import FieldInfo

Location = Sequence[int | str]


@dataclass(frozen=True, slots=True)
class ErrorLocation:
    """The location of a validation error.

    Args:
        owner: The name of the class that declares the field. The class can be nested in the model.
        field: The name of the field. Empty if the error concerns the whole class.
        path: The JSON path in the arguments, such as ``$.stops[1].city``.
    """

    owner: str
    field: str
    path: str

    def __str__(self) -> str:
        return f"{self.owner}.{self.field}" if self.field else self.owner


def locate_error(model: type[BaseModel], location: Location, arguments: str | None) -> ErrorLocation:
    """Resolve the ``loc`` of a Pydantic error that ``model`` raised for ``arguments``."""
    owner, field = _find_field(model, location)
    return ErrorLocation(owner.__name__, field, _build_path(location, _parse(arguments)))


def _find_field(model: type[BaseModel], location: Location) -> tuple[type[BaseModel], str]:
    """Return the innermost class and field that can be found for the ``location`` of a Pydantic error."""
    owner, name, within = model, "", [model]
    for step in location:
        fields = [(one, *found) for one in within if (found := _find_step(one, step))]
        if len(fields) == 1:
            owner, name, field = fields[0]
            within = list(dict.fromkeys(_models_in(field.annotation)))
        else:
            # the step is an item, a key, or the name of the union member that Pydantic tried
            within = [one for one in within if one.__name__ == step] or within
    return owner, name


def _find_step(model: type[BaseModel], step: int | str) -> tuple[str, FieldInfo] | None:
    """Return the name and the field for one ``step`` of a location, or None if ``step`` is not a field.

    If a field has an alias, the step is the alias.
    """
    for name, field in model.model_fields.items():
        if step == name or step in _aliases(field):
            return name, field
    return None


def _aliases(field: FieldInfo) -> Iterator[int | str]:
    aliases = field.validation_alias
    for alias in aliases.choices if isinstance(aliases, AliasChoices) else [aliases]:
        if isinstance(alias, AliasPath):
            yield alias.path[0]
        elif alias is not None:
            yield alias


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _parse(arguments: str | None) -> Any:
    try:
        return json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        return None


def _build_path(location: Location, value: Any) -> str:
    """Return the JSON path of ``location`` in ``value``. Steps that do not exist in ``value`` are left out."""
    path = "$"
    for position, step in enumerate(location):
        try:
            value = value[step]
        except (TypeError, LookupError):
            # only the last step can be a missing key; any other missing step is the name of something that Pydantic
            # tried
            if position + 1 < len(location) or not isinstance(value, dict):
                continue
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if step.isidentifier() else f"[{step!r}]"
    return path
