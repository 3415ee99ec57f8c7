"""Vertex AI's messages, in google-cloud-aiplatform's own protobuf types, to and from JSON.

The types are imported at the first call: importing them takes about a second.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any, Literal

from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import DecodeError, Message

Version = Literal["v1", "v1beta1"]

_NEWER_FIELDS = frozenset({"createTime", "responseId", "thoughtSignature", "id"})
"""Fields that not every version, and not every release of google-cloud-aiplatform, knows; it would refuse the
answer as a whole for them."""


class InvalidMessageError(ValueError):
    """JSON or bytes that are not the message they should be."""


@cache
def _types(version: Version) -> tuple[type[Message], type[Message]]:
    module = import_module(f"google.cloud.aiplatform_{version}.types.prediction_service")
    return module.GenerateContentRequest.pb(), module.GenerateContentResponse.pb()


def knows_signatures() -> bool:
    """Whether the installed types have the signatures of thoughts."""
    part = import_module("google.cloud.aiplatform_v1.types.content").Part.pb()
    return "thought_signature" in part.DESCRIPTOR.fields_by_name


def request_from_bytes(version: Version, content: bytes) -> dict[str, Any]:
    """A ``GenerateContentRequest`` on the wire as protobuf JSON. Raises `InvalidMessageError`."""
    request = _types(version)[0]()
    try:
        request.ParseFromString(content)
    except DecodeError as error:
        raise InvalidMessageError(str(error)) from error
    return MessageToDict(request)


def request_from_json(version: Version, body: Any, model: str) -> dict[str, Any]:
    """The JSON body of a request to ``model`` as the whole message's protobuf JSON. Raises `InvalidMessageError`
    for what the service would refuse: an unknown field, a wrong type."""
    request = _types(version)[0]()
    if not isinstance(body, Mapping):
        raise InvalidMessageError("Invalid JSON payload received.")
    try:
        ParseDict(dict(body), request)
    except ParseError as error:
        raise InvalidMessageError(f"Invalid JSON payload received. {error}") from error
    return {**MessageToDict(request), "model": model}


def response(version: Version, document: Mapping[str, Any]) -> Message:
    """A ``GenerateContentResponse`` from its JSON. Raises `InvalidMessageError` where it is none."""
    kind = _types(version)[1]
    try:
        return ParseDict(_known(document, kind.DESCRIPTOR), kind())
    except ParseError as error:
        raise InvalidMessageError(f"the scripted body is no GenerateContentResponse: {error}") from error


def _known(document: Any, kind: Any) -> Any:
    """``document`` without the newer fields that ``kind``, a message's descriptor, lacks."""
    if isinstance(document, list):
        return [_known(each, kind) for each in document]
    if not isinstance(document, Mapping):
        return document
    fields = {field.json_name: field for field in kind.fields}
    return {
        name: _known(value, inner) if name in fields and (inner := fields[name].message_type) else value
        for name, value in document.items()
        if name in fields or name not in _NEWER_FIELDS
    }
