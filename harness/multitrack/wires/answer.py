"""A model's answer in the form that every decoder returns. It does not depend on the wire format."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from multitrack.tool_call import ToolCall


# not frozen, because creating a frozen object takes three times as long; nothing changes an answer in place
@dataclass(slots=True, unsafe_hash=True)
class WireAnswer:
    """A model's answer, independent of its wire format.

    Attributes:
        calls: The tool calls of all choices, in order.
        text: The text that the model wrote next to its calls or instead of them. None if there is none.
        finish_reason: Why the answer ended, in the provider's own word.
        refusal: The model's refusal, or the provider's word for the filter that withheld the answer.
        error: The error that the provider sent instead of an answer or in the middle of a stream. If the finish
            reason reports a failure, ``error`` is that finish reason.
        model: The name of the model in the answer.
        usage: The provider's own usage object.
        is_complete: False if the answer ended before the provider had finished it.
        has_cut_off_call: True if a length limit truncated the last call. The arguments of a truncated call can still
            be valid JSON.
        is_truncated: True if a length limit truncated the answer.
    """

    calls: tuple[ToolCall, ...] = ()
    text: str | None = None
    finish_reason: str | None = None
    refusal: str | None = None
    error: str | None = None
    model: str | None = None
    usage: Mapping[str, Any] | None = field(default=None, hash=False)
    is_complete: bool = True
    has_cut_off_call: bool = False
    is_truncated: bool = False


def select_finish_reason(reasons: Iterable[str | None], normal: Collection[str]) -> str | None:
    """Return the finish reason of an answer with several choices.

    If one of the choices failed, the answer is not a success. The first reason that is not a ``normal`` end is
    therefore returned. If all reasons are normal, return the first one. If there are no reasons, return None.
    """
    first = None
    for reason in reasons:
        if reason and reason not in normal:
            return reason
        first = first or reason
    return first or None
