"""Find the wire format of a recorded answer."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from multitrack import wires
from multitrack.tape.interaction import Interaction
from multitrack.wires import registry

_FIRST_ERROR = 400
_LARGEST_DOCUMENT = 20_000_000


def may_be_answer(body: bytes) -> bool:
    """Return whether a response may be a model's answer.

    A JSON object of more than 20 MB, such as a batch of embeddings, is not parsed: it would need several times its size
    in memory. A stream may have any size.
    """
    return len(body) <= _LARGEST_DOCUMENT or body[:64].lstrip()[:1] != b"{"


def find_wire(interaction: Interaction) -> str | None:
    """Return the wire format of the response, or None if the response is not a model's answer.

    Many APIs send errors in the same form, such as Amazon Bedrock's ``{"message": "Too many requests"}``. For such an
    error, the request shows the wire format.
    """
    response = interaction.response
    wire = wires.recognize(response.body) if may_be_answer(response.body) else None
    if wire is not None or response.status < _FIRST_ERROR or not may_be_answer(response.body):
        return wire
    request: Any = None
    error: Any = None
    with suppress(ValueError, RecursionError):
        request, error = json.loads(interaction.request.body), json.loads(response.body)
    if not isinstance(request, dict) or not isinstance(error, dict):
        return None
    wire_format = registry.recognize_request(request, interaction.request.url)
    return wire_format.name if wire_format and wire_format.read_answer(error).error else None
