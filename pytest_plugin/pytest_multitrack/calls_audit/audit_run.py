"""The plugin for a run with ``--calls-audit``.

Each process compares the requests of a test when the test has ended. The controller groups the differences from all
processes by cause, and writes the report.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from multitrack.audit.audit_report import AuditReport, build_report
from multitrack.audit.classified_change import ChangeContext
from multitrack.audit.comparison import RequestComparer
from multitrack.audit.findings import Finding
from multitrack.audit.observed import CassetteUse, Observations, ObservedCassette
from multitrack.errors import BadOption
from multitrack.reporting import audit_formats, audit_text
from multitrack.tape import run_context
from multitrack.tape.file import paths
from pytest_multitrack import cassette_options, commands, pytest_internals, report_targets, selection
from pytest_multitrack.calls_audit.installed_packages import find_installed_package
from pytest_multitrack.calls_audit.previous_run import PreviousRun, list_sources
from pytest_multitrack.calls_audit.tape_observer import TapeObserver
from pytest_multitrack.calls_audit.vcrpy_observer import VcrpyObserver
from pytest_multitrack.flags import AuditOptions
from pytest_multitrack.run_state import RunState

_TEST = "multitrack_audit_test"
"""The attribute of a report that holds the name of the test, without the group that pytest-xdist appends."""

_OUTPUT = "multitrack_audit"
"""The key of the observations that a pytest-xdist worker sends to the controller."""


class AuditRun:
    """The pytest plugin that compares the requests of a run with the recorded ones, and reports the differences."""

    def __init__(self, config: pytest.Config, options: AuditOptions) -> None:
        """Create the plugin.

        Raises:
            pytest.UsageError: A project setting is invalid, or a report cannot be written.
        """
        self._config = config
        self._fails = options.fails
        self._names = [name for name in options.paths if name]
        self._files = report_targets.resolve_targets(
            "--calls-audit", self._names, config.invocation_params.dir, tuple(audit_formats.FORMATS)
        )
        try:
            settings = cassette_options.resolve_run_settings(config)
        except BadOption as error:
            raise pytest.UsageError(str(error)) from error
        self._comparer = RequestComparer(settings)
        self._vcrpy = VcrpyObserver(self._show_path)
        self._tapes = TapeObserver(self._show_path)
        self._outcomes: dict[str, str] = {}
        self.report = AuditReport()
        self._redact: Callable[[str], str] = self._comparer.redact
        self._errors: dict[Path, str] = {}
        self._vcrpy.start()
        config.add_cleanup(self._vcrpy.stop)

    @property
    def redact(self) -> Callable[[str], str]:
        """The function that removes the run's secrets from a string."""
        return self._redact

    def _show_path(self, path: str) -> str:
        folder = self._config.invocation_params.dir
        file = Path(os.path.normpath(folder / path))
        return str(file.relative_to(folder) if file.is_relative_to(folder) else file)

    # each process

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self._vcrpy.test = pytest_internals.get_test_name(item)

    # before the hook of the main plugin, which clears the results of the tapes
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        results, test = list(run_context.current_run().tape_results), pytest_internals.get_test_name(item)
        with self._noting_errors(test):
            by_test: dict[str, list[Any]] = {}
            for pair in self._tapes.list_pairs(results, test):
                by_test.setdefault(pair.test, []).append(pair)
            for pairs in by_test.values():
                self._comparer.add_test(pairs)
        report = yield
        if report.when == "teardown":
            with self._noting_errors(test):
                by_test = {}
                for pair in self._vcrpy.take_pairs():
                    by_test.setdefault(pair.test, []).append(pair)
                for pairs in by_test.values():
                    self._comparer.add_test(pairs)
        setattr(report, _TEST, test)
        return report

    @contextmanager
    def _noting_errors(self, test: str) -> Generator[None, None, None]:
        """Catch errors in the audit, and report them at the end of the run. The errors must not change a test's
        outcome.
        """
        try:
            yield
        except Exception as error:
            self._comparer.found.errors.append(f"{test}: {type(error).__name__}: {error}")

    def _complete_observations(self) -> Observations:
        found = self._comparer.found
        for cassette in (*self._vcrpy.take_cassettes(), *self._tapes.take_cassettes()):
            with self._noting_errors(cassette.path):
                self._add_cassette(cassette)
        if found.requests:
            found.sources = list_sources(self._config.rootpath)
        return found

    def _add_cassette(self, cassette: ObservedCassette) -> None:
        file = Path(self._config.invocation_params.dir, cassette.path)
        try:
            text = file.read_text(encoding="utf-8") if file.suffix in (".yaml", ".yml", ".json") else ""
        except (OSError, UnicodeDecodeError):
            text = ""
        self._comparer.add_cassette(cassette, text)

    # the controller

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        test = getattr(report, _TEST, report.nodeid)
        if report.when == "setup":  # of the first run or of a rerun
            self._outcomes[test] = "passed"
        if hasattr(report, "wasxfail"):
            self._outcomes[test] = "xfailed"
        elif not report.passed and self._outcomes.get(test) == "passed":
            self._outcomes[test] = report.outcome

    # before the terminal reporter prints how the run ended
    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        result = yield
        found = self._complete_observations()
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output[_OUTPUT] = json.dumps(found.to_plain())
            return result
        for worker in RunState.of(session.config).workers:
            if (plain := getattr(worker, "workeroutput", {}).get(_OUTPUT)) is not None:
                found.merge_plain(json.loads(plain))
        self.report = self._build_report(found)
        self._write_files()
        is_failed = (self._fails and bool(self.report.findings)) or bool(self._errors)
        if is_failed and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        return result

    def _build_report(self, found: Observations) -> AuditReport:
        previous = PreviousRun(self._config, found.sources)
        context = ChangeContext(previous.documents, previous.counts, find_installed_package, found.header_names)
        report = build_report(
            found,
            self._outcomes,
            context,
            has_whole_cassette=self._has_whole_cassette,
            describe_fix=lambda finding: self._describe_fix(finding, found),
            previous=previous.description,
        )
        previous.store(found.differing, found.requests)
        return report

    def _has_whole_cassette(self, use: CassetteUse) -> bool:
        """Return whether the run included every test that can use the cassette."""
        summary = RunState.of(self._config).summary
        if selection.find_limit(self._config, has_deselected=summary.has_deselected) is None:
            return True
        # by default, a cassette has the name of its test, and no other test uses the cassette
        stem = Path(use.path).name.rpartition(".")[0]
        return [test.rpartition("::")[2] for test in use.tests] == [stem]

    def _describe_fix(self, finding: Finding, found: Observations) -> str:
        """Return the command for ``finding``: it keeps the recorded answers, or records the tests again.

        Empty if the recorder of these tests has no such command.
        """
        used = [use for use in found.cassettes.values() if not set(use.tests).isdisjoint(finding.tests)]
        built = commands.shell_commands(self._config)
        if self._can_rebind(finding, found):
            return built.rebind(finding.tests)
        if all(use.recorder == "multitrack" for use in used):
            return built.record(finding.tests)
        if any(use.recorder == "multitrack" for use in used):
            return ""
        if self._config.pluginmanager.hasplugin("recording"):
            return built.run(finding.tests, "--record-mode=rewrite")
        return ""

    def _can_rebind(self, finding: Finding, found: Observations) -> bool:
        """Return whether the wording is the only difference between a finding's requests and their recordings."""
        root, folder = self._config.rootpath, self._config.invocation_params.dir
        if not commands.leaves_facts(self._config):
            return False
        reworded = {
            (fact["test"], fact["cassette"], fact["nearest"]) for fact in RunState.of(self._config).summary.audited
        }
        differing = {(one.test, one.number): one for one in found.differing}
        return all(
            (one.test, paths.relative_to(paths.resolve(folder / one.cassette), root), one.position + 1) in reworded
            for one in map(differing.__getitem__, finding.requests)
        )

    def _write_files(self) -> None:
        for file in self._files:
            text = audit_formats.FORMATS[file.suffix](self.report, self._redact)
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8", errors="backslashreplace")
            except OSError as error:
                self._errors[file] = error.strerror or str(error)

    # the outermost wrapper: the report is the last thing that the run prints
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> Generator[None, object, object]:
        result = yield
        terminalreporter.section("calls audit")
        lines: Sequence[tuple[str, str]] = list(
            audit_text.list_lines(self.report, self._redact, fails=self._fails, has_file=bool(self._files))
        )
        for line, colour in lines:
            terminalreporter.write_line(line, **({colour: True} if colour else {}))
        for file in self._files:
            shown = paths.relative_to_cwd(file)
            if (error := self._errors.get(file)) is not None:
                terminalreporter.write_line(f"multitrack: report not written: {shown}: {error}", red=True)
            else:
                terminalreporter.write_line(f"multitrack: report: {shown}")
        return result
