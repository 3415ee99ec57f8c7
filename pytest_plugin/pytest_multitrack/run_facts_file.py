"""Store facts about a run in pytest's cache, for later commands such as ``multitrack prune``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from multitrack.run_facts import (
    CACHE_KEY,
    AuditFinding,
    ChangedSnapshot,
    DriftedCassette,
    RunFacts,
    UsedCassette,
    digest_file,
    read_request,
)
from multitrack.tape.file import paths
from pytest_multitrack import commands, selection, unused_recordings
from pytest_multitrack.run_summary import RunSummary


def save_facts(terminalreporter: Any, summary: RunSummary, exitstatus: int) -> None:
    """Write the facts about the run to pytest's cache, which must be enabled."""
    config: pytest.Config = terminalreporter.config
    root, waiting = config.rootpath, unused_recordings.find_waiting(terminalreporter, summary)
    facts = RunFacts(
        is_full=selection.find_limit(config, has_deselected=summary.has_deselected) is None,
        limit=unused_recordings.find_limit(config, summary, exitstatus),
        cassettes=dict(_describe_used(root, summary, waiting)),
        collected=sorted({paths.relative_to(Path(path), root) for path in summary.cassettes.values()}),
        misses=[read_request(one) for one in _sort(summary.misses)],
        audited=[read_request(one) for one in _sort(summary.audited)],
        snapshots=[ChangedSnapshot(**one) for one in _sort(summary.snapshots)],
        drift=list(_list_drift(config)),
        findings=list(_list_findings(config)),
        folder=paths.relative_to(config.invocation_params.dir, root),
        options=commands.find_run_options(config, has_doctests=True),
    )
    config.cache.set(CACHE_KEY, facts.to_plain())


def _sort(facts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    # the order in which the pytest-xdist workers end is random
    return sorted(facts, key=lambda fact: str(fact["test"]))


def _describe_used(root: Path, summary: RunSummary, waiting: set[str]) -> Iterator[tuple[str, UsedCassette]]:
    for path, played in sorted(summary.played_positions.items()):
        if (digest := digest_file(Path(path))) is not None:
            yield paths.relative_to(Path(path), root), UsedCassette(digest, sorted(played), path in waiting)


def _list_drift(config: pytest.Config) -> Iterator[DriftedCassette]:
    if (plugin := config.pluginmanager.get_plugin("multitrack-drift")) is None:
        return
    for row in plugin.rows:
        if not row.holds:
            tape = config.invocation_params.dir / row.tape
            yield DriftedCassette(row.test, paths.relative_to(tape, config.rootpath), row.verdict, row.details)


def _list_findings(config: pytest.Config) -> Iterator[AuditFinding]:
    if (plugin := config.pluginmanager.get_plugin("multitrack-audit")) is None:
        return
    from multitrack.reporting import audit_text

    clean = audit_text.make_cleaner(plugin.redact)
    for section in audit_text.list_sections(plugin.report):
        for entry in section.entries:
            advice = [entry.fix] if entry.fix and not entry.command else []
            lines = [clean(line) for line in (*audit_text.describe_change(entry), *advice)]
            yield AuditFinding(clean(entry.title), clean(section.title), list(entry.tests), lines, entry.command)
