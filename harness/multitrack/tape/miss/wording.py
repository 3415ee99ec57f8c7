"""Decide whether only the wording of a request changed. If so, its recorded answer can be kept.

Wording is the text of instructions and messages, and the descriptions of tools and of fields. These are not wording:
the model, parameters, schemas, tool calls and their results, and the number and the roles of messages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from multitrack import wires
from multitrack.tape.matching.difference import ABSENT, Difference, Path
from multitrack.tape.miss.nearest_recording import NearestRecording
from multitrack.wires import registry
from multitrack.wires.wire_format import WireFormat

# the keys that lead from a message, or from the instructions, to its text
_TEXT_STEPS = ((), ("text",), ("parts", "text"), ("content",), ("content", "text"))
_TEXT_TYPES = (None, "message", "text", "input_text", "output_text")
# values in a schema that may contain the user's own key "description"
_DATA_KEYS = frozenset({"default", "const", "enum", "example", "examples"})


def is_only_wording(nearest: NearestRecording) -> bool:
    """Return whether the request differs from the recording only in its wording."""
    if nearest.moved or nearest.transport or not nearest.differences:
        return False
    response = nearest.entry.interaction.response
    # other answers, such as embeddings, depend on each word of the request
    if response.ending != "complete" or wires.recognize(response.body) is None:
        return False
    recorded, sent = nearest.documents
    wire_format = _recognize(recorded, nearest.recorded.url)
    if wire_format is None or wire_format is not _recognize(sent, nearest.sent.url):
        return False
    return all(_is_wording(one, sent, wire_format) for one in nearest.differences)


def _recognize(document: Any, url: str) -> WireFormat | None:
    return registry.recognize_request(document, url) if isinstance(document, Mapping) else None


def _is_wording(difference: Difference, sent: Any, wire_format: WireFormat) -> bool:
    first, *_ = path = difference.path
    values = difference.recorded, difference.sent
    if first == wire_format.conversation_key or first in wire_format.instruction_keys:
        return all(isinstance(value, str) for value in values) and _is_text(path, sent)
    if path[-1] != "description" or not _DATA_KEYS.isdisjoint(path):
        return False
    return all(isinstance(value, str) or value is ABSENT for value in values)


def _is_text(path: Path, sent: Any) -> bool:
    """Return whether ``path`` leads to the text of a message or of the instructions."""
    if tuple(step for step in path[1:] if isinstance(step, str)) not in _TEXT_STEPS:
        return False
    return not any(map(_holds_data, _list_values_above(path, sent)))


def _list_values_above(path: Path, document: Any) -> Sequence[Any]:
    """Return the values that enclose the value at ``path``, from the outside in."""
    values = []
    for step in path[:-1]:
        document = document[step]
        values.append(document)
    return values


def _holds_data(value: Any) -> bool:
    """Return whether ``value`` is a message, or a part of a message, that contains anything other than text."""
    if not isinstance(value, Mapping):
        return False
    role = str(value.get("role", "")).lower()
    return value.get("type") not in _TEXT_TYPES or "tool" in role or "function" in role
