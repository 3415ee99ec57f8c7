"""Read the tools that a request to OpenAI offers. Reject the tools that OpenAI would reject.

The rules come from https://platform.openai.com/docs/api-reference/chat/create#chat_create-tools. The rules for
``strict`` come from https://platform.openai.com/docs/guides/structured-outputs#supported-schemas.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from multitrack.standin.openai.error_objects import InvalidRequestError
from multitrack.wires.tool import OfferedTool

_NAME = re.compile(r"[a-zA-Z0-9_-]+")
_MAX_NAME_LENGTH = 64
_NOT_STRICT = ("allOf", "oneOf", "not", "if", "then", "else", "default", "dependentRequired")


def read_tools(body: Mapping[str, Any], *, nested: bool) -> tuple[OfferedTool, ...]:
    """Return the functions among the ``tools`` of ``body``.

    Args:
        body: The body of the request.
        nested: Whether each function is in a separate object, as in chat completions. False for the Responses API.

    Raises:
        InvalidRequestError: OpenAI would reject a tool.
    """
    tools = body.get("tools") or ()
    if not tools:
        for name in ("tool_choice", "parallel_tool_calls"):
            if body.get(name) is not None and nested:
                message = f"Invalid value for '{name}': '{name}' is only allowed when 'tools' are specified."
                raise InvalidRequestError(message, param=name)
    return tuple(
        _read_tool(tool, f"tools[{number}]", nested=nested)
        for number, tool in enumerate(tools)
        if not isinstance(tool, Mapping) or tool.get("type", "function") == "function"
    )


def check_function_name(name: Any, location: str) -> None:
    """Raise ``InvalidRequestError`` if ``name`` is not a valid function name."""
    if not isinstance(name, str):
        raise InvalidRequestError(
            f"Missing required parameter: '{location}'.", param=location, code="missing_required_parameter"
        )
    if not _NAME.fullmatch(name):
        raise InvalidRequestError(
            f"Invalid '{location}': string does not match pattern. "
            f"Expected a string that matches the pattern '^{_NAME.pattern}$'.",
            param=location,
            code="invalid_value",
        )
    if len(name) > _MAX_NAME_LENGTH:
        raise InvalidRequestError(
            f"Invalid '{location}': string too long. Expected a string with maximum length {_MAX_NAME_LENGTH}, "
            f"but got a string with length {len(name)} instead.",
            param=location,
            code="string_above_max_length",
        )


def select_callable_tools(tools: tuple[OfferedTool, ...], body: Mapping[str, Any]) -> tuple[OfferedTool, ...]:
    """Return the tools that ``body`` lets the model call."""
    choice = body.get("tool_choice")
    if choice == "none":
        return ()
    if isinstance(choice, Mapping):
        name = choice.get("function", choice).get("name")
        return tuple(tool for tool in tools if tool.name == name)
    return tools[:1] if body.get("parallel_tool_calls") is False else tools


def _read_tool(tool: Any, location: str, *, nested: bool) -> OfferedTool:
    if nested:
        location = f"{location}.function"
        tool = tool.get("function") if isinstance(tool, Mapping) else None
    if not isinstance(tool, Mapping):
        raise InvalidRequestError(
            f"Missing required parameter: '{location}'.", param=location, code="missing_required_parameter"
        )
    name = tool.get("name")
    check_function_name(name, f"{location}.name")
    schema = tool.get("parameters") or {"type": "object", "properties": {}}
    problem = _find_type_problem(schema) or (
        next(_find_strict_problems(schema, ()), None) if tool.get("strict") else None
    )
    if problem is not None:
        raise InvalidRequestError(
            f"Invalid schema for function '{name}': {problem}",
            param=f"{location}.parameters",
            code="invalid_function_parameters",
        )
    return OfferedTool(str(name), schema)


def _find_type_problem(schema: Any) -> str | None:
    kind = schema.get("type") if isinstance(schema, Mapping) else None
    return None if kind == "object" else f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{kind}\"'."


def _find_strict_problems(schema: Any, context: tuple[str, ...]) -> Iterator[str]:
    """Yield a message, in OpenAI's words, for each part of ``schema`` that is invalid in a strict schema."""
    if not isinstance(schema, Mapping):
        return
    if "$ref" in schema and (siblings := sorted(schema.keys() - {"$ref"})):
        yield f"In context={context}, $ref cannot have keywords {{{', '.join(map(repr, siblings))}}}."
    for keyword in _NOT_STRICT:
        if keyword in schema:
            yield f"In context={context}, '{keyword}' is not permitted."
    if schema.get("type") == "object" or "properties" in schema:
        yield from _find_object_problems(schema, context)
    for keyword in ("properties", "$defs", "definitions"):
        for name, inner in (schema.get(keyword) or {}).items():
            yield from _find_strict_problems(inner, (*context, keyword, name))
    for number, branch in enumerate(schema.get("anyOf") or ()):
        yield from _find_strict_problems(branch, (*context, "anyOf", str(number)))
    yield from _find_strict_problems(schema.get("items"), (*context, "items"))


def _find_object_problems(schema: Mapping[str, Any], context: Sequence[str]) -> Iterator[str]:
    if schema.get("additionalProperties") is not False:
        yield f"In context={context}, 'additionalProperties' is required to be supplied and to be false."
    missing = [name for name in schema.get("properties") or {} if name not in (schema.get("required") or ())]
    if missing:
        yield (
            f"In context={context}, 'required' is required to be supplied and to be an array including every key "
            f"in properties. Missing '{missing[0]}'."
        )
