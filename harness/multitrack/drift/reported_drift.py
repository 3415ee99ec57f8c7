"""Convert the drift of a request to data for a run's report."""

from __future__ import annotations

from multitrack.diagnosis.reported_comparison import report_comparison
from multitrack.drift.conversation_drift import RequestDrift
from multitrack.reporting.report_values import cut_text
from multitrack.reporting.run_report import ReportedDriftRequest, ReportedProperty


def report_drift(request: RequestDrift, run: int) -> ReportedDriftRequest:
    """Return the drift of ``request`` in run number ``run``, counted from 1."""
    drift = request.drift
    return ReportedDriftRequest(
        run=run,
        position=request.position,
        recording=request.recording,
        verdict=request.verdict,
        comparison=None if drift.calls is None else report_comparison(drift.calls, "cassette"),
        properties=[
            ReportedProperty(name=one.name, recorded=cut_text(one.recorded), live=cut_text(one.live))
            for one in drift.properties
            if one.recorded != one.live
        ],
        lines=[cut_text(line) for line in drift.lines],
    )
