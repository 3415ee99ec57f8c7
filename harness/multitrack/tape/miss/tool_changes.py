"""Explain differences between tool declarations by naming the Pydantic models and the fields that changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, get_args

from multitrack import wires
from multitrack.tape.exchange import Request
from multitrack.tape.matching.difference import ABSENT, Difference
from multitrack.tape.miss import bodies
from multitrack.tape.miss.values import format_value
from multitrack.wires import registry

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo


def explain_schema_change(
    difference: Difference, request: Request, recorded: Request, offered: Mapping[str, type[BaseModel]]
) -> str | None:
    """Describe a difference in a tool's declaration by its model and field. None if the difference is elsewhere."""
    before, after = difference.recorded, difference.sent
    having, other = (recorded, request) if after is ABSENT else (request, recorded)
    tool, steps = _find_tool(having, difference.path)
    if tool is None:
        return None

    def locate(*steps: str | int) -> str:
        return f"`{_locate_field(tool, offered.get(tool), steps)}`"

    match steps:
        case []:
            if ABSENT in (before, after) and tool in wires.read_request(other.body, other.url).tools:
                return f"`{tool}` is offered at a different position"
            return f"`{tool}` is {_choose(difference, 'no longer offered', 'newly offered', 'a different tool')}"
        case ["name"]:
            return f"`{before}` is now named `{after}`"
        case [*_, "properties", str()]:
            return f"{locate(*steps)} {_choose(difference, 'was removed', 'is new', 'is a different field')}"
        case [*above, "required"] | [*above, "required", int()]:
            changes = [
                f"{locate(*above, 'properties', name)} is now required" for name in _names_missing_from(after, before)
            ]
            changes += [
                f"{locate(*above, 'properties', name)} is no longer required"
                for name in _names_missing_from(before, after)
            ]
            return ", ".join(changes)
        case [*_, "enum", int()]:
            values = " to ".join(format_value(value) for value in (before, after) if value is not ABSENT)
            return f"{locate(*steps)} {_choose(difference, 'lost', 'gained', 'changed')} the allowed value {values}"
        case [*_, "propertyOrdering", int()]:
            return None  # it follows from the changes to the fields, which are reported
    keyword = next((step for step in reversed(steps) if isinstance(step, str)), "schema")
    return f"{locate(*steps)} {_choose(difference, 'lost', 'gained', 'changed')} its {_KEYWORDS.get(keyword, keyword)}"


def _names_missing_from(value: Any, other: Any) -> Sequence[str]:
    """Return the names in ``value`` that are not in ``other``. ``value`` is one name or a list of names."""
    names, others = ([] if one is ABSENT else one if isinstance(one, list) else [one] for one in (value, other))
    return [str(name) for name in names if name not in others]


_KEYWORDS = {
    "enum": "allowed values",
    "const": "only value",
    "anyOf": "alternative types",
    "$ref": "type",
    "nullable": "permission to be null",
}


def _choose(difference: Difference, lost: str, gained: str, changed: str) -> str:
    if difference.sent is ABSENT:
        return lost
    return gained if difference.recorded is ABSENT else changed


def _find_tool(request: Request, path: Sequence[str | int]) -> tuple[str | None, Sequence[str | int]]:
    """Return the name of the tool whose declaration contains ``path``, and the rest of the path, within the
    declaration.
    """
    value: Any = bodies.parse_body(request)
    # a call that streams its requests has a list of them
    document = value[0] if isinstance(value, list) and value else value
    wire_format = registry.recognize_request(document, request.url) if isinstance(document, Mapping) else None
    if wire_format is None:
        return None, path
    container, wrapper, tool, rest = wire_format.tools_key, wire_format.declaration_key, None, path
    for depth, step in enumerate(path):
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            break
        declared = value.get(wrapper, value) if isinstance(value, dict) else None
        if isinstance(declared, dict) and isinstance(declared.get("name"), str) and container in path[: depth + 1]:
            tool, rest = declared["name"], path[depth + 1 :]
            break
    return tool, [step for step in rest if step != wrapper]


def _locate_field(tool: str, model: type[BaseModel] | None, steps: Sequence[str | int]) -> str:
    """Return the class and the field that ``steps`` lead to in the declaration of ``tool``, such as ``Street.number``.

    Nested classes are found through ``model``. Without it, the result is the name of the tool and a path of fields.
    """
    name = model.__name__ if model else tool
    within: type[BaseModel] | None = model
    fields: list[str] = []
    for before, step in pairwise(steps):
        if before == "$defs":
            # the definition of a class that fields refer to
            name, fields = str(step), []
            within = next((other for other in _all_models(model) if other.__name__ == name), None)
        elif before == "properties":
            if fields and (inner := _find_field_model(within, fields[-1], str(step))) is not None:
                name, within, fields = inner.__name__, inner, []
            fields.append(str(step))
    return ".".join([name, *fields])


def _find_field_model(model: type[BaseModel] | None, field: str, inner: str) -> type[BaseModel] | None:
    """Return the model of ``field``. If the field allows several models, return the one that has an ``inner`` field."""
    if model is None:
        return None
    models = [
        found for name, info in model.model_fields.items() if field in (name, info.alias) for found in _models_of(info)
    ]
    return next((one for one in models if inner in one.model_fields), models[0] if models else None)


def _models_of(info: FieldInfo) -> Iterator[type[BaseModel]]:
    from pydantic import BaseModel

    annotations: list[Any] = [info.annotation]
    while annotations:
        annotation = annotations.pop()
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield annotation
        else:
            annotations += get_args(annotation)


def _all_models(model: type[BaseModel] | None) -> Iterator[type[BaseModel]]:
    """Yield ``model`` and all models nested in it, at any depth."""
    waiting = [model] if model else []
    seen: set[type[BaseModel]] = set()
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            yield one
            waiting += [inner for info in one.model_fields.values() for inner in _models_of(info)]
