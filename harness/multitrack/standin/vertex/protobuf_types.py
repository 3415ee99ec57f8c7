"""Convert Vertex AI's messages to and from JSON, using the protobuf types in google-cloud-aiplatform.

The types are imported on first use, because importing them takes about a second.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any, Literal

from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import DecodeError, Message

from multitrack.protobuf_enums import normalize_enum_names

Version = Literal["v1", "v1beta1"]

_NEWER_FIELDS = frozenset({"createTime", "responseId", "thoughtSignature", "id"})
"""Fields that some API versions and some releases of google-cloud-aiplatform do not have.

Such a version would reject the whole response because of an unknown field.
"""


class InvalidMessageError(ValueError):
    """JSON or bytes that are not a valid message of the expected type."""


@cache
def _import_types(version: Version) -> tuple[type[Message], type[Message]]:
    module = import_module(f"google.cloud.aiplatform_{version}.types.prediction_service")
    return module.GenerateContentRequest.pb(), module.GenerateContentResponse.pb()


def supports_signatures() -> bool:
    """Return whether the installed google-cloud-aiplatform has the ``thought_signature`` field."""
    part = import_module("google.cloud.aiplatform_v1.types.content").Part.pb()
    return "thought_signature" in part.DESCRIPTOR.fields_by_name


def decode_request(version: Version, content: bytes) -> dict[str, Any]:
    """Return a serialized ``GenerateContentRequest`` as protobuf JSON.

    Raises ``InvalidMessageError`` if the bytes are not a ``GenerateContentRequest``.
    """
    request = _import_types(version)[0]()
    try:
        request.ParseFromString(content)
    except DecodeError as error:
        raise InvalidMessageError(str(error)) from error
    return MessageToDict(request)


def parse_request_body(version: Version, body: Any, model: str) -> dict[str, Any]:
    """Convert a JSON body to a ``GenerateContentRequest`` as protobuf JSON, and add the name of the model.

    Raises ``InvalidMessageError`` for an unknown field or a wrong type, which the service would reject.
    """
    request = _import_types(version)[0]()
    if not isinstance(body, Mapping):
        raise InvalidMessageError("Invalid JSON payload received.")
    try:
        ParseDict(normalize_enum_names(body, request.DESCRIPTOR), request)
    except ParseError as error:
        raise InvalidMessageError(f"Invalid JSON payload received. {error}") from error
    return {**MessageToDict(request), "model": model}


def build_response_message(version: Version, document: Mapping[str, Any]) -> Message:
    """Convert JSON to a ``GenerateContentResponse``. Raises ``InvalidMessageError`` if ``document`` is not valid."""
    response_type = _import_types(version)[1]
    try:
        return ParseDict(_drop_unknown_fields(document, response_type.DESCRIPTOR), response_type())
    except ParseError as error:
        raise InvalidMessageError(f"the scripted body is not a GenerateContentResponse: {error}") from error


def _drop_unknown_fields(document: Any, descriptor: Any) -> Any:
    """Return ``document`` without those ``_NEWER_FIELDS`` that the message type does not have."""
    if isinstance(document, list):
        return [_drop_unknown_fields(item, descriptor) for item in document]
    if not isinstance(document, Mapping):
        return document
    fields = {field.json_name: field for field in descriptor.fields}
    return {
        name: _drop_unknown_fields(value, inner) if name in fields and (inner := fields[name].message_type) else value
        for name, value in document.items()
        if name in fields or name not in _NEWER_FIELDS
    }
