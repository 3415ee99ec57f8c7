"""Register the plugins that are only active with certain options or installed packages."""

from __future__ import annotations

import pytest

from pytest_multitrack import flags


def register(config: pytest.Config) -> None:
    """Register the plugins that the run's options and the installed packages require.

    Raises:
        pytest.UsageError: An option is invalid.
    """
    if config.pluginmanager.hasplugin("syrupy"):
        from multitrack.snapshots import run_outcomes

        run_outcomes.register(config)
    if config.option.multitrack_record:
        from pytest_multitrack.live_notice import LiveNotice

        config.pluginmanager.register(LiveNotice(config), "multitrack-live-notice")
    if not hasattr(config, "workerinput"):  # workers do not print
        from pytest_multitrack.violation_colours import ViolationPainter

        config.pluginmanager.register(ViolationPainter(), "multitrack-colours")
    if (options := flags.drift_options(config)) is not None:
        from pytest_multitrack.drift_run import DriftRun

        config.pluginmanager.register(DriftRun(options), "multitrack-drift")
    if (audit := flags.audit_options(config)) is not None:
        from pytest_multitrack.calls_audit.audit_run import AuditRun

        config.pluginmanager.register(AuditRun(config, audit), "multitrack-audit")
    if (action := flags.find_long_action(config)) is not None:
        from pytest_multitrack import live_progress

        live_progress.register(config, action)
    names, has_junit = config.option.multitrack_reports, bool(getattr(config.option, "xmlpath", None))
    if names or has_junit:
        from pytest_multitrack.report_files import ReportCollector

        # pytest-xdist's controller writes the file
        writes_junit = has_junit and not hasattr(config, "workerinput")
        collector = ReportCollector(names, config.invocation_params.dir, writes_junit=writes_junit)
        config.pluginmanager.register(collector, "multitrack-report")
