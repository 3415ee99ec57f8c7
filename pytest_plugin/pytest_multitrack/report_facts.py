"""Collect the facts about the running test for a report: its failure, and the tapes that were closed during the test.

The results are plain data without secrets, so that pytest-xdist can send them to the controller.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from multitrack.diagnosis.failed_request import find_failed_request
from multitrack.diagnosis.reported_comparison import report_comparison
from multitrack.errors import CassetteMiss
from multitrack.reporting.report_values import cut_text
from multitrack.reporting.reported_exchanges import report_cassette, report_miss
from multitrack.reporting.run_report import NextStep, ReportedDiagnosis, ReportedError
from multitrack.tape.miss.miss_facts import MissFacts
from multitrack.tape.recording_scope import TapeResult
from multitrack.tape.tape import Tape
from pytest_multitrack import commands, pytest_internals
from pytest_multitrack.failure_diagnosis import PhaseFailure
from pytest_multitrack.report_attributes import FINDING
from pytest_multitrack.run_state import ItemState, RunState, list_tapes


def describe_failure(item: pytest.Item, report: pytest.TestReport) -> dict[str, Any]:
    """Return the name of ``item``, and the fields of a ``ReportedTest`` that describe its failed ``report``.

    The main plugin's hook has already redacted the report.
    """
    failure = ItemState.of(item).phase_failure or PhaseFailure(None)
    tapes = list_tapes(item)
    misses = _find_misses(tapes)
    diagnosis, compared = failure
    error = ReportedError(
        line=cut_text(pytest_internals.first_failure_line(report)), text=cut_text(report.longreprtext)
    )
    comparison = None
    if compared is not None and not misses:
        comparison = report_comparison(compared.difference, "snapshot" if compared.is_snapshot else "test")
    fields = {
        "test": pytest_internals.get_test_name(item),
        "diagnosis": None if diagnosis is None else _dump(ReportedDiagnosis(**diagnosis._asdict())),
        "cause": cut_text(getattr(report, FINDING, "") or (diagnosis.text if diagnosis is not None else "")) or None,
        "error": _dump(error),
        "comparison": None if comparison is None else _dump(comparison),
        "misses": [_dump(report_miss(facts)) for facts in misses],
        "next_steps": [_dump(step) for step in dict.fromkeys(_list_steps(item, failure, tapes, misses))],
    }
    redacted: dict[str, Any] = _map_texts(fields, RunState.of(item.config).output.redact_text)
    return redacted


def _dump(part: Any) -> Any:
    return part.model_dump(mode="json")


def _find_misses(tapes: Sequence[Tape]) -> Sequence[MissFacts]:
    found: dict[int, MissFacts] = {}
    for tape in tapes:
        for violation in tape.violations:
            if isinstance(violation, CassetteMiss) and isinstance(violation.facts, MissFacts):
                found[id(violation)] = violation.facts
    return list(found.values())


def _list_steps(
    item: pytest.Item, failure: PhaseFailure, tapes: Sequence[Tape], misses: Sequence[MissFacts]
) -> Iterator[NextStep]:
    diagnosis, compared = failure
    for miss in misses:
        if miss.other_file_command:
            yield NextStep(action="use-other-file", command=miss.other_file_command)
        yield NextStep(action="record", command=miss.record_hint)
    if misses or diagnosis is None:
        return
    if diagnosis.id == "request-failed":
        yield from (NextStep(action="record", command=tape.record_hint) for tape in tapes if find_failed_request(tape))
    elif diagnosis.id == "no-snapshot" or (compared is not None and compared.is_snapshot):
        yield NextStep(action="update-snapshot", command=commands.accept_command(item, tapes))


def describe_tape(result: TapeResult, test: str) -> dict[str, Any]:
    """Return the facts about a tape that was closed in ``test``, for the run's report."""
    cassette = _dump(report_cassette(result, datetime.now(UTC)))
    pending = cassette["pending"]
    steps = [NextStep(action="accept", command=f"multitrack accept {shlex.quote(pending)}")] if pending else []
    return {
        "scope": result.scope.name if result.scope else test,
        "cassette": _map_texts(cassette, result.tape.redact),
        "next_steps": [_dump(step) for step in steps],
    }


def _map_texts(value: Any, change: Callable[[str], str]) -> Any:
    match value:
        case str():
            return change(value)
        case list():
            return [_map_texts(item, change) for item in value]
        case dict():
            return {key: _map_texts(item, change) for key, item in value.items()}
    return value
