"""What is said to a call of a model's, to be written in a wire's own form behind the answer that holds it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import count
from typing import NamedTuple

from multitrack.toolcall import ToolCall


class ToolResult(NamedTuple):
    """Whether ``call`` was accepted, and the text that the model is told about it."""

    call: ToolCall
    accepted: bool
    text: str


def distinct_ids(calls: Sequence[ToolCall]) -> list[str]:
    """An id for each call: its own, where it has one that no call before it has."""
    own = {call.id for call in calls}
    ids: list[str] = []
    for call in calls:
        made_up = (name for number in count() if (name := f"call_{number}") not in own and name not in ids)
        ids.append(call.id if call.id and call.id not in ids else next(made_up))
    return ids


def taken_back(name: str) -> str:
    """``name`` as OpenAI takes it back in a conversation, where it refuses names that its models make up, such as
    ``multi_tool_use.parallel``: https://platform.openai.com/docs/api-reference/chat/create"""
    return re.sub(r"[^a-zA-Z0-9_-]", "_", name)[:64] or "_"
