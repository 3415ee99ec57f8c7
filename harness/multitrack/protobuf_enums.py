"""Correct the spelling of enum names in protobuf JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def normalize_enum_names(document: Any, descriptor: Any) -> Any:
    """Return ``document`` with its enum names spelled as in ``descriptor``, the descriptor of its message type.

    Google's servers ignore the case of enum names, and clients rely on that. For example, a JSON Schema has the type
    ``object``, but Gemini's schema language has ``OBJECT``. Python's protobuf library accepts only ``OBJECT``. The
    C++ library has an option for this, ``case_insensitive_enum_parsing``:
    https://protobuf.dev/reference/cpp/api-docs/google.protobuf.util.json_util/
    """
    # the JSON of a well-known type, such as Struct, does not have the fields of its message
    if not isinstance(document, Mapping) or descriptor.full_name.startswith("google.protobuf."):
        return document
    fields = {name: field for field in descriptor.fields for name in (field.name, field.json_name)}
    return {
        name: _normalize_field(value, fields[name]) if name in fields else value for name, value in document.items()
    }


def _normalize_field(value: Any, field: Any) -> Any:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        inner = field.message_type.fields_by_name["value"]
        is_map = isinstance(value, Mapping)
        return {key: _normalize_field(item, inner) for key, item in value.items()} if is_map else value
    if isinstance(value, list):
        return [_normalize_field(item, field) for item in value]
    if field.message_type is not None:
        return normalize_enum_names(value, field.message_type)
    if field.enum_type is not None and isinstance(value, str) and value not in field.enum_type.values_by_name:
        name = value.upper().replace("-", "_")
        return name if name in field.enum_type.values_by_name else value
    return value
