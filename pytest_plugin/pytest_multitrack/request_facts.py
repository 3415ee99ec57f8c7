"""Add the requests that differ from their recordings to the facts about a run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from multitrack.tape.exchange import Request
from multitrack.tape.file import paths
from multitrack.tape.miss.miss_reporter import MissedRequest
from multitrack.tape.recording_scope import TapeResult
from pytest_multitrack.run_state import RunState

if TYPE_CHECKING:
    from multitrack.run_facts import ChangedRequest, StoredRequest


def add_requests(run: RunState, config: pytest.Config) -> None:
    """Add the misses of all tapes to the summary of ``run``.

    In an audit, also add each answered request that differs from its recording only in its wording.
    """
    for result in run.context.tape_results:
        for missed in result.tape.missed_requests:
            message = run.output.redact_text(str(missed.violation))
            run.summary.misses.append(asdict(_describe(result, missed, message, config.rootpath)))
        if config.option.multitrack_audit is not None:
            for reworded in result.tape.list_reworded():
                run.summary.audited.append(asdict(_describe(result, reworded, "", config.rootpath)))


def _describe(result: TapeResult, missed: MissedRequest, message: str, root: Path) -> ChangedRequest:
    # imported here, because most runs miss no request
    from multitrack.run_facts import ChangedRequest

    tape = result.tape
    return ChangedRequest(
        test=result.scope.name if result.scope is not None else "",
        cassette=paths.relative_to(paths.resolve(tape.path), root),
        message=message,
        request=store_request(missed.request),
        nearest=missed.nearest,
        is_only_wording=missed.is_only_wording,
        pseudonyms=sorted(tape.redactor.pseudonyms),
        moved_from=missed.moved_from,
    )


def store_request(request: Request) -> StoredRequest:
    """Convert a redacted ``request`` for the facts about the run."""
    from multitrack.run_facts import StoredRequest

    return StoredRequest.from_body(request.method, request.url, request.headers, request.body)
