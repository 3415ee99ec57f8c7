"""The ``Mode`` enum, which lists the APIs that clients use to get tool calls."""

from __future__ import annotations

from enum import Enum, EnumMeta
from typing import Any, NoReturn


class _ModeMeta(EnumMeta):
    def __getattr__(cls, name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(name)
        known = ", ".join(f"Mode.{member}" for member in cls.__members__)
        raise AttributeError(
            f"Mode.{name} does not exist, because Multitrack only supports parallel tool calls; use one of {known}"
        )


class Mode(Enum, metaclass=_ModeMeta):
    """The API through which a client gets tool calls. Each client has its own default.

    - ``PARALLEL_TOOLS``: OpenAI's chat completions, the default of ``from_openai`` and ``patch``.
    - ``RESPONSES_PARALLEL_TOOLS``: OpenAI's Responses API.
    - ``VERTEXAI_PARALLEL_TOOLS``: the default of ``from_vertexai``.
    - ``GENAI_PARALLEL_TOOLS``: the default of ``from_genai``.
    - ``ANTHROPIC_PARALLEL_TOOLS``: the default of ``from_anthropic``.
    - ``BEDROCK_PARALLEL_TOOLS``: the default of ``from_bedrock``.
    """

    PARALLEL_TOOLS = "parallel_tools"
    RESPONSES_PARALLEL_TOOLS = "responses_parallel_tools"
    VERTEXAI_PARALLEL_TOOLS = "vertexai_parallel_tools"
    GENAI_PARALLEL_TOOLS = "genai_parallel_tools"
    ANTHROPIC_PARALLEL_TOOLS = "anthropic_parallel_tools"
    BEDROCK_PARALLEL_TOOLS = "bedrock_parallel_tools"


def resolve_mode(mode: Mode | None, *supported: Mode, function: str) -> Mode:
    """Return ``mode``, or the first of the ``supported`` modes if ``mode`` is None.

    Raises:
        ValueError: If ``mode`` is not supported. The error message contains ``function``.
    """
    if mode is None:
        return supported[0]
    if mode not in supported:
        names = " or ".join(f"Mode.{member.name}" for member in supported)
        given: Any = f"Mode.{mode.name}" if isinstance(mode, Mode) else repr(mode)
        raise ValueError(f"{function} supports mode={names}, not {given}")
    return mode
