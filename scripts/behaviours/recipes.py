"""How the stand-in provider shows each behaviour: the answers of its script, and what the request needs for it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from scripts.behaviours.wire_requests import MODELS, RequestOptions

from multitrack import wires
from multitrack.standin import ScriptedAnswer, ScriptedCall, ScriptedError
from multitrack.tool_call import ToolCall
from multitrack.wires import WireAnswer
from multitrack.wires.stream_text import parse_stream

TORONTO = ScriptedCall("Weather", {"location": "Toronto", "units": "metric"})
DALLAS = ScriptedCall("Weather", {"location": "Dallas", "units": "imperial"})
SUPER_BOWL = ScriptedCall("GoogleSearch", {"query": "who won the super bowl"})
THREE = (TORONTO, DALLAS, SUPER_BOWL)
TEXT = "It is 12 °C and cloudy in Toronto."
REFUSAL = "I'm sorry, but I can't help with that."
THOUGHT = "The user asks for the weather, so I call the tool."
SIGNATURE = base64.b64encode(b"the signature of a thought, which only the provider reads").decode()
WAIT = 0.4
"""Seconds that the stand-in waits in the behaviour read_timeout."""


@dataclass(frozen=True)
class Recipe:
    """The answers to the requests before the tool results, and what differs in these requests."""

    answers: tuple[ScriptedAnswer, ...]
    options: RequestOptions = field(default_factory=RequestOptions)
    times_out: bool = False


def find_recipe(cell: str, name: str) -> Recipe:
    """Return how to record the behaviour ``name`` in the wire format ``cell``."""
    return _RECIPES[name](cell)


def _answer(**fields: Any) -> Callable[[str], Recipe]:
    return lambda _: Recipe((ScriptedAnswer(**fields),))


def _wire(cell: str) -> str:
    return cell.removesuffix(".stream").removesuffix(".grpc")


def _is_stream(cell: str) -> bool:
    return cell.endswith(".stream")


# --- arguments and ids ------------------------------------------------------------------------------------------------


def _truncate(cell: str) -> Recipe:
    # an API with objects sends the fields that were complete
    has_text = _wire(cell).startswith("openai") or _is_stream(cell)
    arguments: Any = '{"location":"Toronto","uni' if has_text else {"location": "Toronto"}
    return Recipe((ScriptedAnswer(calls=[ScriptedCall("Weather", arguments)], truncated=True),))


def _empty(cell: str) -> Recipe:
    has_text = _wire(cell).startswith("openai") or (_is_stream(cell) and _wire(cell) != "gemini")
    return Recipe((ScriptedAnswer(calls=[ScriptedCall("Weather", "" if has_text else {})]),))


def _space(_: str) -> Recipe:
    text = ' {\n "location" : "Toronto" ,\n "units" : "metr\\u0069c" }\n'
    return Recipe((ScriptedAnswer(calls=[ScriptedCall("Weather", text)]),))


def _repeat_id(cell: str) -> Recipe:
    calls = [ScriptedCall(call.name, call.arguments, id="call_1") for call in (TORONTO, DALLAS)]
    if _wire(cell) != "gemini":
        return Recipe((ScriptedAnswer(calls=calls),))
    return Recipe((ScriptedAnswer(body=_write_gemini(cell, [_candidate([_call_part(call) for call in calls])])),))


# --- deltas of chat completions ---------------------------------------------------------------------------------------


def _wire_calls(calls: Iterable[ScriptedCall] = THREE) -> WireAnswer:
    named = enumerate(calls)
    return WireAnswer(tuple(ToolCall(f"call_{n + 1}", call.name, call.text, n) for n, call in named), model="")


def _stream_documents(wire: str, answer: WireAnswer) -> list[Any]:
    body = wires.encode_answer(answer, f"{wire}.stream")
    return [chunk.document for chunk in parse_stream(body).chunks]


def _write_events(documents: Iterable[Any]) -> str:
    return "".join(
        f"data: {'[DONE]' if one is None else json.dumps(one, ensure_ascii=False, separators=(',', ':'))}\n\n"
        for one in documents
    )


def _edit_deltas(edit: Callable[[dict[str, Any]], None], *, is_whole: bool = False) -> Callable[[str], Recipe]:
    """Return a recipe for a stream of chat completions, in which ``edit`` changes every fragment of a call."""

    def recipe(_: str) -> Recipe:
        answer = _wire_calls()
        documents = _join_fragments(answer) if is_whole else _stream_documents("openai.chat", answer)
        for document in documents:
            for choice in (document or {}).get("choices", ()):
                for fragment in choice["delta"].get("tool_calls", ()):
                    edit(fragment)
        return Recipe((ScriptedAnswer(body=_write_events(_name_model(documents))),))

    return recipe


def _name_model(documents: Iterable[Any]) -> list[Any]:
    return [one if one is None else {**one, "model": MODELS["openai.chat"]} for one in documents]


def _join_fragments(answer: WireAnswer) -> list[Any]:
    """Return the chunks of a stream in which each call is one delta."""
    documents = _stream_documents("openai.chat", answer)
    opening, (*_, end, done) = documents[0], documents
    deltas: list[dict[str, Any]] = [
        {
            "index": call.index,
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for call in answer.calls
    ]
    first = {**opening, "choices": [{**opening["choices"][0], "delta": {"role": "assistant", "content": None}}]}
    chunks = [{**opening, "choices": [{**opening["choices"][0], "delta": {"tool_calls": [one]}}]} for one in deltas]
    return [first, *chunks, end, done]


def _send_one_delta(cell: str) -> Recipe:
    if _wire(cell) == "openai.chat":
        return _edit_deltas(lambda _: None, is_whole=True)(cell)
    return Recipe((ScriptedAnswer(calls=[TORONTO], delta_size=10_000),))


# --- reasoning, signatures and several choices ------------------------------------------------------------------------


def _reason(cell: str) -> Recipe:
    match _wire(cell):
        case "openai.chat":
            return _add_chat_field(cell, "reasoning_content", THOUGHT)
        case "openai.responses":
            item = {
                "id": "rs_1",
                "type": "reasoning",
                "summary": [{"type": "summary_text", "text": THOUGHT}],
            }
            return _add_item(cell, item)
        case "gemini":
            parts = [{"text": THOUGHT, "thought": True}, _call_part(TORONTO)]
            return Recipe((ScriptedAnswer(body=_write_gemini(cell, [_candidate(parts)])),))
        case wire:
            return Recipe((ScriptedAnswer(calls=[TORONTO]),), _ask_for_reasoning(wire))


def _ask_for_reasoning(wire: str) -> RequestOptions:
    thinking = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    if wire == "bedrock":
        return RequestOptions(fields={"additionalModelRequestFields": thinking})
    return RequestOptions(fields={**thinking, "max_tokens": 4096})


def _sign(cell: str) -> Recipe:
    match _wire(cell):
        case "openai.chat":
            return _add_chat_call_field(cell, {"extra_content": {"google": {"thought_signature": SIGNATURE}}})
        case "openai.responses":
            return _add_item(cell, {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": SIGNATURE})
        case "gemini":
            parts = [{**_call_part(TORONTO), "thoughtSignature": SIGNATURE}, _call_part(DALLAS)]
            body = _write_gemini(cell, [_candidate(parts)], model="gemini-3-pro-preview")
            return Recipe((ScriptedAnswer(body=body),), RequestOptions(model="gemini-3-pro-preview"))
        case wire:
            return Recipe((ScriptedAnswer(calls=[TORONTO, DALLAS]),), _ask_for_reasoning(wire))


def _add_chat_field(cell: str, key: str, value: str) -> Recipe:
    answer = _wire_calls([TORONTO])
    if not _is_stream(cell):
        document = json.loads(wires.encode_answer(answer, "openai.chat"))
        message = document["choices"][0]["message"]
        document["choices"][0]["message"] = {"role": "assistant", key: value, **message}
        return Recipe((ScriptedAnswer(body={**document, "model": MODELS["openai.chat"]}),))
    first, *rest = _stream_documents("openai.chat", answer)
    choice = first["choices"][0]
    pieces = [value[start : start + 16] for start in range(0, len(value), 16)]
    opening = {**first, "choices": [{**choice, "delta": {"role": "assistant", "content": None}}]}
    deltas = [{**first, "choices": [{**choice, "delta": {key: piece}}]} for piece in pieces]
    remaining = [first] if choice["delta"].get("tool_calls") else []
    return Recipe((ScriptedAnswer(body=_write_events(_name_model([opening, *deltas, *remaining, *rest]))),))


def _add_chat_call_field(cell: str, fields: dict[str, Any]) -> Recipe:
    answer = _wire_calls([TORONTO, DALLAS])
    if not _is_stream(cell):
        document = json.loads(wires.encode_answer(answer, "openai.chat"))
        document["choices"][0]["message"]["tool_calls"][0] |= fields
        return Recipe((ScriptedAnswer(body={**document, "model": MODELS["openai.chat"]}),))
    documents = _stream_documents("openai.chat", answer)
    calls = [call for one in documents if one for call in one["choices"][0]["delta"].get("tool_calls", ())]
    calls[0] |= fields
    return Recipe((ScriptedAnswer(body=_write_events(_name_model(documents))),))


def _add_item(cell: str, item: dict[str, Any]) -> Recipe:
    """Return a recipe for a response with ``item`` before its call."""
    answer = _wire_calls([TORONTO])
    if not _is_stream(cell):
        document = json.loads(wires.encode_answer(answer, "openai.responses"))
        document["output"].insert(0, item)
        return Recipe((ScriptedAnswer(body={**document, "model": MODELS["openai.responses"]}),))
    events: list[Any] = []
    for event in _stream_documents("openai.responses", answer):
        if event["type"] == "response.output_item.added" and event["output_index"] == 0 and len(events) < 3:
            events += [
                {"type": "response.output_item.added", "output_index": 0, "item": {**item, "summary": []}},
                {"type": "response.output_item.done", "output_index": 0, "item": item},
            ]
        if "output_index" in event:
            event = {**event, "output_index": event["output_index"] + 1}
        if event["type"] == "response.completed":
            response = event["response"]
            event = {**event, "response": {**response, "output": [item, *response["output"]]}}
        events.append(event)
    numbered = [{**event, "sequence_number": number} for number, event in enumerate(events)]
    body = "".join(f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n" for event in numbered)
    return Recipe((ScriptedAnswer(body=body),))


def _call_part(call: ScriptedCall) -> dict[str, Any]:
    return {"functionCall": {**({"id": call.id} if call.id else {}), "name": call.name, "args": call.arguments}}


def _candidate(parts: list[Any], index: int = 0) -> dict[str, Any]:
    numbered = {"index": index} if index else {}
    return {"content": {"role": "model", "parts": parts}, "finishReason": "STOP", **numbered}


def _write_gemini(cell: str, candidates: list[Any], *, model: str = MODELS["gemini"], **fields: Any) -> Any:
    """Return a body with ``candidates``."""
    document = {
        **({"candidates": candidates} if candidates else {}),
        **fields,
        "usageMetadata": {"promptTokenCount": 22, "candidatesTokenCount": 14, "totalTokenCount": 36},
        "modelVersion": model,
    }
    # the stand-in sends a text unchanged, with the fields that its protobuf messages lack
    return [document] if ".grpc" in cell or _is_stream(cell) else json.dumps(document, indent=2, ensure_ascii=False)


def _offer_choices(cell: str) -> Recipe:
    if _wire(cell) == "openai.chat":
        return Recipe((ScriptedAnswer(calls=[TORONTO]),), RequestOptions(fields={"n": 2}))
    candidates = [_candidate([_call_part(TORONTO)]), _candidate([_call_part(DALLAS)], 1)]
    options = RequestOptions(fields={"generationConfig": {"candidateCount": 2}})
    return Recipe((ScriptedAnswer(body=_write_gemini(cell, candidates)),), options)


# --- filters and errors -----------------------------------------------------------------------------------------------


def _filter(cell: str) -> Recipe:
    match _wire(cell):
        case "anthropic":
            error = ScriptedError(
                status=400, type="invalid_request_error", message="Output blocked by content filtering policy"
            )
            started: dict[str, Any] = {"text": TEXT, "after": 5} if _is_stream(cell) else {}
            return Recipe((ScriptedAnswer(error=error, **started),))
        case "bedrock":
            reason = "content_filtered"
        case "gemini":
            reason = "PROHIBITED_CONTENT"
        case _:
            reason = "content_filter"
    return Recipe((ScriptedAnswer(text="It is 12 °C and", finish_reason=reason),))


def _return_no_candidates(cell: str) -> Recipe:
    feedback = {"blockReason": "PROHIBITED_CONTENT"}
    return Recipe((ScriptedAnswer(body=_write_gemini(cell, [], promptFeedback=feedback)),))


def _reject_credentials(cell: str) -> Recipe:
    if _wire(cell) == "bedrock":
        message = "The security token included in the request is invalid."
        error = ScriptedError(status=403, type="UnrecognizedClientException", message=message)
    else:
        error = ScriptedError(status=401)
    return Recipe((ScriptedAnswer(error=error),))


def _fail_once(status: int, **headers: str) -> Callable[[str], Recipe]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    failed = ScriptedAnswer(error=ScriptedError(status=status), headers=named)
    return lambda _: Recipe((failed, ScriptedAnswer(calls=[TORONTO])))


def _end_with_error(cell: str) -> Recipe:
    status = 529 if _wire(cell) == "anthropic" else 503
    return Recipe((ScriptedAnswer(calls=[TORONTO, DALLAS], error=ScriptedError(status=status), after_calls=1),))


_RECIPES: dict[str, Callable[[str], Recipe]] = {
    "one_call": _answer(calls=[TORONTO]),
    "three_parallel_calls": _answer(calls=THREE),
    "same_tool_twice": _answer(calls=[TORONTO, DALLAS]),
    "text_only": _answer(text=TEXT),
    "text_beside_calls": _answer(text="I will look up the weather.", calls=[TORONTO]),
    "unknown_tool": _answer(calls=[ScriptedCall("LookUpCalendar", {"date": "2025-06-15"})]),
    "invalid_arguments": _answer(calls=[ScriptedCall("Weather", {"location": 42})]),
    "truncated_arguments": _truncate,
    "empty_arguments": _empty,
    "absent_arguments": _answer(calls=[ScriptedCall("Weather", None)]),
    "non_canonical_arguments": _space,
    "duplicate_ids": _repeat_id,
    "missing_index": _edit_deltas(lambda fragment: fragment.pop("index"), is_whole=True),
    "repeated_index": _edit_deltas(lambda fragment: fragment.update(index=0), is_whole=True),
    "interleaved_deltas": _answer(calls=[TORONTO, DALLAS], interleave=True),
    "call_in_one_delta": _send_one_delta,
    "reasoning_before_calls": _reason,
    "refusal": _answer(refusal=REFUSAL),
    "safety_block": _answer(refusal="The answer was blocked."),
    "content_filter": _filter,
    "no_candidates": _return_no_candidates,
    "several_choices": _offer_choices,
    "thought_signatures": _sign,
    "bad_request": _answer(error=ScriptedError(status=400)),
    "unauthorized": _reject_credentials,
    "rate_limit_then_success": _fail_once(429, retry_after="1"),
    "server_error_then_success": _fail_once(500),
    "unavailable": _answer(error=ScriptedError(status=503)),
    "overloaded": _answer(error=ScriptedError(status=529)),
    "error_event_in_stream": _end_with_error,
    "stream_cut": _answer(calls=[TORONTO, DALLAS], close=True, after_calls=1),
    "read_timeout": lambda _: Recipe((ScriptedAnswer(text=TEXT, delay=WAIT),), times_out=True),
    "connection_reset": _answer(close=True),
}
