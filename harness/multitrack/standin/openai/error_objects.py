"""Build OpenAI's error objects, for errors in a script and for requests that OpenAI would reject."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from multitrack.standin.identity import OPENAI_ORGANIZATION, OPENAI_PROJECT
from multitrack.standin.script import ScriptedError

_ERRORS: Mapping[int, tuple[str, str | None, str]] = {
    400: ("invalid_request_error", None, "The request is not valid."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    403: (
        "invalid_request_error",
        "insufficient_permissions",
        "Project {project} has no access to the model.",
    ),
    404: (
        "invalid_request_error",
        "model_not_found",
        "The model does not exist or you do not have access to it.",
    ),
    429: (
        "requests",
        "rate_limit_exceeded",
        "Rate limit reached in organization {organization}, project {project}, on requests per min (RPM): "
        "Limit 500, Used 500, Requested 1. Please try again in 120ms.",
    ),
}
_SERVER_ERROR = ("server_error", None, "The server had an error while processing your request.")


class InvalidRequestError(ValueError):
    """A request that OpenAI would reject with status 400.

    Args:
        message: The message that OpenAI sends.
        param: The location of the error in the request.
        code: The ``code`` of OpenAI's error object.
    """

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.param = param
        self.code = code

    @property
    def scripted_error(self) -> ScriptedError:
        """The error that OpenAI sends."""
        return ScriptedError(status=400, message=str(self), param=self.param, code=self.code)


def build_error_object(error: ScriptedError) -> dict[str, Any]:
    """Return the error object for ``error`` (see https://platform.openai.com/docs/guides/error-codes)."""
    kind, code, message = _ERRORS.get(error.status, _SERVER_ERROR)
    message = message.format(organization=OPENAI_ORGANIZATION, project=OPENAI_PROJECT)
    return {
        "message": error.message if error.message is not None else message,
        "type": error.type or kind,
        "param": error.param,
        "code": error.code or code,
    }


def build_error_content(error: ScriptedError) -> bytes:
    """Return the body of a response that reports ``error``."""
    if isinstance(error.body, str):
        return error.body.encode()
    return format_json({"error": build_error_object(error)} if error.body is None else error.body)


def format_json(document: Any) -> bytes:
    """Return ``document`` as JSON in the layout of OpenAI's non-streamed responses."""
    return json.dumps(document, indent=2, ensure_ascii=False).encode()
