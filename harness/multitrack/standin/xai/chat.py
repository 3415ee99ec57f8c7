"""Parse requests and write replies for xAI's ``GetCompletion`` and ``GetCompletionChunk`` over gRPC.

https://docs.x.ai/docs/grpc-reference
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from multitrack.standin.answer_selection import AnswerSelector, bad_request_answer, internal_error_answer
from multitrack.standin.identity import STANDIN_HEADER, XAI_HOST, Headers
from multitrack.standin.model_request import ModelRequest, count_turns
from multitrack.standin.reply import AnswerPart, GrpcReply, add_gates, count_parts_before_break, merge_headers
from multitrack.standin.request_log import ReceivedRequest
from multitrack.standin.response_ids import ResponseIds
from multitrack.standin.script import ScriptedAnswer, ScriptedError, ScriptError
from multitrack.standin.usage import count_answer_tokens, count_prompt_tokens
from multitrack.standin.xai.messages import InvalidXaiMessageError, decode_message, encode_message
from multitrack.wires.answer import WireAnswer
from multitrack.wires.tool import OfferedTool
from multitrack.wires.xai.xai_encoder import build_chunks, build_response

_PLAIN, _STREAMED = "/xai_api.Chat/GetCompletion", "/xai_api.Chat/GetCompletionChunk"
_CLOSED = ScriptedError(status=503, grpc_status="UNAVAILABLE", message="Socket closed")


def parse_call(method: str, content: bytes, metadata: Headers, host: str | None) -> ReceivedRequest:
    """Return a gRPC call as a request. The request's body is None if the method is unsupported or the message is
    invalid.
    """
    body: Any = None
    if method in (_PLAIN, _STREAMED):
        with suppress(InvalidXaiMessageError):
            body = decode_message("GetCompletionsRequest", content)
    return ReceivedRequest("grpc", "POST", f"grpc://{host or XAI_HOST}{method}", metadata, body, content)


def respond(call: ReceivedRequest, selector: AnswerSelector) -> GrpcReply:
    """Return the reply to ``call``."""
    headers = ((STANDIN_HEADER, call.host),)
    if call.path not in (_PLAIN, _STREAMED):
        message = f"the stand-in does not support {call.path}; it supports GetCompletion and GetCompletionChunk"
        return GrpcReply(headers, error=ScriptedError(status=501, message=message))
    is_streamed = call.path == _STREAMED
    try:
        answer, parts = _build_answer(call, selector, is_streamed=is_streamed)
    except (InvalidXaiMessageError, ScriptError) as error:
        answer, parts = internal_error_answer(error), []
    end = _CLOSED if answer.close else answer.error
    fails_after = None if end is None else (count_parts_before_break(parts, answer) if is_streamed else None) or 0
    return GrpcReply(
        merge_headers(answer, headers),
        add_gates(parts, answer, streamed=is_streamed),
        end,
        fails_after,
        delay=answer.delay,
        chunk_delay=answer.chunk_delay,
    )


def _build_answer(
    call: ReceivedRequest, selector: AnswerSelector, *, is_streamed: bool
) -> tuple[ScriptedAnswer, list[AnswerPart]]:
    if call.body is None:
        return bad_request_answer(InvalidXaiMessageError("Invalid message.")), []
    request = _parse_request(call.body)
    answer = selector.select(request)
    if answer.error is not None and not (is_streamed and answer.breaks_off):
        return answer, []
    written = _to_wire_answer(answer, request, selector.next_ids("xai", call.body))
    if not is_streamed:
        document = build_response(written) if answer.body is None else answer.body
        return answer, [AnswerPart(encode_message("GetChatCompletionResponse", document))]
    chunks = list(build_chunks(written, piece_size=answer.delta_size)) if answer.body is None else [answer.body]
    return answer, list(_write_chunks(chunks))


def _write_chunks(chunks: list[dict[str, Any]]) -> Iterator[AnswerPart]:
    count = 0
    for chunk in chunks:
        output = chunk["outputs"][0] if chunk.get("outputs") else {}
        is_call = "toolCalls" in output.get("delta", {})
        starts_call = count if is_call or output.get("finishReason") else None
        count += is_call
        yield AnswerPart(encode_message("GetChatCompletionChunk", chunk), starts_call)


def _parse_request(body: Mapping[str, Any]) -> ModelRequest:
    messages = body.get("messages", ())
    roles = [str(message.get("role", "")).removeprefix("ROLE_") for message in messages]
    texts = ["".join(part.get("text", "") for part in message.get("content", ())) for message in messages]
    prompts = [text for role, text in zip(roles, texts, strict=True) if role == "USER"]
    tools = tuple(_read_tools(body))
    choice = body.get("toolChoice") or {}
    forced = choice.get("functionName")
    return ModelRequest(
        model=body.get("model", ""),
        prompt=prompts[-1] if prompts else "",
        texts=tuple(texts),
        tools=tools,
        callable_tools=()
        if choice.get("mode") == "TOOL_MODE_NONE"
        else tuple(tool for tool in tools if forced in (None, tool.name)),
        after_results=bool(roles) and roles[-1] == "TOOL",
        turn=count_turns(role == "ASSISTANT" for role in roles),
    )


def _read_tools(body: Mapping[str, Any]) -> Iterator[OfferedTool]:
    for tool in body.get("tools", ()):
        if function := tool.get("function"):
            try:
                schema = json.loads(function.get("parameters") or '{"type": "object"}')
            except ValueError as error:
                raise InvalidXaiMessageError(f"the parameters of {function.get('name')} are not JSON") from error
            yield OfferedTool(function.get("name", ""), schema)


def _to_wire_answer(answer: ScriptedAnswer, request: ModelRequest, ids: ResponseIds) -> WireAnswer:
    prompt_tokens, answer_tokens = count_prompt_tokens(request), count_answer_tokens(answer)
    default = "REASON_MAX_LEN" if answer.truncated else "REASON_TOOL_CALLS" if answer.calls else "REASON_STOP"
    return replace(
        answer.to_wire_answer(lambda position: f"call_{ids.alphanumeric(f'call/{position}', 8)}"),
        # xAI has no field for a refusal
        text=answer.refusal or answer.text or None,
        refusal=None,
        finish_reason=answer.finish_reason or default,
        model=request.model,
        usage={
            "promptTokens": prompt_tokens,
            "completionTokens": answer_tokens,
            "totalTokens": prompt_tokens + answer_tokens,
        },
    )
