"""Adapt recorded calls to the tools that a request offers."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from multitrack.library.catalogue import ArgumentStyle
from multitrack.schema_values import generate_value
from multitrack.tool_call import ToolCall
from multitrack.wires.tool import OfferedTool

# the first letter of a string that is the value of a field
_FIRST_LETTER = re.compile(r'(?<= : ")[A-Za-z]')


_UNEXPECTED: Mapping[str, Any] = {"object": {"unexpected": True}, "string": "unexpected", "array": ["unexpected"]}
"""A value of each JSON type, for fields that do not allow the type."""


def map_calls(
    calls: Sequence[ToolCall], recorded: Sequence[OfferedTool], offered: Sequence[OfferedTool], style: ArgumentStyle
) -> list[ToolCall]:
    """Return ``calls`` with the names and arguments of the tools in ``offered``.

    If a call is to an unknown tool, the returned call is to an unknown tool, too. Its name is changed if ``offered``
    has a tool with this name.

    Args:
        calls: The recorded calls.
        recorded: The tools that the recorded request offered.
        offered: The tools that the test's request offers.
        style: How the arguments are adapted.

    Raises:
        UnsatisfiableError: No value can be generated for a tool's schema.
        ValueError: Invalid arguments are needed, but the tool accepts all arguments.
    """
    targets = _choose_tools(calls, recorded, offered)
    uses: Counter[str] = Counter()
    mapped = []
    for call in calls:
        tool = targets.get(call.name)
        if tool is None:
            mapped.append(replace(call, name=_avoid(call.name, offered)))
            continue
        mapped.append(replace(call, name=tool.name, arguments=_adapt_arguments(call, tool, style, uses[tool.name])))
        uses[tool.name] += 1
    return mapped


def _choose_tools(
    calls: Sequence[ToolCall], recorded: Sequence[OfferedTool], offered: Sequence[OfferedTool]
) -> dict[str, OfferedTool]:
    """Choose an offered tool for each recorded tool that was called.

    If fewer tools are offered than were called, several recorded tools share an offered tool.
    """
    schemas = {tool.name: tool.schema for tool in recorded}
    chosen: dict[str, OfferedTool] = {}
    for name in dict.fromkeys(call.name for call in calls if call.name in schemas):
        free = [tool for tool in offered if tool not in chosen.values()] or offered
        original = OfferedTool(name, schemas[name])
        # the first of equally similar tools
        chosen[name] = max(free, key=lambda tool: _measure_likeness(original, tool))
    return chosen


def _measure_likeness(one: OfferedTool, other: OfferedTool) -> tuple[bool, int, int, int]:
    mine, theirs = _list_types(one.schema), _list_types(other.schema)
    same_fields = len(mine.items() & theirs.items())
    same_types = (Counter(mine.values()) & Counter(theirs.values())).total()
    return one.name == other.name, same_fields, same_types, -abs(len(mine) - len(theirs))


def _list_types(schema: Mapping[str, Any]) -> dict[str, str]:
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return {}
    return {
        name: str(inner.get("type", "")) if isinstance(inner, Mapping) else "" for name, inner in properties.items()
    }


def _avoid(name: str, offered: Sequence[OfferedTool]) -> str:
    names = {tool.name for tool in offered}
    while name in names:
        name = f"{name}_2"
    return name


def _adapt_arguments(call: ToolCall, tool: OfferedTool, style: ArgumentStyle, number: int) -> str | None:
    if style == "recorded" or call.arguments is None:
        return call.arguments
    value = generate_value(tool.schema, number)
    match style:
        case "invalid":
            return _write(_invalidate(value, tool))
        case "cut_off":
            return _cut_off(call.arguments, value)
        case "spaced":
            return _space(value)
        case _:
            return _write(value)


def _write(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _invalidate(value: Any, tool: OfferedTool) -> Any:
    """Return an invalid variant of ``value``.

    The variant has a field of the wrong type, lacks a required field, or has an unknown field.
    """
    properties = tool.schema.get("properties")
    typed = properties if isinstance(properties, Mapping) else {}
    required = [name for name in tool.schema.get("required", ()) if isinstance(name, str)]
    invalid = dict(value) if isinstance(value, dict) else {}
    for name in [*required, *typed]:
        allowed = _list_kinds(typed.get(name))
        for kind, unexpected in _UNEXPECTED.items():
            if allowed and kind not in allowed:
                return {**invalid, name: unexpected}
    if required:
        invalid.pop(required[0], None)
        return invalid
    if tool.schema.get("additionalProperties") is False:
        return {**invalid, "unexpected": True}
    raise ValueError(f"the tool {tool.name} accepts all arguments, so no call can be invalid; give the tool a field")


def _list_kinds(schema: Any) -> set[str]:
    """Return the JSON types that ``schema`` allows. Empty if they are unknown, as for a reference."""
    if not isinstance(schema, Mapping):
        return set()
    if isinstance(found := schema.get("type"), str):
        return {found}
    if isinstance(found, list):
        return set(found)
    branches = [_list_kinds(branch) for branch in schema.get("anyOf") or ()]
    return set().union(*branches) if all(branches) else set()


def _cut_off(recorded: str, value: Any) -> str:
    """Return ``value`` as truncated arguments.

    If ``recorded`` is valid JSON, the result is valid JSON without the last field. Otherwise, the text of the
    arguments is truncated.
    """
    try:
        json.loads(recorded)
    except ValueError:
        text = _write(value)
        return text[: max(1, len(text) * 2 // 3)]
    return _write(dict(list(value.items())[:-1]) if isinstance(value, dict) else value)


def _space(value: Any) -> str:
    """Return ``value`` as JSON with unusual whitespace and one escaped letter."""
    text = json.dumps(value, indent=1, separators=(" ,", " : "))
    return f" {_FIRST_LETTER.sub(lambda letter: f'{chr(92)}u{ord(letter[0]):04x}', text, count=1)}\n"
