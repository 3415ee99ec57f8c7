"""A request to a language model, in a form that does not depend on the wire format."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from multitrack.wires.tool import OfferedTool


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """A request to a model.

    Attributes:
        model: The name of the model.
        prompt: The text of the last user message; "" if there is none.
        texts: The texts of all messages in order, including tool results and the system message.
        tools: The tools that the request offers.
        callable_tools: The tools that the model is allowed to call in this turn (``tool_choice`` and the like).
        after_results: Whether the conversation ends with tool results.
        turn: How many answers the model has given in the conversation.
    """

    model: str
    prompt: str
    texts: tuple[str, ...]
    tools: tuple[OfferedTool, ...] = ()
    callable_tools: tuple[OfferedTool, ...] = ()
    after_results: bool = False
    turn: int = 0


def count_turns(from_model: Iterable[bool]) -> int:
    """Return how many answers the model has given. Adjacent items from the model count as one answer.

    Args:
        from_model: For each item of the conversation, whether it comes from the model.
    """
    return sum(1 for is_from_model, _ in groupby(from_model) if is_from_model)
