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
_ERROR_SEARCH = 1000


def may_be_answer(body: bytes) -> bool:
    """Return whether a response could be a model's answer.

    A JSON object of more than 20 MB, such as a batch of embeddings, is not parsed: it would need several times its
    size in memory. A stream can have any size.
    """
    return len(body) <= _LARGEST_DOCUMENT or body[:64].lstrip()[:1] != b"{"


def find_wire(interaction: Interaction) -> str | None:
    """Return the wire format of the response, or None if the response is not a model's answer.

    Some error bodies have a form that many APIs use, such as Amazon Bedrock's ``{"message": "Too many requests"}``
    and Ollama's ``{"error": "model not found"}``. For such an error, return the wire format of the request.
    """
    response = interaction.response
    wire = wires.recognize(response.body) if may_be_answer(response.body) else None
    if wire is not None or not may_be_answer(response.body):
        return wire
    # some gateways send an error with the status of a success
    if response.status < _FIRST_ERROR and b'"error"' not in response.body[:_ERROR_SEARCH]:
        return None
    request: Any = None
    error: Any = None
    with suppress(ValueError, RecursionError):
        request, error = json.loads(interaction.request.body), json.loads(response.body)
    if not isinstance(request, dict) or not isinstance(error, dict):
        return None
    if response.status < _FIRST_ERROR and not error.get("error"):
        return None
    url = interaction.request.url
    wire_format = registry.recognize_request(request, url)
    # a request to a model names it; without this condition, any request could be one to OpenAI's Responses API
    if wire_format is None or not (wire_format.read_request(request).model or registry.find_model_in_url(url)):
        return None
    return wire_format.name if wire_format.read_answer(error).error else None
