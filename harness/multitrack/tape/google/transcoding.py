"""One method call, whatever the transport: what Vertex AI is asked of a model, over gRPC or REST.

The message is the same in both. REST has the name of the model in the path and the rest as protobuf JSON in the body
(https://google.aip.dev/127); streams come as a JSON array or as server-sent events, and errors with an HTTP status
(https://cloud.google.com/apis/docs/system-parameters). The HTTP rules are written here, since Google's generated
clients carry no descriptors of services in which they could be looked up.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

from multitrack.tape.exchange import Request, Response
from multitrack.tape.google import api_error
from multitrack.wires.framing import FrameParser

METHODS = {
    "generateContent": "model",
    "streamGenerateContent": "model",
    "embedContent": "model",
    "countTokens": "endpoint",
    "computeTokens": "endpoint",
    "predict": "endpoint",
}
"""The methods, as REST spells them, each with the field of its message that REST has in the path."""

# which of the two has a method, is another in another version of the API
_GRPC = re.compile(
    r"grpc://(?P<host>[^/]*)/google\.cloud\.aiplatform\.(?P<version>v1|v1beta1)\."
    r"(?:PredictionService|LlmUtilityService)/(?P<method>\w+)"
)
_REST = re.compile(
    r"https?://(?P<host>[^/]+)/(?P<version>v1|v1beta1)/(?P<resource>(?:projects|publishers|endpoints)/[^?:]+):"
    r"(?P<method>\w+)(?:\?(?P<query>.*))?"
)
# where protobuf JSON does not hold all of a message
_WIRE = "@wire"
_BYTES = frozenset({"data", "thoughtSignature"})
_LONG = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})
_JSON = ("content-type", "application/json; charset=UTF-8")
_EVENTS = ("content-type", "text/event-stream")


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a call and its answer are written. ``numbers``: enums by number; ``events``: a stream as server-sent events,
    and not as a JSON array. Neither means anything in gRPC."""

    grpc: bool
    numbers: bool = False
    events: bool = False


@dataclass(frozen=True, slots=True)
class Address:
    """What the URL of a call tells. ``method`` is one of `METHODS`; ``resource`` is None where the message has it;
    ``query`` is what is left of it without what says how the answer is to be written."""

    host: str
    version: str
    method: str
    encoding: Encoding
    resource: str | None = None
    query: str = ""

    @classmethod
    def of(cls, url: str) -> Address | None:
        """The address ``url``; None where it is of another method."""
        if found := _GRPC.fullmatch(url):
            method = found["method"][0].lower() + found["method"][1:]
            return cls(found["host"], found["version"], method, Encoding(grpc=True)) if method in METHODS else None
        if not (found := _REST.fullmatch(url)) or found["method"] not in METHODS:
            return None
        query = dict(parse_qsl(found["query"] or "", keep_blank_values=True))
        alternatives = query.pop("$alt", "")
        streams = found["method"].startswith("stream")
        encoding = Encoding(
            grpc=False, numbers="enum-encoding=int" in alternatives, events=query.pop("alt", "") == "sse" and streams
        )
        resource = unquote(found["resource"])
        return cls(found["host"], found["version"], found["method"], encoding, resource, urlencode(query))

    @property
    def streams(self) -> bool:
        """Whether the answer is a stream."""
        return self.method.startswith("stream")

    @property
    def message(self) -> str:
        """What the names of its messages begin with."""
        name = self.method.removeprefix("stream")
        return name[0].upper() + name[1:]


def method_call(request: Request, version: str) -> Request:
    """``request``, which has an `Address`, as a method call: equal for equal calls, whatever their transport and
    version of the API.

    Raises ValueError where ``version`` of the API does not know all that it says. Without google-cloud-aiplatform,
    which has the messages' classes, it is spelled as google-genai does, and ValueError says where that will not do.
    """
    address = Address.of(request.url)
    assert address is not None
    document = json.loads(request.body)
    try:
        from multitrack.tape.google import vertex_messages

        kind = vertex_messages.message_type(version, f"{address.message}Request")
    except ImportError as error:
        if not isinstance(document, dict) or _WIRE in document or address.encoding.numbers:
            raise ValueError(
                "google-cloud-aiplatform is not installed (pip install google-cloud-aiplatform)"
            ) from error
        document = _spelled(document)
    else:
        document = vertex_messages.spelled(document, kind)
    resource = document.pop(METHODS[address.method], None) or address.resource or ""
    if document.get("model") == resource:
        # the Vertex SDK says it twice where tokens are counted
        del document["model"]
    return replace(
        request,
        url=f"https://{address.host}/{resource}:{address.method}" + (f"?{address.query}" if address.query else ""),
        headers=(_JSON,),
        # google-genai sends a configuration in which nothing is set, where others send none
        body=json.dumps({name: value for name, value in document.items() if value != {}}).encode(),
    )


def _spelled(value: Any, name: str = "") -> Any:
    """A message of google-genai's, or of gRPC's as protobuf JSON, in the one spelling. They name fields and enums
    alike; what they write in two ways is bytes, and the numbers of 64 bits in a schema."""
    if isinstance(value, dict):
        return {key: _spelled(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_spelled(item, name) for item in value]
    if name in _BYTES and isinstance(value, str):
        return value.replace("-", "+").replace("_", "/")
    return str(value) if name in _LONG and isinstance(value, int) else value


def answer(response: Response, recorded: str, sent: str) -> Response:
    """``response``, which answered a request to the URL ``recorded``, as one to the URL ``sent`` is answered.

    Written anew, it comes at once. Headers are the transport's own, and are not taken over. What was cut off, or cannot
    be read, stays as it is.
    """
    if recorded == sent or response.ending != "complete":
        return response
    before, now = Address.of(recorded), Address.of(sent)
    if before is None or now is None or before.encoding == now.encoding:
        return response
    try:
        messages, error = _read(response, before)
    except ValueError:
        return response
    if not now.encoding.grpc:
        messages = [_printed(message, before, now) for message in messages]
    head, body = _written(messages, error, now)
    return replace(head, body=body)


def _read(response: Response, address: Address) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """The messages of an answer, and the error object with which it ended."""
    if address.encoding.grpc:
        return _documents(response.body), api_error.error_object(response)
    try:
        documents = _documents(response.body)
    except ValueError:
        documents = []
    messages = [document for document in documents if "error" not in document]
    error = next((document["error"] for document in documents if "error" in document), None)
    if response.status < 400:
        return messages, error
    if not isinstance(error, dict):
        error = {"message": response.body.decode("utf-8", "replace")}
    return [], {"code": response.status, **error}


def _documents(body: bytes) -> list[dict[str, Any]]:
    frames = FrameParser()
    return [json.loads(frame.data) for frame in (*frames.feed(body), *frames.close())]


def _printed(message: dict[str, Any], before: Address, now: Address) -> dict[str, Any]:
    if before.encoding.numbers == now.encoding.numbers and _WIRE not in message:
        return message
    try:
        from multitrack.tape.google import vertex_messages

        kind = vertex_messages.message_type(now.version, f"{now.message}Response")
    except ImportError:
        # what an older client did not know when it recorded, this one does not get
        return {name: value for name, value in message.items() if name != _WIRE}
    return vertex_messages.printed(message, kind, numbers=now.encoding.numbers)


def _written(messages: list[dict[str, Any]], error: dict[str, Any] | None, address: Address) -> tuple[Response, bytes]:
    texts = [json.dumps(message, ensure_ascii=False) for message in messages]
    if address.encoding.grpc:
        head = Response(200, "OK", (("content-type", "application/grpc"), *api_error.trailers(error)), b"")
        return head, (f"[{', '.join(texts)}]" if address.streams else "".join(texts)).encode()
    if error is not None:
        texts.append(json.dumps({"error": error}, ensure_ascii=False))
        if not messages:
            return Response(error["code"], _phrase(error["code"]), (_JSON,), b""), texts[0].encode()
    if not address.streams:
        return Response(200, "OK", (_JSON,), b""), (texts[0] if texts else "{}").encode()
    if address.encoding.events:
        return Response(200, "OK", (_EVENTS,), b""), "".join(f"data: {text}\r\n\r\n" for text in texts).encode()
    return Response(200, "OK", (_JSON,), b""), ("[" + ",\r\n".join(texts) + "]").encode()


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
