"""Find the wire format of a recorded answer."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from multitrack import wires
from multitrack.tape.interaction import Interaction
from multitrack.wires import registry

_FIRST_ERROR = 400


def find_wire(interaction: Interaction) -> str | None:
    """Return the wire format of the response, or None if the response is not the answer of a model.

    Many APIs send errors of the same form, such as Amazon Bedrock's ``{"message": "Too many requests"}``. For such an
    error, the request shows the wire format.
    """
    response = interaction.response
    wire = wires.recognize(response.body)
    if wire is not None or response.status < _FIRST_ERROR:
        return wire
    request: Any = None
    error: Any = None
    with suppress(ValueError, RecursionError):
        request, error = json.loads(interaction.request.body), json.loads(response.body)
    if not isinstance(request, dict) or not isinstance(error, dict):
        return None
    wire_format = registry.recognize_request(request, interaction.request.url)
    return wire_format.name if wire_format and wire_format.read_answer(error).error else None
