"""Serve GenerateContent over gRPC: parse serialized requests, and reply with serialized messages and a status."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast

from multitrack.standin.answer_selection import AnswerSelector, bad_request_answer, internal_error_answer
from multitrack.standin.identity import Headers, google_headers
from multitrack.standin.recorded_responses import RecordedResponse
from multitrack.standin.reply import AnswerPart, GrpcReply, add_gates, count_parts_before_break, merge_headers
from multitrack.standin.request_log import ReceivedRequest
from multitrack.standin.script import ScriptedAnswer, ScriptedError, ScriptError
from multitrack.standin.vertex import generate_content as vertex
from multitrack.standin.vertex.protobuf_types import (
    InvalidMessageError,
    Version,
    build_response_message,
    decode_request,
)

_SUPPORTED = re.compile(
    r"/google\.cloud\.aiplatform\.(v1|v1beta1)\.PredictionService/(GenerateContent|StreamGenerateContent)"
)
_CLOSED = ScriptedError(status=503, grpc_status="UNAVAILABLE", message="Socket closed")


def parse_call(method: str, content: bytes, metadata: Headers, host: str | None) -> ReceivedRequest:
    """Convert a gRPC call to a request. The request has no body if the method is not supported or the message is not
    valid.

    Args:
        method: The full name of the method.
        content: The serialized message.
        metadata: The metadata of the call.
        host: The host that the client addressed; None to derive it from the model.
    """
    body: Any = None
    if _SUPPORTED.fullmatch(method):
        with suppress(InvalidMessageError):
            body = decode_request(_parse_version(method), content)
    authority = host or vertex.find_host(body or {})
    return ReceivedRequest("grpc", "POST", f"grpc://{authority}{method}", metadata, body, content)


def respond(call: ReceivedRequest, selector: AnswerSelector, recorded: RecordedResponse | None) -> GrpcReply:
    """Return the reply to ``call``: the recorded response if there is one, otherwise the selector's answer."""
    if not _SUPPORTED.fullmatch(call.path):
        message = f"the stand-in does not support {call.path}; it supports GenerateContent and StreamGenerateContent"
        return GrpcReply(google_headers(call.host), error=ScriptedError(status=501, message=message))
    streamed = call.path.endswith("/StreamGenerateContent")
    try:
        answer, documents = _build_answer(call, selector, recorded, streamed=streamed)
        parts = [AnswerPart(_serialize(call, document), starts_call) for starts_call, document in documents]
    except (InvalidMessageError, ScriptError) as error:
        answer, parts = internal_error_answer(error), []
    end = _CLOSED if answer.close else answer.error
    fails_after = None if end is None else (count_parts_before_break(parts, answer) if streamed else None) or 0
    return GrpcReply(
        merge_headers(answer, google_headers(call.host)),
        add_gates(parts, answer, streamed=streamed),
        end,
        fails_after,
        delay=answer.delay,
        chunk_delay=answer.chunk_delay,
    )


def _build_answer(
    call: ReceivedRequest, selector: AnswerSelector, recorded: RecordedResponse | None, *, streamed: bool
) -> tuple[ScriptedAnswer, list[vertex.ResponseDocument]]:
    if recorded is not None:
        answer = _build_recorded_answer(recorded)
        return answer, vertex.parse_scripted_body(answer.body) if answer.error is None else []
    try:
        if call.body is None:
            raise InvalidMessageError("Invalid message.")
        request = vertex.parse_request(call.body)
    except InvalidMessageError as error:
        return bad_request_answer(error), []
    answer = selector.select(request)
    ids = selector.next_ids("gemini", call.body)
    return answer, vertex.build_responses(answer, request, ids, streamed=streamed)


def _serialize(call: ReceivedRequest, document: Mapping[str, Any]) -> bytes:
    message: bytes = build_response_message(_parse_version(call.path), document).SerializeToString(deterministic=True)
    return message


def _parse_version(method: str) -> Version:
    return cast(Version, method.split("/")[1].split(".")[-2])


def _build_recorded_answer(recorded: RecordedResponse) -> ScriptedAnswer:
    """Return a recorded response as an answer. A recorded gRPC error has the error object that REST would send."""
    if recorded.status < 400:
        return ScriptedAnswer(body=recorded.body)
    error = json.loads(recorded.body)["error"]
    return ScriptedAnswer(
        error=ScriptedError(
            status=recorded.status,
            message=error.get("message"),
            grpc_status=error.get("status"),
            details=error.get("details", ()),
        )
    )
