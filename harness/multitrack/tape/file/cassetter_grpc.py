"""gRPC calls as cassetter keeps them: the method, and the messages by their bytes on the wire.

The messages' classes are those of the method in protobuf's pool, which holds every generated module that was imported,
or those of Vertex AI's. The place that was asked is not kept.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

from multitrack.tape.exchange import Headers, Request, Response
from multitrack.tape.google.protobuf import wire_to_json
from multitrack.tape.google.transcoding import Address
from multitrack.tape.google.vertex_messages import message_type
from multitrack.tape.interaction import Interaction

_LENGTH = 4


class _Method(NamedTuple):
    sent: type[Message]
    answered: type[Message]
    streams_requests: bool
    streams_responses: bool


def read(item: Mapping[str, Any]) -> Interaction:
    """The call that stands in ``item``. Raises ValueError where its method is of no module that was imported."""
    request, response = item["request"], item["response"]
    name = str(request["method"])
    url = f"grpc://{name}"
    method = _method(url, name)
    sent = _wire(request["body"])
    if method.streams_requests:
        body = _array(_frames(sent), method.sent)
    else:
        body = wire_to_json(sent, method.sent)
        # as it is, an array would be taken for a stream of messages
        body = f'{{"value": {body}}}' if body.startswith("[") else body
    code = int(response["status_code"])
    answer = _wire(response["body"])
    if method.streams_responses:
        content = _array(_frames(answer), method.answered)
    else:
        content = wire_to_json(answer, method.answered) if code == 0 else ""
    details = (("grpc-message", str(response["status_message"])),) if code else ()
    headers = (("content-type", "application/grpc"), ("grpc-status", str(code)), *details)
    return Interaction(
        Request("POST", url, _headers(request), body.encode()),
        Response(200, "OK", (*headers, *_headers(response)), content.encode()),
    )


def _method(url: str, name: str) -> _Method:
    service, _, method = name.strip("/").rpartition("/")
    try:
        if address := Address.of(url):
            sent, answered = (
                message_type(address.version, f"{address.message}{kind}") for kind in ("Request", "Response")
            )
            return _Method(sent, answered, streams_requests=False, streams_responses=address.streams)
        found: Any = descriptor_pool.Default().FindMethodByName(f"{service}.{method}")
    except (KeyError, ImportError) as error:
        raise ValueError(
            f"it calls {name}, which no imported module knows: import the generated one of {service} before the tape "
            "is opened, in conftest.py for one"
        ) from error
    told = descriptor_pb2.MethodDescriptorProto()
    found.CopyToProto(told)
    return _Method(
        message_factory.GetMessageClass(found.input_type),
        message_factory.GetMessageClass(found.output_type),
        told.client_streaming,
        told.server_streaming,
    )


def _wire(body: Mapping[str, Any]) -> bytes:
    return bytes.fromhex(body["content"]) if body["type"] == "binary" else b""


def _frames(content: bytes) -> Iterator[bytes]:
    place = 0
    while place < len(content):
        start = place + _LENGTH
        place = start + int.from_bytes(content[place:start], "big")
        if place > len(content):
            raise ValueError("a message of a stream is cut off")
        yield content[start:place]


def _array(wires: Iterator[bytes], kind: type[Message]) -> str:
    return f"[{', '.join(wire_to_json(wire, kind) for wire in wires)}]"


def _headers(message: Mapping[str, Any]) -> Headers:
    return tuple(
        (str(name).lower(), base64.b64encode(value).decode() if isinstance(value, bytes) else str(value))
        for name, values in message["metadata"].items()
        for value in values
    )
