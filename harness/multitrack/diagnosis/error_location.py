"""Where in a model and in its arguments an error lies: the class, the field, and the JSON path."""

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
    """``owner`` is the class of the field, the nested one where the field is nested; ``field`` is empty for an error
    of the class as a whole; ``path`` leads there in the arguments: ``$.stops[1].city``."""

    owner: str
    field: str
    path: str

    def __str__(self) -> str:
        return f"{self.owner}.{self.field}" if self.field else self.owner


def locate_error(model: type[BaseModel], location: Location, arguments: str | None) -> ErrorLocation:
    """The place that an error of Pydantic's, raised by ``model`` for ``arguments``, names by its ``location``."""
    owner, field = _field_at(model, location)
    return ErrorLocation(owner.__name__, field, _path(location, _document(arguments)))


def _field_at(model: type[BaseModel], location: Location) -> tuple[type[BaseModel], str]:
    """The innermost class and field of it that can be told."""
    owner, name, within = model, "", [model]
    for step in location:
        fields = [(one, *found) for one in within if (found := _field_called(one, step))]
        if len(fields) == 1:
            owner, name, field = fields[0]
            within = list(dict.fromkeys(_models_in(field.annotation)))
        else:
            # an item or a key; or the name by which Pydantic tells the member of a union that it tried
            within = [one for one in within if one.__name__ == step] or within
    return owner, name


def _field_called(model: type[BaseModel], step: int | str) -> tuple[str, FieldInfo] | None:
    """The field that ``step`` of a location stands for: locations have aliases where there are any."""
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


def _document(arguments: str | None) -> Any:
    try:
        return json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        return None


def _path(location: Location, value: Any) -> str:
    """The way that ``location`` takes through ``value``; without what stands for no step there."""
    path = "$"
    for position, step in enumerate(location):
        try:
            value = value[step]
        except (TypeError, LookupError):
            # the last step may be what is missing; another one tells what was tried
            if position + 1 < len(location) or not isinstance(value, dict):
                continue
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if step.isidentifier() else f"[{step!r}]"
    return path
