"""The tools that a request to OpenAI offers, refused where the provider would refuse them.

The rules are those of https://platform.openai.com/docs/api-reference/chat/create#chat_create-tools and, for
``strict``, of https://platform.openai.com/docs/guides/structured-outputs#supported-schemas.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from multitrack.standin.openai.error import InvalidRequestError
from multitrack.standin.question import Tool

_NAME = re.compile(r"[a-zA-Z0-9_-]+")
_LONGEST_NAME = 64
_REFUSED_WHERE_STRICT = ("allOf", "oneOf", "not", "if", "then", "else", "default", "dependentRequired")


def offered(body: Mapping[str, Any], *, nested: bool) -> tuple[Tool, ...]:
    """The functions among the ``tools`` of ``body``: ``nested`` in an object of their own, as in chat, or not,
    as in the Responses API. Raises `InvalidRequestError`."""
    tools = body.get("tools") or ()
    if not tools:
        for name in ("tool_choice", "parallel_tool_calls"):
            if body.get(name) is not None and nested:
                message = f"Invalid value for '{name}': '{name}' is only allowed when 'tools' are specified."
                raise InvalidRequestError(message, param=name)
    return tuple(
        _tool(tool, f"tools[{number}]", nested=nested)
        for number, tool in enumerate(tools)
        if not isinstance(tool, Mapping) or tool.get("type", "function") == "function"
    )


def check_name(name: Any, place: str) -> None:
    """Raises `InvalidRequestError` where ``name`` can be none of a function."""
    if not isinstance(name, str):
        raise InvalidRequestError(
            f"Missing required parameter: '{place}'.", param=place, code="missing_required_parameter"
        )
    if not _NAME.fullmatch(name):
        raise InvalidRequestError(
            f"Invalid '{place}': string does not match pattern. "
            f"Expected a string that matches the pattern '^{_NAME.pattern}$'.",
            param=place,
            code="invalid_value",
        )
    if len(name) > _LONGEST_NAME:
        raise InvalidRequestError(
            f"Invalid '{place}': string too long. Expected a string with maximum length {_LONGEST_NAME}, "
            f"but got a string with length {len(name)} instead.",
            param=place,
            code="string_above_max_length",
        )


def callable_tools(tools: tuple[Tool, ...], body: Mapping[str, Any]) -> tuple[Tool, ...]:
    """Those of ``tools`` that ``body`` lets the model call."""
    choice = body.get("tool_choice")
    if choice == "none":
        return ()
    if isinstance(choice, Mapping):
        named = choice.get("function", choice).get("name")
        return tuple(tool for tool in tools if tool.name == named)
    return tools[:1] if body.get("parallel_tool_calls") is False else tools


def _tool(tool: Any, place: str, *, nested: bool) -> Tool:
    if nested:
        place = f"{place}.function"
        tool = tool.get("function") if isinstance(tool, Mapping) else None
    if not isinstance(tool, Mapping):
        raise InvalidRequestError(
            f"Missing required parameter: '{place}'.", param=place, code="missing_required_parameter"
        )
    name = tool.get("name")
    check_name(name, f"{place}.name")
    schema = tool.get("parameters") or {"type": "object", "properties": {}}
    problem = _not_an_object(schema) or (next(_not_strict(schema, ()), None) if tool.get("strict") else None)
    if problem is not None:
        raise InvalidRequestError(
            f"Invalid schema for function '{name}': {problem}",
            param=f"{place}.parameters",
            code="invalid_function_parameters",
        )
    return Tool(str(name), schema)


def _not_an_object(schema: Any) -> str | None:
    kind = schema.get("type") if isinstance(schema, Mapping) else None
    return None if kind == "object" else f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{kind}\"'."


def _not_strict(schema: Any, context: tuple[str, ...]) -> Iterator[str]:
    """What ``strict`` does not allow in ``schema``."""
    if not isinstance(schema, Mapping):
        return
    if "$ref" in schema and (beside := sorted(schema.keys() - {"$ref"})):
        yield f"In context={context}, $ref cannot have keywords {{{', '.join(map(repr, beside))}}}."
    for keyword in _REFUSED_WHERE_STRICT:
        if keyword in schema:
            yield f"In context={context}, '{keyword}' is not permitted."
    if schema.get("type") == "object" or "properties" in schema:
        yield from _not_closed(schema, context)
    for keyword in ("properties", "$defs", "definitions"):
        for name, inner in (schema.get(keyword) or {}).items():
            yield from _not_strict(inner, (*context, keyword, name))
    for number, branch in enumerate(schema.get("anyOf") or ()):
        yield from _not_strict(branch, (*context, "anyOf", str(number)))
    yield from _not_strict(schema.get("items"), (*context, "items"))


def _not_closed(schema: Mapping[str, Any], context: Sequence[str]) -> Iterator[str]:
    if schema.get("additionalProperties") is not False:
        yield f"In context={context}, 'additionalProperties' is required to be supplied and to be false."
    missing = [name for name in schema.get("properties") or {} if name not in (schema.get("required") or ())]
    if missing:
        yield (
            f"In context={context}, 'required' is required to be supplied and to be an array including every key "
            f"in properties. Missing '{missing[0]}'."
        )
