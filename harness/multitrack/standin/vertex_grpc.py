"""GenerateContent over gRPC: bytes on the wire to a request, an answer to messages and a status."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any, cast

from multitrack.standin import vertex
from multitrack.standin.answers import RecordedAnswer
from multitrack.standin.identity import Headers, google_headers
from multitrack.standin.received import Received
from multitrack.standin.reply import GrpcReply, with_own
from multitrack.standin.script import Answer, Error, ScriptError
from multitrack.standin.source import Source, mistake
from multitrack.standin.vertex_types import InvalidMessageError, Version, request_from_bytes, response

_SPOKEN = re.compile(
    r"/google\.cloud\.aiplatform\.(v1|v1beta1)\.PredictionService/(GenerateContent|StreamGenerateContent)"
)
_CLOSED = Error(status=503, grpc_status="UNAVAILABLE", message="Socket closed")


def received(method: str, content: bytes, metadata: Headers, host: str | None) -> Received:
    """The call of ``method``, a full name, as a request; its body is None where it cannot be understood."""
    body: Any = None
    if _SPOKEN.fullmatch(method):
        with suppress(InvalidMessageError):
            body = request_from_bytes(_version(method), content)
    authority = host or vertex.host(body or {})
    return Received("grpc", "POST", f"grpc://{authority}{method}", metadata, body, content)


def respond(call: Received, source: Source, recorded: RecordedAnswer | None) -> GrpcReply:
    """The reply to ``call``: what was ``recorded`` for it, or what ``source`` answers."""
    if not _SPOKEN.fullmatch(call.path):
        message = f"the stand-in does not speak {call.path}; it speaks GenerateContent and StreamGenerateContent"
        return GrpcReply(google_headers(call.host), error=Error(status=501, message=message))
    streamed = call.path.endswith("/StreamGenerateContent")
    if call.body is None:
        answer, documents = Answer(error=Error(status=400, message="Invalid message.")), []
    else:
        asked = vertex.question(call.body)
        answer = _played(recorded) if recorded is not None else source.answer(asked)
        try:
            documents = vertex.responses(answer, asked, source.ids("gemini", call.body), streamed=streamed)
        except ScriptError as error:
            answer, documents = mistake(error), []
    try:
        messages = [response(_version(call.path), document) for document in documents]
    except InvalidMessageError as error:
        answer, messages = mistake(error), []
    ending = _CLOSED if answer.close else answer.error
    sent = tuple(message.SerializeToString(deterministic=True) for message in messages)
    if ending is not None:
        sent = sent[: answer.after or 0] if streamed else ()
    return GrpcReply(
        with_own(answer, google_headers(call.host)),
        sent,
        ending,
        delay=answer.delay,
        chunk_delay=answer.chunk_delay,
    )


def _version(method: str) -> Version:
    return cast(Version, method.split("/")[1].split(".")[-2])


def _played(recorded: RecordedAnswer) -> Answer:
    """A recorded answer; over gRPC an error is told by the error object that REST would have sent."""
    if recorded.status < 400:
        return Answer(body=recorded.body)
    error = json.loads(recorded.body)["error"]
    return Answer(
        error=Error(
            status=recorded.status,
            message=error.get("message"),
            grpc_status=error.get("status"),
            details=error.get("details", ()),
        )
    )
