"""Generate ``report.schema.json``, the JSON Schema of a run's report."""

from __future__ import annotations

from typing import Any

from multitrack.reporting.run_report import RunReport

URL = "https://github.com/multitrack/multitrack/blob/main/harness/multitrack/reporting/report.schema.json"


def make_schema() -> dict[str, Any]:
    """Return the JSON Schema of a run's report."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": URL}
    return {**head, **RunReport.model_json_schema(mode="serialization")}
