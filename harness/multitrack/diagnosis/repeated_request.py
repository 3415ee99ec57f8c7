"""Recognize misses that are caused by changed Pydantic models.

If the changed models reject a recorded reply, clients such as instructor send the validation error to the language
model, together with the conversation so far. No recording matches that request, but the cause of the miss is the
change to the Pydantic models.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

from multitrack.diagnosis.call_results import ResponseValidator
from multitrack.diagnosis.error_location import locate_error
from multitrack.errors import CassetteMiss, InvalidArguments
from multitrack.reporting.diagnoses import Diagnosis
from multitrack.tape import jsontext
from multitrack.tape.exchange import Request
from multitrack.tape.interaction import Interaction
from multitrack.tape.tape import Tape
from multitrack.wires import registry

_MAX_SHOWN = 3
# the text of a pydantic.ValidationError
_HEADING = re.compile(r"^.*?\d+ validation errors? for (?P<model>[^\n]+)$", re.MULTILINE)
_DETAIL = re.compile(r"^(?P<field>\S[^\n]*)\n +(?P<message>[^\n]+?) \[type=", re.MULTILINE)


def find_changed_models(miss: CassetteMiss, tapes: Sequence[Tape], validator: ResponseValidator) -> Diagnosis | None:
    """Return a one-line diagnosis if changed models or validators caused ``miss``.

    None if the changes are unknown, or if ``miss`` has a different cause.
    """
    sent = _read_body(miss.body)
    for tape in tapes:
        for interaction in reversed(tape.played):
            added = _find_added_messages(interaction.request, sent)
            if not added:
                continue
            found = dict.fromkeys(_locate_invalid_calls(interaction, validator))
            # other clients' models are usually unknown, but the request quotes their errors
            found = found or dict.fromkeys(_locate_quoted_errors(added))
            if found:
                return Diagnosis(
                    "models-changed",
                    f"the models or validators changed: {_shorten_list(list(found))}; the recorded reply is no longer "
                    f"valid, so the client sent another request",
                )
    return None


def _read_body(body: bytes) -> Any:
    try:
        return jsontext.parse(body)
    except ValueError:
        return None


def _find_added_messages(request: Request, sent: Any) -> Sequence[Any]:
    """Return the messages that ``sent`` adds to the conversation in the recorded ``request``.

    Empty if ``sent`` belongs to a different conversation.
    """
    recorded = _read_body(request.body)
    if not isinstance(recorded, dict) or not isinstance(sent, dict):
        return ()
    wire_format = registry.recognize_request(recorded, request.url)
    if wire_format is None:
        return ()
    before, after = recorded.get(wire_format.conversation_key), sent.get(wire_format.conversation_key)
    if isinstance(before, str) and isinstance(after, list):
        before = after[:1]  # the Responses API accepts a string instead of the first message
    if isinstance(before, list) and isinstance(after, list) and before == after[: len(before)]:
        return after[len(before) :]
    return ()


def _locate_invalid_calls(interaction: Interaction, validator: ResponseValidator) -> Iterator[str]:
    """Yield the fields that are invalid now, for calls that were valid when the test passed."""
    results = validator.validate(interaction) or ()
    recorded = interaction.results or ()
    for position, result in enumerate(results):
        before = recorded[position] if position < len(recorded) else ""
        if isinstance(result.outcome, InvalidArguments) and result.model is not None and before != result.fingerprint:
            for error in result.outcome.details:
                yield f"{locate_error(result.model, error['loc'], result.call.arguments)}: {error['msg']}"


def _locate_quoted_errors(added: Sequence[Any]) -> Iterator[str]:
    """Yield a string such as ``Model.field: message`` for each Pydantic error in the messages."""
    for text in _list_texts(added):
        headings = list(_HEADING.finditer(text))
        for heading, following in zip_longest(headings, headings[1:]):
            end = following.start() if following is not None else len(text)
            for detail in _DETAIL.finditer(text, heading.end(), end):
                field = "" if detail["field"].startswith("function-") else f".{detail['field']}"
                yield f"{heading['model'].strip()}{field}: {detail['message']}"


def _list_texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _list_texts(item)


def _shorten_list(found: Sequence[str]) -> str:
    more = f" and {len(found) - _MAX_SHOWN} more" if len(found) > _MAX_SHOWN else ""
    return ", ".join(found[:_MAX_SHOWN]) + more
