"""The definitions of the ``xai_api.Chat`` messages that the stand-in needs, so that it does not require xAI's SDK.

The fields and their numbers are those of https://github.com/xai-org/xai-proto/blob/main/proto/xai/api/v1/chat.proto.
The messages have their own descriptor pool, because the SDK registers the same names in the default pool.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from google.protobuf import timestamp_pb2
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

_PACKAGE = "xai_api"
_TYPES = {"string": FieldDescriptorProto.TYPE_STRING, "int32": FieldDescriptorProto.TYPE_INT32}

# for each enumeration, its values by number
_ENUMS: Mapping[str, Mapping[int, str]] = {
    "MessageRole": {
        0: "INVALID_ROLE",
        1: "ROLE_USER",
        2: "ROLE_ASSISTANT",
        3: "ROLE_SYSTEM",
        4: "ROLE_FUNCTION",
        5: "ROLE_TOOL",
        6: "ROLE_DEVELOPER",
    },
    "FinishReason": {
        0: "REASON_INVALID",
        1: "REASON_MAX_LEN",
        2: "REASON_MAX_CONTEXT",
        3: "REASON_STOP",
        4: "REASON_TOOL_CALLS",
        5: "REASON_TIME_LIMIT",
    },
    "ToolCallType": {0: "TOOL_CALL_TYPE_INVALID", 1: "TOOL_CALL_TYPE_CLIENT_SIDE_TOOL"},
    "ToolMode": {0: "TOOL_MODE_INVALID", 1: "TOOL_MODE_AUTO", 2: "TOOL_MODE_NONE", 3: "TOOL_MODE_REQUIRED"},
}
# for each message, its fields with their numbers and types; an asterisk marks a repeated field
_MESSAGES: Mapping[str, Mapping[str, tuple[int, str]]] = {
    "GetCompletionsRequest": {
        "messages": (1, "Message*"),
        "model": (2, "string"),
        "tools": (17, "Tool*"),
        "tool_choice": (18, "ToolChoice"),
    },
    "Message": {
        "content": (1, "Content*"),
        "role": (2, "MessageRole"),
        "tool_calls": (4, "ToolCall*"),
        "tool_call_id": (7, "string"),
    },
    "Content": {"text": (1, "string")},
    "Tool": {"function": (1, "Function")},
    "Function": {"name": (1, "string"), "description": (2, "string"), "parameters": (4, "string")},
    "ToolChoice": {"mode": (1, "ToolMode"), "function_name": (2, "string")},
    "ToolCall": {"id": (1, "string"), "type": (2, "ToolCallType"), "function": (10, "FunctionCall")},
    "FunctionCall": {"name": (1, "string"), "arguments": (2, "string")},
    "GetChatCompletionResponse": {
        "id": (1, "string"),
        "outputs": (2, "CompletionOutput*"),
        "created": (5, "Timestamp"),
        "model": (6, "string"),
        "usage": (9, "SamplingUsage"),
    },
    "CompletionOutput": {
        "finish_reason": (1, "FinishReason"),
        "index": (2, "int32"),
        "message": (3, "CompletionMessage"),
    },
    "CompletionMessage": {"content": (1, "string"), "role": (2, "MessageRole"), "tool_calls": (3, "ToolCall*")},
    "GetChatCompletionChunk": {
        "id": (1, "string"),
        "outputs": (2, "CompletionOutputChunk*"),
        "created": (3, "Timestamp"),
        "model": (4, "string"),
        "usage": (6, "SamplingUsage"),
    },
    "CompletionOutputChunk": {
        "delta": (1, "CompletionMessage"),
        "finish_reason": (3, "FinishReason"),
        "index": (4, "int32"),
    },
    "SamplingUsage": {"completion_tokens": (1, "int32"), "prompt_tokens": (2, "int32"), "total_tokens": (3, "int32")},
}


class InvalidXaiMessageError(ValueError):
    """The bytes or the JSON document are not a valid xAI message."""


def decode_message(name: str, content: bytes) -> dict[str, Any]:
    """Convert a serialized message of the type ``name`` to protobuf JSON.

    Raises:
        InvalidXaiMessageError: The bytes are not a valid message of this type.
    """
    message = _message_class(name)()
    try:
        message.ParseFromString(content)
    except DecodeError as error:
        raise InvalidXaiMessageError(str(error)) from error
    return MessageToDict(message)


def encode_message(name: str, document: Mapping[str, Any]) -> bytes:
    """Serialize protobuf JSON as a message of the type ``name``. Unknown fields are left out.

    Raises:
        InvalidXaiMessageError: The document is not a valid message of this type.
    """
    try:
        message = ParseDict(dict(document), _message_class(name)(), ignore_unknown_fields=True)
    except ParseError as error:
        raise InvalidXaiMessageError(str(error)) from error
    content: bytes = message.SerializeToString(deterministic=True)
    return content


def _message_class(name: str) -> type[Message]:
    return GetMessageClass(_load_pool().FindMessageTypeByName(f"{_PACKAGE}.{name}"))


@cache
def _load_pool() -> DescriptorPool:
    file = FileDescriptorProto(name="multitrack/xai_chat.proto", package=_PACKAGE, syntax="proto3")
    file.dependency.append(timestamp_pb2.DESCRIPTOR.name)
    for name, values in _ENUMS.items():
        enumeration = file.enum_type.add(name=name)
        for number, value in values.items():
            enumeration.value.add(name=value, number=number)
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            _add_field(message.field.add(name=field, number=number), kind)
    pool = DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    return pool


def _add_field(field: FieldDescriptorProto, kind: str) -> None:
    name = kind.removesuffix("*")
    field.label = FieldDescriptorProto.LABEL_REPEATED if kind != name else FieldDescriptorProto.LABEL_OPTIONAL
    if name in _TYPES:
        field.type = _TYPES[name]
    elif name in _ENUMS:
        field.type, field.type_name = FieldDescriptorProto.TYPE_ENUM, f".{_PACKAGE}.{name}"
    else:
        package = "google.protobuf" if name == "Timestamp" else _PACKAGE
        field.type, field.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".{package}.{name}"
