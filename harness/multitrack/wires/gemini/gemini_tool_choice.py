"""Convert ``tool_choice`` in OpenAI's form to Gemini's ``toolConfig``.

The input is described at https://platform.openai.com/docs/api-reference/chat/create#chat_create-tool_choice, and the
output at https://ai.google.dev/api/caching#FunctionCallingConfig. The input can also have the form of the Responses
API.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from multitrack.wires.lenient_json import as_object

_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}


def convert_tool_choice(tool_choice: object, offered: Collection[str]) -> dict[str, Any] | None:
    """Convert ``tool_choice`` to Gemini's ``toolConfig``.

    Args:
        tool_choice: The choice in OpenAI's form, or None.
        offered: The names of the functions offered in the request.

    Returns:
        The ``toolConfig``, or None if ``tool_choice`` is None.

    Raises:
        TypeError: If ``tool_choice`` is neither a string nor a dictionary.
        ValueError: If Gemini does not support the choice, or if it requires a function that is not offered.
    """
    match tool_choice:
        case None:
            return None
        case str() if tool_choice in _MODES:
            return _write_config(_MODES[tool_choice])
        case {"type": "function"}:
            return _write_config("ANY", [_read_name(tool_choice, offered)])
        case {"type": "allowed_tools"}:
            return _convert_allowed_tools(as_object(tool_choice).get("allowed_tools", tool_choice), offered)
        case str() | Mapping():
            raise ValueError(
                f"tool_choice is {tool_choice!r}, which Gemini does not support; use 'auto', 'none', 'required', "
                f"or a dictionary with the type function or allowed_tools"
            )
        case _:
            raise TypeError(f"tool_choice is a {type(tool_choice).__name__}; pass a string or a dictionary")


def check_parallel_tool_calls(parallel_tool_calls: object) -> None:
    """Check that ``parallel_tool_calls`` allows several calls in one answer, because Gemini cannot be limited to one
    call.

    Raises:
        ValueError: If ``parallel_tool_calls`` is False.
        TypeError: If ``parallel_tool_calls`` is not True, False or None.
    """
    if parallel_tool_calls is False:
        raise ValueError(
            "Gemini cannot forbid several calls, so parallel_tool_calls=False is not supported; remove the argument"
        )
    if parallel_tool_calls not in (True, None):
        raise TypeError(f"parallel_tool_calls is {parallel_tool_calls!r}; pass True or False")


def _convert_allowed_tools(choice: object, offered: Collection[str]) -> dict[str, Any]:
    mode, tools = as_object(choice).get("mode"), as_object(choice).get("tools")
    if mode not in ("auto", "required"):
        raise ValueError(f"tool_choice has the mode {mode!r}; with allowed_tools, use 'auto' or 'required'")
    if not isinstance(tools, (list, tuple)) or not tools:
        raise ValueError("tool_choice has no tools; list the allowed tools, such as {'type': 'function', ...}")
    # AUTO does not accept names. VALIDATED is AUTO with names:
    # https://ai.google.dev/gemini-api/docs/function-calling#function_calling_modes
    return _write_config("ANY" if mode == "required" else "VALIDATED", [_read_name(tool, offered) for tool in tools])


def _read_name(tool: object, offered: Collection[str]) -> str:
    function = as_object(as_object(tool).get("function")) or as_object(tool)
    name = function.get("name")
    if as_object(tool).get("type") != "function" or not isinstance(name, str):
        raise ValueError(
            f"tool_choice contains {tool!r}, but Gemini supports only functions; "
            "pass {'type': 'function', 'function': {'name': ...}}"
        )
    if name not in offered:
        raise ValueError(
            f"tool_choice requires {name!r}, but the request does not offer this tool; use one of: {', '.join(offered)}"
        )
    return name


def _write_config(mode: str, names: list[str] | None = None) -> dict[str, Any]:
    return {"functionCallingConfig": {"mode": mode, **({"allowedFunctionNames": names} if names else {})}}
