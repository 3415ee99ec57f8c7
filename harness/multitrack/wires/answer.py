"""An answer of a model: what every wire decoder gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from multitrack.toolcall import ToolCall

# openai.chat, gemini, openai.responses
_LENGTH_LIMITS = frozenset({"length", "MAX_TOKENS", "max_output_tokens"})


@dataclass(frozen=True, slots=True)
class WireAnswer:
    """One answer, whatever wire it came over.

    ``calls`` are the tool calls of all choices in order. ``text`` is what the model said beside or instead
    of calls, None if nothing. ``finish`` is the reason for its end in the provider's own word. ``refusal``
    is the model's refusal, or the word for the filter that withheld the answer. ``error`` is an error that
    came in the place of an answer, or in the middle of a stream. ``usage`` is the provider's own object.
    ``complete`` is False where the answer was still being made when it ended.
    """

    calls: tuple[ToolCall, ...] = ()
    text: str | None = None
    finish_reason: str | None = None
    refusal: str | None = None
    error: str | None = None
    model: str | None = None
    usage: Mapping[str, Any] | None = field(default=None, hash=False)
    is_complete: bool = True

    @property
    def is_truncated(self) -> bool:
        """Whether a limit on the answer's length cut it off."""
        return self.finish_reason in _LENGTH_LIMITS
