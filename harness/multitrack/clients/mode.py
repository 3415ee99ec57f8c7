"""The modes: which client, and which of its interfaces, the tool calls go through."""

from __future__ import annotations

from enum import Enum, EnumMeta
from typing import Any, NoReturn


class _Modes(EnumMeta):
    def __getattr__(cls, name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(name)
        ours = ", ".join(f"Mode.{member}" for member in cls.__members__)
        raise AttributeError(f"there is no Mode.{name}: Multitrack makes parallel tool calls only, by {ours}")


class Mode(Enum, metaclass=_Modes):
    """How a client asks for tool calls. Each client has its own; it is the default there."""

    PARALLEL_TOOLS = "parallel_tools"
    RESPONSES_PARALLEL_TOOLS = "responses_parallel_tools"
    VERTEXAI_PARALLEL_TOOLS = "vertexai_parallel_tools"
    GENAI_PARALLEL_TOOLS = "genai_parallel_tools"


def chosen(mode: Mode | None, *known: Mode, by: str) -> Mode:
    """``mode``, or the first of ``known`` if it is None. Raises ValueError if it is not one of them."""
    if mode is None:
        return known[0]
    if mode not in known:
        names = " or ".join(f"Mode.{member.name}" for member in known)
        given: Any = f"Mode.{mode.name}" if isinstance(mode, Mode) else repr(mode)
        raise ValueError(f"{by} takes mode={names}, not {given}")
    return mode
