"""``tool_choice`` in OpenAI's form, written as Gemini's ``toolConfig``.

From https://platform.openai.com/docs/api-reference/chat/create#chat_create-tool_choice, or as the Responses API has
it, to https://ai.google.dev/api/caching#FunctionCallingConfig
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from multitrack.wires.lenient_json import as_object

_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}


def convert_tool_choice(tool_choice: object, offered: Collection[str]) -> dict[str, Any] | None:
    """The ``toolConfig`` that lets the model choose among the functions ``offered`` as ``tool_choice`` says.

    None where ``tool_choice`` is. Raises TypeError for what is neither text nor a dictionary, and ValueError for a
    choice that Gemini does not know, or a function that is not offered.
    """
    match tool_choice:
        case None:
            return None
        case str() if tool_choice in _MODES:
            return _config(_MODES[tool_choice])
        case {"type": "function"}:
            return _config("ANY", [_name(tool_choice, offered)])
        case {"type": "allowed_tools"}:
            return _allowed(as_object(tool_choice).get("allowed_tools", tool_choice), offered)
        case str() | Mapping():
            raise ValueError(
                f"tool_choice is {tool_choice!r}, which Gemini does not know; write 'auto', 'none', 'required', "
                f"or a dictionary of the type function or allowed_tools"
            )
        case _:
            raise TypeError(f"tool_choice is a {type(tool_choice).__name__}; it may be text, or a dictionary")


def check_parallel_tool_calls(parallel_tool_calls: object) -> None:
    """Raise ValueError where ``parallel_tool_calls`` forbids several calls in one answer, which Gemini always may
    make, and TypeError where it is neither True, False nor None."""
    if parallel_tool_calls is False:
        raise ValueError(
            "parallel_tool_calls=False cannot be asked of Gemini, which may always make several calls; leave it out"
        )
    if parallel_tool_calls not in (True, None):
        raise TypeError(f"parallel_tool_calls is {parallel_tool_calls!r}; it is True or False")


def _allowed(choice: object, offered: Collection[str]) -> dict[str, Any]:
    mode, tools = as_object(choice).get("mode"), as_object(choice).get("tools")
    if mode not in ("auto", "required"):
        raise ValueError(f"tool_choice has the mode {mode!r}; of allowed_tools it is 'auto' or 'required'")
    if not isinstance(tools, (list, tuple)) or not tools:
        raise ValueError("tool_choice has no tools; write those that are allowed, such as {'type': 'function', ...}")
    # AUTO takes no names, VALIDATED is AUTO with names:
    # https://ai.google.dev/gemini-api/docs/function-calling#function_calling_modes
    return _config("ANY" if mode == "required" else "VALIDATED", [_name(tool, offered) for tool in tools])


def _name(tool: object, offered: Collection[str]) -> str:
    function = as_object(as_object(tool).get("function")) or as_object(tool)
    name = function.get("name")
    if as_object(tool).get("type") != "function" or not isinstance(name, str):
        raise ValueError(f"tool_choice names {tool!r}, and Gemini knows functions only; write one with its name")
    if name not in offered:
        raise ValueError(
            f"tool_choice names the function {name!r}, which is not offered; offered: {', '.join(offered)}"
        )
    return name


def _config(mode: str, names: list[str] | None = None) -> dict[str, Any]:
    return {"functionCallingConfig": {"mode": mode, **({"allowedFunctionNames": names} if names else {})}}
