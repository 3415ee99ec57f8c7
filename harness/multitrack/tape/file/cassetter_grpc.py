"""Read gRPC calls from cassetter's cassettes, which store the method and the bytes of each message, but not the host.

The message classes come from Vertex AI's modules, or from protobuf's pool. The pool has the classes of all generated
modules that were imported.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

from multitrack.tape.exchange import Headers, Request, Response
from multitrack.tape.google.protobuf import wire_to_json
from multitrack.tape.google.transcoding import VertexUrl
from multitrack.tape.google.vertex_messages import find_message_class
from multitrack.tape.interaction import Interaction

_LENGTH = 4


class _Method(NamedTuple):
    request_type: type[Message]
    response_type: type[Message]
    streams_requests: bool
    streams_responses: bool


def read(item: Mapping[str, Any]) -> Interaction:
    """Return the gRPC call stored in ``item``. Raises ValueError if no imported module defines the call's method."""
    request, response = item["request"], item["response"]
    name = str(request["method"])
    url = f"grpc://{name}"
    method = _find_method(url, name)
    sent = _read_bytes(request["body"])
    if method.streams_requests:
        body = _join_messages(_split_frames(sent), method.request_type)
    else:
        body = wire_to_json(sent, method.request_type)
        # an array by itself would look like a stream of messages
        body = f'{{"value": {body}}}' if body.startswith("[") else body
    code = int(response["status_code"])
    answer = _read_bytes(response["body"])
    if method.streams_responses:
        content = _join_messages(_split_frames(answer), method.response_type)
    else:
        content = wire_to_json(answer, method.response_type) if code == 0 else ""
    details = (("grpc-message", str(response["status_message"])),) if code else ()
    headers = (("content-type", "application/grpc"), ("grpc-status", str(code)), *details)
    return Interaction(
        Request("POST", url, _read_headers(request), body.encode()),
        Response(200, "OK", (*headers, *_read_headers(response)), content.encode()),
    )


def _find_method(url: str, name: str) -> _Method:
    service, _, method = name.strip("/").rpartition("/")
    try:
        if address := VertexUrl.parse(url):
            sent, answered = (
                find_message_class(address.version, f"{address.message_prefix}{kind}")
                for kind in ("Request", "Response")
            )
            return _Method(sent, answered, streams_requests=False, streams_responses=address.is_streaming)
        found: Any = descriptor_pool.Default().FindMethodByName(f"{service}.{method}")
    except (KeyError, ImportError) as error:
        raise ValueError(
            f"no imported module defines the gRPC method {name}; import the module generated for {service} before the "
            "cassette is opened, for example in conftest.py"
        ) from error
    description = descriptor_pb2.MethodDescriptorProto()
    found.CopyToProto(description)
    return _Method(
        message_factory.GetMessageClass(found.input_type),
        message_factory.GetMessageClass(found.output_type),
        description.client_streaming,
        description.server_streaming,
    )


def _read_bytes(body: Mapping[str, Any]) -> bytes:
    return bytes.fromhex(body["content"]) if body["type"] == "binary" else b""


def _split_frames(content: bytes) -> Iterator[bytes]:
    end = 0
    while end < len(content):
        start = end + _LENGTH
        end = start + int.from_bytes(content[end:start], "big")
        if end > len(content):
            raise ValueError("a streamed message is truncated")
        yield content[start:end]


def _join_messages(wires: Iterator[bytes], kind: type[Message]) -> str:
    return f"[{', '.join(wire_to_json(wire, kind) for wire in wires)}]"


def _read_headers(message: Mapping[str, Any]) -> Headers:
    return tuple(
        (str(name).lower(), base64.b64encode(value).decode() if isinstance(value, bytes) else str(value))
        for name, values in message["metadata"].items()
        for value in values
    )
