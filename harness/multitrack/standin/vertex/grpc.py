"""GenerateContent over gRPC: bytes on the wire to a request, an answer to messages and a status."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast

from multitrack.standin.answers import RecordedAnswer
from multitrack.standin.identity import Headers, google_headers
from multitrack.standin.received import Received
from multitrack.standin.reply import GrpcReply, Piece, broken_off, gated, with_own
from multitrack.standin.script import Answer, Error, ScriptError
from multitrack.standin.source import Source, mistake, refusal
from multitrack.standin.vertex import generate_content as vertex
from multitrack.standin.vertex.types import InvalidMessageError, Version, request_from_bytes, response

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
    try:
        answer, documents = _answered(call, source, recorded, streamed=streamed)
        pieces = [Piece(_on_the_wire(call, document), begins) for begins, document in documents]
    except (InvalidMessageError, ScriptError) as error:
        answer, pieces = mistake(error), []
    ending = _CLOSED if answer.close else answer.error
    fails_after = None if ending is None else (broken_off(pieces, answer) if streamed else None) or 0
    return GrpcReply(
        with_own(answer, google_headers(call.host)),
        gated(pieces, answer, streamed=streamed),
        ending,
        fails_after,
        delay=answer.delay,
        chunk_delay=answer.chunk_delay,
    )


def _answered(
    call: Received, source: Source, recorded: RecordedAnswer | None, *, streamed: bool
) -> tuple[Answer, list[tuple[int | None, dict[str, Any]]]]:
    if recorded is not None:
        answer = _played(recorded)
        return answer, vertex.scripted(answer.body) if answer.error is None else []
    try:
        if call.body is None:
            raise InvalidMessageError("Invalid message.")
        asked = vertex.question(call.body)
    except InvalidMessageError as error:
        return refusal(error), []
    answer = source.answer(asked)
    return answer, vertex.responses(answer, asked, source.ids("gemini", call.body), streamed=streamed)


def _on_the_wire(call: Received, document: Mapping[str, Any]) -> bytes:
    message: bytes = response(_version(call.path), document).SerializeToString(deterministic=True)
    return message


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
