"""Convert calls to Vertex AI models, and their responses, between gRPC and REST.

Both transports carry the same message. In REST, the model's name is in the path, and the other fields are in the body
as protobuf JSON (https://google.aip.dev/127). A REST stream is a JSON array or consists of server-sent events. A REST
error has an HTTP status (https://cloud.google.com/apis/docs/system-parameters).

The HTTP rules are hard-coded here because Google's generated clients do not contain the service descriptors that
define them.
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
"""The supported methods by their REST names, each with the field of its message that a REST URL has in its path."""

# the service that has a method differs between API versions
_GRPC = re.compile(
    r"grpc://(?P<host>[^/]*)/google\.cloud\.aiplatform\.(?P<version>v1|v1beta1)\."
    r"(?:PredictionService|LlmUtilityService)/(?P<method>\w+)"
)
_REST = re.compile(
    r"https?://(?P<host>[^/]+)/(?P<version>v1|v1beta1)/(?P<resource>(?:projects|publishers|endpoints)/[^?:]+):"
    r"(?P<method>\w+)(?:\?(?P<query>.*))?"
)
# marks a message that protobuf JSON cannot represent completely
_WIRE = "@wire"
_BYTES = frozenset({"data", "thoughtSignature"})
_LONG = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})
_JSON = ("content-type", "application/json; charset=UTF-8")
_EVENTS = ("content-type", "text/event-stream")


@dataclass(frozen=True, slots=True)
class VertexEncoding:
    """The encoding of a Vertex AI call and its response.

    ``enums_as_numbers`` and ``uses_events`` apply to REST only.
    """

    is_grpc: bool
    enums_as_numbers: bool = False
    uses_events: bool = False
    """True if a stream consists of server-sent events. Otherwise, the stream is a JSON array."""


@dataclass(frozen=True, slots=True)
class VertexUrl:
    """The parts of the URL of a Vertex AI call.

    ``method`` is one of ``METHODS``. ``resource`` is ``None`` if the resource is only in the message. ``query`` has
    no parameters that select the encoding of the response.
    """

    host: str
    version: str
    method: str
    encoding: VertexEncoding
    resource: str | None = None
    query: str = ""

    @classmethod
    def parse(cls, url: str) -> VertexUrl | None:
        """Parse ``url``. None if it is not the URL of a supported method."""
        if match := _GRPC.fullmatch(url):
            method = match["method"][0].lower() + match["method"][1:]
            encoding = VertexEncoding(is_grpc=True)
            return cls(match["host"], match["version"], method, encoding) if method in METHODS else None
        if not (match := _REST.fullmatch(url)) or match["method"] not in METHODS:
            return None
        query = dict(parse_qsl(match["query"] or "", keep_blank_values=True))
        alternatives = query.pop("$alt", "")
        is_streaming = match["method"].startswith("stream")
        encoding = VertexEncoding(
            is_grpc=False,
            enums_as_numbers="enum-encoding=int" in alternatives,
            uses_events=query.pop("alt", "") == "sse" and is_streaming,
        )
        resource = unquote(match["resource"])
        return cls(match["host"], match["version"], match["method"], encoding, resource, urlencode(query))

    @property
    def is_streaming(self) -> bool:
        """True if the response is a stream."""
        return self.method.startswith("stream")

    @property
    def message_prefix(self) -> str:
        """The prefix of the names of the method's messages, such as ``GenerateContent``."""
        name = self.method.removeprefix("stream")
        return name[0].upper() + name[1:]


def canonical_call(request: Request, version: str) -> Request:
    """Return the canonical form of a request whose URL is a ``VertexUrl``.

    Equal calls have the same canonical form, regardless of the transport and the API version. google-cloud-aiplatform
    provides the message classes. If it is not installed, the message is written in google-genai's form.

    Raises:
        ValueError: This ``version`` of the API lacks a field of the request, or the message cannot be written in
            google-genai's form.
    """
    url = VertexUrl.parse(request.url)
    assert url is not None
    document = json.loads(request.body)
    try:
        from multitrack.tape.google import vertex_messages

        kind = vertex_messages.find_message_class(version, f"{url.message_prefix}Request")
    except ImportError as error:
        if not isinstance(document, dict) or _WIRE in document or url.encoding.enums_as_numbers:
            raise ValueError(
                "google-cloud-aiplatform is not installed (pip install google-cloud-aiplatform)"
            ) from error
        document = _normalize(document)
    else:
        document = vertex_messages.normalize_request(document, kind)
    resource = document.pop(METHODS[url.method], None) or url.resource or ""
    if document.get("model") == resource:
        # the Vertex SDK sends the model twice if it counts tokens
        del document["model"]
    return replace(
        request,
        url=f"https://{url.host}/{resource}:{url.method}" + (f"?{url.query}" if url.query else ""),
        headers=(_JSON,),
        # google-genai sends an empty configuration, which other clients leave out
        body=json.dumps({name: value for name, value in document.items() if value != {}}).encode(),
    )


def _normalize(value: Any, name: str = "") -> Any:
    """Return a message in normal form. The message comes from google-genai, or is a gRPC message as protobuf JSON.

    The two forms use the same names of fields and enums, but different base64 alphabets for bytes. For 64-bit numbers
    in a schema, one form contains strings, and the other contains numbers.
    """
    if isinstance(value, dict):
        return {key: _normalize(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_normalize(item, name) for item in value]
    if name in _BYTES and isinstance(value, str):
        return value.replace("-", "+").replace("_", "/")
    return str(value) if name in _LONG and isinstance(value, int) else value


def transcode_response(response: Response, recorded: str, sent: str) -> Response:
    """Convert ``response``, which answered a request for the URL ``recorded``, into a response for the URL ``sent``.

    A converted response arrives in one chunk, and has the headers of the new transport. A response that was cut off
    or cannot be read is returned unchanged.
    """
    if recorded == sent or response.ending != "complete":
        return response
    source, target = VertexUrl.parse(recorded), VertexUrl.parse(sent)
    if source is None or target is None or source.encoding == target.encoding:
        return response
    try:
        messages, error = _read_messages(response, source)
    except ValueError:
        return response
    if not target.encoding.is_grpc:
        messages = [_convert_message(message, source, target) for message in messages]
    head, body = _write_messages(messages, error, target)
    return replace(head, body=body)


def _read_messages(response: Response, url: VertexUrl) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """Return the messages of a response, and its error object if it ended with an error."""
    if url.encoding.is_grpc:
        return _parse_documents(response.body), api_error.build_error_object(response)
    try:
        documents = _parse_documents(response.body)
    except ValueError:
        documents = []
    messages = [document for document in documents if "error" not in document]
    error = next((document["error"] for document in documents if "error" in document), None)
    if response.status < 400:
        return messages, error
    if not isinstance(error, dict):
        error = {"message": response.body.decode("utf-8", "replace")}
    return [], {"code": response.status, **error}


def _parse_documents(body: bytes) -> list[dict[str, Any]]:
    frames = FrameParser()
    return [json.loads(frame.data) for frame in (*frames.feed(body), *frames.close())]


def _convert_message(message: dict[str, Any], source: VertexUrl, target: VertexUrl) -> dict[str, Any]:
    if source.encoding.enums_as_numbers == target.encoding.enums_as_numbers and _WIRE not in message:
        return message
    try:
        from multitrack.tape.google import vertex_messages

        kind = vertex_messages.find_message_class(target.version, f"{target.message_prefix}Response")
    except ImportError:
        # without the classes, fields that were unknown to the recording client cannot be read from the wire bytes
        return {name: value for name, value in message.items() if name != _WIRE}
    return vertex_messages.format_response(message, kind, enums_as_numbers=target.encoding.enums_as_numbers)


def _write_messages(
    messages: list[dict[str, Any]], error: dict[str, Any] | None, url: VertexUrl
) -> tuple[Response, bytes]:
    """Return a response with an empty body, and the real body separately."""
    texts = [json.dumps(message, ensure_ascii=False) for message in messages]
    if url.encoding.is_grpc:
        head = Response(200, "OK", (("content-type", "application/grpc"), *api_error.build_trailers(error)), b"")
        return head, (f"[{', '.join(texts)}]" if url.is_streaming else "".join(texts)).encode()
    if error is not None:
        texts.append(json.dumps({"error": error}, ensure_ascii=False))
        if not messages:
            return Response(error["code"], _reason_phrase(error["code"]), (_JSON,), b""), texts[0].encode()
    if not url.is_streaming:
        return Response(200, "OK", (_JSON,), b""), (texts[0] if texts else "{}").encode()
    if url.encoding.uses_events:
        return Response(200, "OK", (_EVENTS,), b""), "".join(f"data: {text}\r\n\r\n" for text in texts).encode()
    return Response(200, "OK", (_JSON,), b""), ("[" + ",\r\n".join(texts) + "]").encode()


def _reason_phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
