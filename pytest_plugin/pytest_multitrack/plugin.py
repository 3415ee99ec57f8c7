"""The hooks and fixtures of the plugin, in the order in which a run calls them.

A run that uses no cassette must stay fast. Modules that import more than pytest are therefore imported inside the
functions that need them.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from pytest_multitrack import flags, marker_names, pytest_internals, selection
from pytest_multitrack.run_summary import RunSummary

if TYPE_CHECKING:
    from multitrack.snapshots.calls_snapshot import CallsSnapshot
    from multitrack.tape.active import RunContext
    from multitrack.tape.interaction import Interaction
    from multitrack.tape.tape import Tape
    from pytest_multitrack.fixture_tape import FixtureTape
    from pytest_multitrack.item_tape import ItemTape
    from pytest_multitrack.violation_guard import ViolationGuard

# data of the run, stored with its config
_run_context: pytest.StashKey[RunContext] = pytest.StashKey()
_run_summary = pytest.StashKey[RunSummary]()
_workers = pytest.StashKey["list[Any]"]()
"""The workers of pytest-xdist."""
_has_deselected = pytest.StashKey[bool]()
_latest_tape = pytest.StashKey["ItemTape"]()
_fixture_tapes: pytest.StashKey[dict[pytest.FixtureDef[object], FixtureTape]] = pytest.StashKey()
"""The tapes of fixtures of wider scope, in the order of their setup."""
_comparison = pytest.StashKey["tuple[object, object] | None"]()
"""The two sides of the last asserted ``==`` that was false in the running test."""

# data of a test, stored with its item
_item_tape = pytest.StashKey["ItemTape | None"]()
_violation_guard: pytest.StashKey[ViolationGuard] = pytest.StashKey()
_failure = pytest.StashKey["str | None"]()
"""The last phase that did not pass, with its outcome."""
_request = pytest.StashKey[pytest.FixtureRequest]()

VCR_PLUGINS = ("recording", "cassetter", "vcr")
"""Plugins that define ``@pytest.mark.vcr``. If one of them is active, this plugin ignores the marker."""

CASSETTE_MARKER = (
    "cassette(name=None, **options): use a cassette for the requests of this test; tests that pass the same name= "
    "share a cassette"
)
VCR_MARKERS = (
    "vcr(*names, **options): use a cassette for the requests of this test, as pytest-recording does",
    "default_cassette(name): the name of the cassette that the marker vcr uses",
)


# --- start of the run -------------------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    flags.add_options(parser)


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> Generator[None, object, object]:
    from multitrack.tape import credentials

    # a conftest may import an application that constructs OpenAI() at module level
    with credentials.stand_in(live=flags.may_go_live(early_config, parser, args)):
        result = yield
    # after the conftests, because some of them define an option --record of their own
    flags.add_record_option(early_config, parser)
    return result


def pytest_configure(config: pytest.Config) -> None:
    pytest_internals.skip_assertion_rewriting(config, "multitrack")
    from multitrack.snapshots import run_outcomes
    from multitrack.tape import active

    if refused := flags.find_refused_write(config):
        raise pytest.UsageError(refused)
    run = ExitStack()
    config.stash[_run_context] = run.enter_context(
        active.run(flags.mode(config), config.rootpath, list(flags.cassette_options(config)))
    )
    config.add_cleanup(run.close)
    config.addinivalue_line("markers", CASSETTE_MARKER)
    if not any(map(config.pluginmanager.hasplugin, VCR_PLUGINS)):
        for line in VCR_MARKERS:
            config.addinivalue_line("markers", line)
    run_outcomes.register(config)
    _register_optional_plugins(config)


def _register_optional_plugins(config: pytest.Config) -> None:
    if config.option.multitrack_record:
        from pytest_multitrack import live_notice

        notice = live_notice.LiveNotice(config, partial(_count_unselected_live_tests, config))
        config.pluginmanager.register(notice, "multitrack-live-notice")
    if not hasattr(config, "workerinput"):  # workers do not print
        from pytest_multitrack import violation_colours

        config.pluginmanager.register(violation_colours.ViolationPainter(), "multitrack-colours")
    if (options := flags.drift_options(config)) is not None:
        from pytest_multitrack import drift_run

        drift = drift_run.DriftRun(
            options,
            uses_cassette=_uses_cassette,
            item_tape=lambda item: item.stash.get(_item_tape, None),
            violation=lambda item: item.stash[_violation_guard].violation,
            tapes=_tapes_of,
        )
        config.pluginmanager.register(drift, "multitrack-drift")
    if names := config.option.multitrack_reports:
        from pytest_multitrack import report_files

        collector = report_files.ReportCollector(names, config.invocation_params.dir)
        config.pluginmanager.register(collector, "multitrack-report")


# --- collection -------------------------------------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    from multitrack.tape import credentials

    # a test module may import an application that constructs OpenAI() at module level
    with credentials.stand_in(live=flags.mode(session.config) != "replay"):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None, object, object]:
    result = yield
    config.stash[_run_summary] = RunSummary()
    users = [item for item in items if "calls_snapshot" in getattr(item, "fixturenames", ())]
    # a worker of pytest-xdist cannot report a usage error; there, the fixture fails each test
    if users and not hasattr(config, "workerinput") and (refused := flags.find_refused_write(config, updates=True)):
        raise pytest.UsageError(f"{refused} ({users[0].nodeid} uses calls_snapshot)")
    if with_cassette := [item for item in items if _uses_cassette(item)]:
        try:
            from pytest_multitrack import item_tape
        except ImportError as error:
            raise pytest.UsageError(
                f"using a cassette requires {error.name}, which is not installed: pip install 'multitrack[test]'"
            ) from error
        config.stash[_run_summary].cassettes.update(item_tape.find_cassettes(with_cassette))
        for item in with_cassette:
            getattr(item, "fixturenames", []).insert(0, "_cassette_options_applied")
    return result


def _uses_cassette(item: pytest.Item) -> bool:
    if item.get_closest_marker("cassette") is not None or "tape" in getattr(item, "fixturenames", ()):
        return True
    plugins = item.config.pluginmanager
    return item.get_closest_marker("vcr") is not None and not any(map(plugins.hasplugin, VCR_PLUGINS))


def pytest_deselected(items: list[pytest.Item]) -> None:
    if items:
        items[0].config.stash[_has_deselected] = True


def _count_unselected_live_tests(config: pytest.Config) -> int:
    """Return how many tests go live although the user did not select tests."""
    if selection.find_limit(config, has_deselected=_has_deselected in config.stash):
        return 0
    return len(config.stash.get(_run_summary, RunSummary()).cassettes)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodeready(node: Any) -> None:
    # each worker sends its summary when it ends, but pytest-xdist no longer reports that after Ctrl-C
    node.config.stash.setdefault(_workers, []).append(node)


# --- the phases of a test ---------------------------------------------------------------------------------------------


# not a wrapper: if a wrapper fails before its yield, the wrappers inside it (such as logging) are not torn down
@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    from multitrack.tape.recording_scope import RecordingScope
    from pytest_multitrack import commands, violation_guard

    name = pytest_internals.get_test_name(item)
    test = RecordingScope(
        name,
        record_hint=commands.record_command(item),
        update_hint=commands.pytest_command(item, "--snapshot-update"),
        fingerprint_results=partial(_fingerprint_results, item.config),
    )
    item.config.stash[_run_context].begin_test(test)
    item.stash[_violation_guard] = violation_guard.ViolationGuard(test)
    item.config.stash[_comparison] = None
    item.stash[_failure] = None
    item.stash[_item_tape] = None  # may hold the tape of an earlier attempt
    if (mistyped := marker_names.find_mistyped(item)) is not None:
        pytest.fail(marker_names.describe_mistyped(name, mistyped), pytrace=False)
    if _uses_cassette(item):
        from pytest_multitrack.item_tape import open_item_tape

        item.stash[_item_tape] = item.config.stash[_latest_tape] = open_item_tape(item, test)


def _fingerprint_results(config: pytest.Config, interaction: Interaction) -> tuple[str, ...] | None:
    from pytest_multitrack import failure_diagnosis

    return failure_diagnosis.fingerprint_results(config, interaction)


# tryfirst: outside of the wrapper of anyio, which replaces the function of the fixture
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    try:
        with (
            _exempt_threads(fixturedef, request),
            _open_fixture_tape(fixturedef, request),
            _raise_outside_of_anyio(fixturedef, request),
        ):
            return (yield)
    except BaseException as error:
        from multitrack.errors import TapeViolation

        if isinstance(error, TapeViolation):
            pytest_internals.discard_failed_fixture(fixturedef, request)
        raise


def _exempt_threads(
    fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
) -> AbstractContextManager[None]:
    """Let the threads that a fixture of wider scope starts outlive the test that sets it up."""
    if fixturedef.scope == "function":
        return nullcontext()
    return request.config.stash[_run_context].threads.starting_for_several_tests()


def _raise_outside_of_anyio(
    fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
) -> AbstractContextManager[None]:
    if "anyio_backend" not in request.fixturenames:
        return nullcontext()
    from pytest_multitrack import anyio_runner

    return anyio_runner.fixture_violations_raised_outside(fixturedef, request)


def _open_fixture_tape(
    fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
) -> AbstractContextManager[None]:
    """Open a tape for a fixture of wider scope, if the test that sets it up uses a cassette."""
    if fixturedef.scope == "function":
        return nullcontext()
    test_tape = request.config.stash.get(_latest_tape, None)
    if pytest_internals.is_builtin_fixture(fixturedef) or test_tape is None or test_tape.is_closed:
        # a block in the fixture does not belong to the test that happens to set it up
        return request.config.stash[_run_context].use_scope(None)
    from pytest_multitrack import fixture_tape, item_tape

    with item_tape.fail_without_traceback():
        opened = fixture_tape.open_fixture_tape(fixturedef, request, test_tape.test)
    request.config.stash.setdefault(_fixture_tapes, {})[fixturedef] = opened
    return opened.setup(request)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    if "anyio_backend" not in getattr(item, "fixturenames", ()):
        with item.stash[_violation_guard].phase():
            return (yield)
    from pytest_multitrack import anyio_runner

    with item.stash[_violation_guard].phase(), anyio_runner.test_violations_raised_outside(item):
        return (yield)


def pytest_assertrepr_compare(config: pytest.Config, op: str, left: object, right: object) -> None:
    test = config.stash[_run_context].scope
    if test is not None and test.tapes and op == "==":
        config.stash[_comparison] = left, right


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    item_tape, run_context = item.stash.get(_item_tape, None), item.config.stash[_run_context]
    failure = item.stash.get(_failure, None)
    try:
        with (
            item_tape.closing(failure=failure) if item_tape else nullcontext(),
            item.stash[_violation_guard].phase(),
        ):
            return (yield)
    except BaseException as error:
        from pytest_multitrack.item_tape import describe_teardown_failure

        failure = failure or describe_teardown_failure(error)
        raise
    finally:
        if (test := run_context.scope) is not None and test.has_closed_blocks:
            from pytest_multitrack.item_tape import fail_without_traceback

            with fail_without_traceback():
                run_context.tape_results.extend(test.save_blocks(failure=failure))


# the outermost wrapper: a violation is a failure even if xfail has excused the error
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    run_context = item.config.stash[_run_context]
    guard = item.stash.get(_violation_guard, None)
    if guard is not None:
        if call.when == "setup" and call.excinfo:
            guard.collect_violation(call.excinfo.value)
        if guard.violation is not None:
            from pytest_multitrack import tape_report

            tape_report.fail_for_violation(report, guard.violation, _tapes_of(item), item, call.excinfo)
    if report.failed and report.when != "teardown" and (tapes := _tapes_of(item)):
        from pytest_multitrack import failure_diagnosis

        if guard is None or guard.violation is None:
            failure_diagnosis.add_diagnosis(report, call, tapes, item.config, item.config.stash[_comparison])
    if (test := run_context.scope) is not None and (
        run_context.tape_results or (report.failed and test.tapes_with_fixtures)
    ):
        from pytest_multitrack import tape_report

        tape_report.add_results(report, test, run_context)
    if report.when == "teardown":
        run_context.end_test()
    if not report.passed:
        # not "call": it would read like a failed tool call
        phase = "the test" if report.when == "call" else report.when
        outcome = "xfailed" if hasattr(report, "wasxfail") else report.outcome
        item.stash[_failure] = f"{phase} {'was skipped' if outcome == 'skipped' else outcome}"
    return report


def _tapes_of(item: pytest.Item) -> list[Tape]:
    """Return the tapes that a test used: its own tape and the tapes of its wider-scoped fixtures and its blocks."""
    test, fixture_tapes = item.config.stash[_run_context].scope, item.config.stash.get(_fixture_tapes, {})
    # the names of the request include the fixtures requested with `getfixturevalue`
    names = getattr(item.stash.get(_request, item), "fixturenames", ())
    used = [
        fixture_tape
        for fixturedef, fixture_tape in fixture_tapes.items()
        if fixturedef.argname in names and fixturedef.cached_result is not None
    ]
    return [*(tape for fixture_tape in used for tape in fixture_tape.tapes), *(test.tapes if test else ())]


# --- end of the run ---------------------------------------------------------------------------------------------------


# the innermost wrapper: continues after pytest has torn down what Ctrl-C left open, and before the terminal reporter
# prints the summary
@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, object, object]:
    result = yield
    stash = session.config.stash
    run_context, failure = stash[_run_context], "the run was interrupted"
    run = stash.setdefault(_run_summary, RunSummary())
    latest = stash.get(_latest_tape, None)
    if latest is not None and not latest.is_closed:
        with _noting_errors(run, latest.test.name):
            latest.close(failure=failure)
    if (scope := run_context.scope) is not None:
        with _noting_errors(run, scope.name):
            run_context.tape_results.extend(scope.save_blocks(failure=failure))
    run.add_played(run_context.played_positions)
    run.has_deselected = run.has_deselected or _has_deselected in stash
    if run_context.tape_results:
        from pytest_multitrack import tape_report

        run.late_results += tape_report.summarize_tapes(run_context.tape_results)
    run.late_violations += [[name, str(violation)] for name, violation in run_context.late_violations]
    for worker in stash.get(_workers, ()):
        if (summary := getattr(worker, "workeroutput", {}).get("multitrack")) is not None:
            run.merge_plain(summary)
    if (terminalreporter := session.config.pluginmanager.get_plugin("terminalreporter")) is not None and any(
        hasattr(report, "multitrack_lost") for report in terminalreporter.stats.get("error", ())
    ):
        from pytest_multitrack import tape_report

        tape_report.remove_lost_advice(terminalreporter)
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["multitrack"] = run.to_plain()
    if run.late_violations and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    return result


@contextmanager
def _noting_errors(run: RunSummary, name: str) -> Iterator[None]:
    """Print an error of Multitrack in the summary, because there is no test left to fail."""
    from multitrack.errors import MultitrackError

    try:
        yield
    except MultitrackError as error:
        run.late_violations.append([name, str(error)])


def pytest_terminal_summary(terminalreporter: Any, exitstatus: int, config: pytest.Config) -> None:
    run = config.stash.get(_run_summary, RunSummary())
    reports = (report for reports in terminalreporter.stats.values() for report in reports)
    if run.late_results or run.late_violations or any(hasattr(report, "multitrack") for report in reports):
        from pytest_multitrack import tape_report

        tape_report.print_summary(terminalreporter, run.late_results)
        tape_report.print_violations(terminalreporter, run.late_violations)
    if config.option.multitrack_unused:
        from pytest_multitrack import unused_recordings

        unused_recordings.print_unused(terminalreporter, run, exitstatus)


# --- fixtures ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def tape(request: pytest.FixtureRequest) -> Tape:
    """The open tape of this test; a test that requests it uses a cassette, as with the marker ``cassette``."""
    item_tape: ItemTape | None = request.node.stash.get(_item_tape, None)
    if item_tape is None:
        pytest.fail(
            "no cassette is open: add 'tape' to the arguments of the test, or mark the test with @pytest.mark.cassette",
            pytrace=False,
        )
    return item_tape.tape


@pytest.fixture
def cassette_options() -> dict[str, Any]:
    """The cassette options of all tests that can see this fixture.

    Override it, with any scope, in a conftest, a module or a class.
    """
    return {}


@pytest.fixture
def _cassette_options_applied(request: pytest.FixtureRequest) -> None:
    request.node.stash[_request] = request
    item_tape = request.node.stash.get(_item_tape, None)
    if item_tape is not None:
        from pytest_multitrack.item_tape import apply_fixture_options

        apply_fixture_options(item_tape, request)


@pytest.fixture
def calls_snapshot(request: pytest.FixtureRequest) -> Iterator[CallsSnapshot]:
    """The stored tool calls of this test, for ``assert extraction == calls_snapshot``.

    The order of the calls is ignored unless ``calls_snapshot(ordered=True)`` is used.
    """
    from multitrack.snapshots.calls_snapshot import make_calls_snapshot
    from multitrack.tape.recording_scope import redact_with_tapes
    from pytest_multitrack import commands, failure_diagnosis, uncovered_requests

    # for workers of pytest-xdist, and for a test that requests the fixture by its name at run time
    if refused := flags.find_refused_write(request.config, updates=True):
        pytest.fail(f"{refused} ({request.node.nodeid} uses calls_snapshot)", pytrace=False)
    item_tape: ItemTape | None = request.node.stash.get(_item_tape, None)
    tapes = partial(_tapes_of, request.node)
    snapshot = make_calls_snapshot(
        request,
        redact_text=lambda text: redact_with_tapes(text, tapes()),
        record=item_tape is not None and item_tape.tape.mode in ("record", "record-missing"),
        update_command=commands.pytest_command(request.node, "--snapshot-update"),
        accept_command=lambda: commands.accept_command(request.node, tapes()),
        make_note=lambda: failure_diagnosis.format_fingerprints(request.config, tapes()),
    )
    with uncovered_requests.refuse(request, request.config.stash[_run_context].scope):
        yield snapshot
