"""Build Anthropic's error bodies, for scripted errors and for requests that Anthropic would reject.

https://platform.claude.com/docs/en/api/errors
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from multitrack.standin.identity import ANTHROPIC_ORGANIZATION
from multitrack.standin.script import ScriptedError

_ERRORS: Mapping[int, tuple[str, str]] = {
    400: ("invalid_request_error", "The request is not valid."),
    401: ("authentication_error", "invalid x-api-key"),
    403: ("permission_error", "Your API key does not have permission to use the specified resource."),
    404: ("not_found_error", "model: the model does not exist"),
    413: ("request_too_large", "Request exceeds the maximum size"),
    429: (
        "rate_limit_error",
        "This request would exceed your organization's rate limit of 50 requests per minute (org: {organization}).",
    ),
    529: ("overloaded_error", "Overloaded"),
}
_SERVER_ERROR = ("api_error", "Internal server error")


class RejectedRequestError(ValueError):
    """A request that Anthropic would reject with status 400, with Anthropic's message."""


def build_error_document(error: ScriptedError, request_id: str) -> dict[str, Any]:
    """Return the body of a response that reports ``error``, or the data of an ``error`` event."""
    kind, message = _ERRORS.get(error.status, _SERVER_ERROR)
    message = message.format(organization=ANTHROPIC_ORGANIZATION)
    fields = {"type": error.type or kind, "message": error.message if error.message is not None else message}
    return {"type": "error", "error": fields, "request_id": request_id}


def build_error_content(error: ScriptedError, request_id: str) -> bytes:
    """Return the body of a response that reports ``error``. If the script has its own body, return that body."""
    if isinstance(error.body, str):
        return error.body.encode()
    return format_json(build_error_document(error, request_id) if error.body is None else error.body)


def format_json(document: Any) -> bytes:
    """Return ``document`` as JSON in the layout that Anthropic uses."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
