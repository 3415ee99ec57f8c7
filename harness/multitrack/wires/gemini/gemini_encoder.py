"""Write a ``gemini`` answer from scratch, in one piece and streamed.

https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from multitrack.tool_call import ToolCall
from multitrack.wires.answer import WireAnswer
from multitrack.wires.encoding import PIECE_SIZE, create_id, parse_object_arguments, set_or_delete, split_text
from multitrack.wires.gemini.gemini_answer import read_arguments, read_filter_reason
from multitrack.wires.lenient_json import as_object, as_text


def build_response(answer: WireAnswer) -> dict[str, Any]:
    """Return the body of an answer with one candidate."""
    return {**_build_candidate(build_parts(answer), answer), **_build_usage(answer), **_build_envelope(answer)}


def build_chunks(answer: WireAnswer) -> list[dict[str, Any]]:
    """Return the chunks of an answer with one candidate."""
    *groups, (_, last) = group_parts(answer)
    chunks = [{**_build_candidate(parts, None), **_build_envelope(answer)} for _, parts in groups]
    if not answer.is_complete:
        return [*chunks, {**_build_candidate(last, None), **_build_envelope(answer)}]
    return [*chunks, {**_build_candidate(last, answer), **_build_usage(answer), **_build_envelope(answer)}]


def _build_candidate(parts: list[dict[str, Any]], answer: WireAnswer | None) -> dict[str, Any]:
    """Return a document with one candidate. The candidate has the finish reason of ``answer``, or none if ``answer`` is
    None.
    """
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}}
    if answer is None:
        return {"candidates": [{**candidate, "index": 0}]}
    candidates = {"candidates": [{**candidate, "finishReason": answer.finish_reason, "index": 0}]}
    return candidates | write_feedback(answer)


def _build_usage(answer: WireAnswer) -> dict[str, Any]:
    return {} if answer.usage is None else {"usageMetadata": dict(answer.usage)}


def _build_envelope(answer: WireAnswer) -> dict[str, Any]:
    model = {} if answer.model is None else {"modelVersion": answer.model}
    return {**model, "responseId": create_id(answer, "response", 22)}


def write_feedback(answer: WireAnswer) -> dict[str, Any]:
    """Return the ``promptFeedback`` field if the answer has a refusal that the finish reason does not express.

    Otherwise, return no fields. https://ai.google.dev/api/generate-content#PromptFeedback
    """
    refusal = own_refusal(answer)
    return {} if refusal is None else {"promptFeedback": {"blockReason": "OTHER", "blockReasonMessage": refusal}}


def own_refusal(answer: WireAnswer) -> str | None:
    """Return the refusal of ``answer``. None if there is no refusal, or if the finish reason already expresses it."""
    return None if answer.refusal == read_filter_reason({}, answer.finish_reason) else answer.refusal


def build_parts(answer: WireAnswer) -> list[dict[str, Any]]:
    """Return the text and the calls of ``answer`` as parts of a Gemini message.

    Raises:
        ValueError: If the arguments of a call are not a JSON object.
    """
    return [*([{"text": answer.text}] if answer.text else ()), *(write_call({}, call) for call in answer.calls)]


def group_parts(answer: WireAnswer, *, piece_size: int = PIECE_SIZE) -> list[tuple[int | None, list[dict[str, Any]]]]:
    """Return the chunks of a stream as pairs of a position and a list of parts.

    If a call starts in the chunk, the position is the index of that call. In the chunk that ends the stream, it is
    the number of calls. In all other chunks, it is None. Raises the same error as ``build_parts``.
    """
    groups: list[tuple[int | None, list[dict[str, Any]]]] = [
        *((None, [{"text": piece}]) for piece in split_text(answer.text or "", piece_size)),
        *((position, [write_call({}, call)]) for position, call in enumerate(answer.calls)),
    ]
    if answer.calls:
        # The end is a separate chunk, as in Google's streams.
        return [*groups, (len(answer.calls), [{"text": ""}])]
    return [*groups[:-1], (0, groups[-1][1])] if groups else [(None, [])]


def write_call(part: Mapping[str, Any], call: ToolCall) -> dict[str, Any]:
    """Return ``part`` with the complete id, name and arguments of ``call``, even if ``part`` had only some of them.

    Raises:
        ValueError: If the arguments of ``call`` differ from those in ``part``, and are not a JSON object.
    """
    recorded = as_object(part.get("functionCall"))
    partial = ("partialArgs", "willContinue")
    function = {key: value for key, value in recorded.items() if key not in partial} if part else {"id": call.id}
    if not part or as_text(recorded.get("id")) != call.id:
        set_or_delete(function, "id", call.id)
    if not part or (as_text(recorded.get("name")) or "") != call.name:
        function["name"] = call.name
    if read_arguments(recorded) != call.arguments:
        set_or_delete(function, "args", None if call.arguments is None else parse_object_arguments(call))
    return {**part, "functionCall": function}
