"""Convert requests, answers, cassettes and misses to data for a run's report."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from multitrack import wires
from multitrack.reporting.report_values import cut_text, to_json_value
from multitrack.reporting.run_report import (
    ReportedAnswer,
    ReportedCall,
    ReportedCassette,
    ReportedDifference,
    ReportedExchange,
    ReportedMessage,
    ReportedMiss,
    ReportedRequest,
)
from multitrack.reporting.savings import find_seconds
from multitrack.tape.answer_wire import find_wire
from multitrack.tape.exchange import Request
from multitrack.tape.file import paths
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.interaction import Interaction
from multitrack.tape.matching.difference import ABSENT
from multitrack.tape.miss.miss_facts import MissDifference, MissFacts
from multitrack.tape.recording_scope import TapeResult
from multitrack.tape.tape import Tape
from multitrack.tool_call import ToolCall
from multitrack.wires import registry


def report_cassette(result: TapeResult, now: datetime) -> ReportedCassette:
    """Convert a closed tape to an entry of the report. A recording that was just saved gets the time ``now``."""
    tape, saved = result.tape, result.saved
    is_pending = saved is not None and saved.state == "pending"
    recorded_at = now if saved is not None and not is_pending else tape.recorded_at
    interactions = tuple(tape.answered_interactions or tape.interactions)
    return ReportedCassette(
        path=cut_text(str(paths.relative_to_cwd(tape.path))),
        mode=tape.mode,
        recorded_at=recorded_at,
        age_days=max(0, (now - recorded_at).days) if recorded_at else None,
        provenance=Cassette(interactions).provenance if interactions else None,
        pending=cut_text(str(paths.relative_to_cwd(saved.path))) if saved is not None and is_pending else None,
        exchanges=list(_report_exchanges(tape)),
    )


def _report_exchanges(tape: Tape) -> Iterator[ReportedExchange]:
    replayed = len(tape.played)
    for number, interaction in enumerate(tape.sent_exchanges):
        yield ReportedExchange(
            origin="replayed" if number < replayed else "live" if tape.is_compared else "recorded",
            request=report_request(interaction.request),
            answer=report_answer(interaction),
            rebound=interaction.rebound,
        )


def report_request(request: Request) -> ReportedRequest:
    """Convert a redacted ``request`` for a report."""
    document: Any = None
    with suppress(ValueError, RecursionError):
        document = json.loads(request.body)
    is_object = isinstance(document, Mapping)
    wire_format = registry.recognize_request(document, request.url) if is_object else None
    messages = [] if wire_format is None else list(wire_format.read_messages(document))
    summary = wires.read_request(request.body, request.url)
    model = summary.model or registry.find_model_in_url(request.url)
    has_body = not messages and request.body
    return ReportedRequest(
        method=request.method,
        url=cut_text(request.url),
        model=cut_text(model.rpartition("/")[2]) if model else None,
        tools=[cut_text(name) for name in summary.tools],
        messages=[ReportedMessage(role=cut_text(role), text=cut_text(text)) for role, text in messages],
        body=cut_text(request.body.decode("utf-8", "backslashreplace")) if has_body else None,
    )


def report_answer(interaction: Interaction) -> ReportedAnswer:
    """Return the answer in ``interaction`` as an entry of the JSON report."""
    response = interaction.response
    wire = find_wire(interaction)
    common: dict[str, Any] = {"status": response.status, "ending": response.ending, "wire": wire}
    common["seconds"] = find_seconds(response) or None
    if wire is None:
        return ReportedAnswer(**common)
    answer = wires.read_answer(response.body, wire)
    for name in ("text", "refusal", "error", "finish_reason"):
        text = getattr(answer, name)
        common[name] = None if text is None else cut_text(text)
    return ReportedAnswer(
        **common,
        calls=list(map(_report_call, answer.calls)),
        tokens=wires.count_tokens(answer, wire),
    )


def _report_call(call: ToolCall) -> ReportedCall:
    arguments: Any = None
    with suppress(ValueError, RecursionError):
        arguments = json.loads(call.arguments or "{}")
    if not isinstance(arguments, dict):
        return ReportedCall(tool=cut_text(call.name), arguments=None, text=cut_text(call.arguments or ""))
    values = {cut_text(name): to_json_value(value) for name, value in arguments.items()}
    return ReportedCall(tool=cut_text(call.name), arguments=values)


def report_miss(facts: MissFacts) -> ReportedMiss:
    """Convert the facts about a miss to an entry of the JSON report."""
    return ReportedMiss(
        kind=facts.kind,
        cassette=cut_text(facts.cassette),
        nearest=facts.nearest,
        sent_from=cut_text(facts.call_site) if facts.call_site else None,
        request=report_request(facts.request.with_sent_messages),
        differences=list(map(_report_difference, facts.differences)),
    )


def _report_difference(difference: MissDifference) -> ReportedDifference:
    recorded, sent = difference.recorded, difference.sent
    return ReportedDifference(
        path=cut_text(difference.path),
        change="added" if recorded is ABSENT else "removed" if sent is ABSENT else "changed",
        recorded=None if recorded is ABSENT else to_json_value(recorded),
        sent=None if sent is ABSENT else to_json_value(sent),
        meaning=cut_text(difference.meaning) or None,
    )
