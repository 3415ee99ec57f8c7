"""The contents of a request to Gemini, and its functions: refused where the service would refuse them.

The rules are those of https://ai.google.dev/gemini-api/docs/function-calling, and of
https://ai.google.dev/gemini-api/docs/thought-signatures for the models that sign their calls.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from multitrack.standin.question import Tool
from multitrack.standin.vertex.types import InvalidMessageError

Content = Mapping[str, Any]

_ROLES = ("", "user", "model", "function")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}")


def check_contents(contents: Sequence[Content], *, signed: bool) -> None:
    """Raises `InvalidMessageError` for contents that are no conversation. ``signed`` says whether the model
    demands the signatures of its calls back."""
    if not contents:
        raise InvalidMessageError("* GenerateContentRequest.contents: contents is not specified\n")
    for number, content in enumerate(contents):
        if content.get("role", "") not in _ROLES:
            raise InvalidMessageError("Please use a valid role: user, model.")
        if not parts_of(content):
            place = f"GenerateContentRequest.contents[{number}].parts"
            raise InvalidMessageError(f"* {place}: contents.parts must not be empty.\n")
    for before, content in pairwise([{}, *contents]):
        _check_answered(before, content)
    if signed:
        _check_signatures(contents)


def check_functions(tools: Sequence[Tool]) -> None:
    """Raises `InvalidMessageError` for a name that is none of a function, or of two."""
    for number, tool in enumerate(tools):
        if not _NAME.fullmatch(tool.name):
            raise InvalidMessageError(
                f"* GenerateContentRequest.tools[0].function_declarations[{number}].name: Invalid function name. "
                "Must start with a letter or an underscore. Must be alphameric (a-z, A-Z, 0-9), underscores (_), "
                "dots (.), colons (:), or dashes (-), with a maximum length of 64.\n"
            )
        if tool.name in (other.name for other in tools[:number]):
            raise InvalidMessageError(f"Duplicate function declaration found: {tool.name}")


def parts_of(content: Content) -> Sequence[Mapping[str, Any]]:
    """The parts of ``content``."""
    parts: Sequence[Mapping[str, Any]] = content.get("parts", [])
    return parts


def holds(content: Content, kind: str) -> bool:
    """Whether a part of ``content`` is of that kind, such as ``functionResponse``."""
    return any(kind in part for part in parts_of(content))


def _check_answered(before: Content, content: Content) -> None:
    calls = sum("functionCall" in part for part in parts_of(before))
    results = sum("functionResponse" in part for part in parts_of(content))
    if results and not calls:
        raise InvalidMessageError(
            "Please ensure that function response turn comes immediately after a function call turn."
        )
    if results != calls:
        raise InvalidMessageError(
            "Please ensure that the number of function response parts is equal to the number of function call "
            "parts of the function call turn."
        )


def _check_signatures(contents: Sequence[Content]) -> None:
    prompts = [number for number, content in enumerate(contents) if is_prompt(content)]
    # a turn that is over needs no signatures any more
    for number in range(prompts[-1] if prompts else 0, len(contents)):
        calls = [part for part in parts_of(contents[number]) if "functionCall" in part]
        if calls and not calls[0].get("thoughtSignature"):
            name = calls[0]["functionCall"].get("name", "")
            raise InvalidMessageError(
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to "
                "work correctly, and missing thought_signature may lead to degraded model performance. Additional "
                f"data, function call `default_api:{name}` , position {number + 1}. Please refer to "
                "https://ai.google.dev/gemini-api/docs/thought-signatures for more details."
            )


def is_prompt(content: Content) -> bool:
    """Whether ``content`` is a question of the user's, and not the results of tools."""
    return content.get("role", "user") in ("", "user") and holds(content, "text")
