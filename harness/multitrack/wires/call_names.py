"""Correct the ids and names of tool calls in a continued conversation, so that the provider accepts them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import count

from multitrack.tool_call import ToolCall


def assign_distinct_ids(calls: Sequence[ToolCall]) -> list[str]:
    """Return a different id for each call.

    A call gets a new id if it has none, or if an earlier call has the same id.
    """
    own = {call.id for call in calls}
    ids: list[str] = []
    for call in calls:
        generated = (name for number in count() if (name := f"call_{number}") not in own and name not in ids)
        ids.append(call.id if call.id and call.id not in ids else next(generated))
    return ids


def sanitize_name(name: str) -> str:
    """Return ``name`` in the form that OpenAI and Anthropic accept in a conversation.

    OpenAI refuses some names that its own models make up, such as ``multi_tool_use.parallel``:
    https://platform.openai.com/docs/api-reference/chat/create
    """
    return re.sub(r"[^a-zA-Z0-9_-]", "_", name)[:64] or "_"
