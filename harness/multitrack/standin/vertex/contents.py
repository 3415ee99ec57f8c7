"""Parse the contents and functions of a request to Gemini. Reject the requests that the service would reject.

The rules come from https://ai.google.dev/gemini-api/docs/function-calling. The rules for models that sign their calls
come from https://ai.google.dev/gemini-api/docs/thought-signatures.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from multitrack.standin.vertex.protobuf_types import InvalidMessageError
from multitrack.wires.tool import OfferedTool

Content = Mapping[str, Any]

_ROLES = ("", "user", "model", "function")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}")


def check_contents(contents: Sequence[Content], *, signed: bool) -> None:
    """Raise ``InvalidMessageError`` if ``contents`` are not a valid conversation.

    Args:
        contents: The contents of the request.
        signed: Whether the model requires the signatures of its calls to be sent back.
    """
    if not contents:
        raise InvalidMessageError("* GenerateContentRequest.contents: contents is not specified\n")
    for number, content in enumerate(contents):
        if content.get("role", "") not in _ROLES:
            raise InvalidMessageError("Please use a valid role: user, model.")
        if not get_parts(content):
            location = f"GenerateContentRequest.contents[{number}].parts"
            raise InvalidMessageError(f"* {location}: contents.parts must not be empty.\n")
    for previous, content in pairwise([{}, *contents]):
        _check_results(previous, content)
    if signed:
        _check_signatures(contents)


def check_functions(tools: Sequence[OfferedTool]) -> None:
    """Raise ``InvalidMessageError`` if a name is not a valid function name, or if a name occurs twice."""
    for number, tool in enumerate(tools):
        if not _NAME.fullmatch(tool.name):
            raise InvalidMessageError(
                f"* GenerateContentRequest.tools[0].function_declarations[{number}].name: Invalid function name. "
                "Must start with a letter or an underscore. Must be alphameric (a-z, A-Z, 0-9), underscores (_), "
                "dots (.), colons (:), or dashes (-), with a maximum length of 64.\n"
            )
        if tool.name in (other.name for other in tools[:number]):
            raise InvalidMessageError(f"Duplicate function declaration found: {tool.name}")


def get_parts(content: Content) -> Sequence[Mapping[str, Any]]:
    """Return the parts of ``content``."""
    parts: Sequence[Mapping[str, Any]] = content.get("parts", [])
    return parts


def has_part(content: Content, kind: str) -> bool:
    """Return whether ``content`` has a part of the given ``kind``, such as ``functionResponse``."""
    return any(kind in part for part in get_parts(content))


def _check_results(previous: Content, content: Content) -> None:
    calls = sum("functionCall" in part for part in get_parts(previous))
    results = sum("functionResponse" in part for part in get_parts(content))
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
    # Signatures are only required in the current turn, which starts at the last prompt.
    for number in range(prompts[-1] if prompts else 0, len(contents)):
        calls = [part for part in get_parts(contents[number]) if "functionCall" in part]
        if calls and not calls[0].get("thoughtSignature"):
            name = calls[0]["functionCall"].get("name", "")
            raise InvalidMessageError(
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to "
                "work correctly, and missing thought_signature may lead to degraded model performance. Additional "
                f"data, function call `default_api:{name}` , position {number + 1}. Please refer to "
                "https://ai.google.dev/gemini-api/docs/thought-signatures for more details."
            )


def is_prompt(content: Content) -> bool:
    """Return whether ``content`` is a prompt from the user rather than tool results."""
    return content.get("role", "user") in ("", "user") and has_part(content, "text")
