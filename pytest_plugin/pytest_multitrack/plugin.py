"""The hooks. Nothing but pytest is imported before a test asks for a tape."""

from __future__ import annotations

import shlex
from collections.abc import Generator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from pytest_multitrack import assertion_rewriting, flags, going_live, node_names, selection
from pytest_multitrack.run import Run

if TYPE_CHECKING:
    from multitrack.snapshots.calls_snapshot import CallsSnapshot
    from multitrack.tape.active import RunContext
    from multitrack.tape.interaction import Interaction
    from multitrack.tape.tape import Tape
    from pytest_multitrack.fixture_tape import FixtureTape
    from pytest_multitrack.playback import Playback

_asked: pytest.StashKey[RunContext] = pytest.StashKey()
_run = pytest.StashKey[Run]()
_nodes = pytest.StashKey["list[Any]"]()
_told = pytest.StashKey[bool]()
_deselected = pytest.StashKey[bool]()
_playback = pytest.StashKey["Playback | None"]()
_outcome = pytest.StashKey["str | None"]()
_request = pytest.StashKey[pytest.FixtureRequest]()
_compared = pytest.StashKey["tuple[object, object] | None"]()
"""The two sides of the last ``==`` that the test asserted and that did not hold."""
_fixtures: pytest.StashKey[dict[pytest.FixtureDef[object], FixtureTape]] = pytest.StashKey()
"""The tapes of fixtures of wider scope, by who was set up last."""
_latest = pytest.StashKey["Playback"]()

_LIVE_FLAGS = frozenset(
    {"--record", "--multitrack-record", "--record-missing", "--live", "--multitrack-live", "--calls-drift"}
)

VCR_PLUGINS = ("recording", "cassetter", "vcr")
"""Who understands ``@pytest.mark.vcr`` already, where one of them is there."""

VCR_MARKERS = (
    "vcr(*names, **options): play a tape for this test, as pytest-recording does",
    "default_cassette(name): the name of the tape that the marker vcr plays",
)
MARKER = "cassette(name=None, **options): play a tape for this test; name= shares one between tests"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("multitrack", "recorded tool calls (multitrack)")
    group.addoption(
        "--multitrack-record",
        action="store_true",
        help="go live for the selected tests and replace what they recorded (also --record, where it is free)",
    )
    group.addoption(
        "--record-missing",
        action="store_true",
        dest="multitrack_record_missing",
        help="replay what is on the tape, go live for the rest and append it",
    )
    group.addoption(
        "--live",
        "--multitrack-live",
        action="store_true",
        dest="multitrack_live",
        help="go live, read and write no tape",
    )
    flags.add_drift(group)
    flags.add_report(group)
    group.addoption(
        "--cassettes-strict",
        action="store_true",
        dest="multitrack_strict",
        help="fail a test that did not play all that it recorded",
    )
    group.addoption(
        "--cassettes-unused",
        action="store_true",
        dest="multitrack_unused",
        help="list what a full run did not use of the tapes",
    )
    group.addoption(
        "--cassettes-option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="multitrack_options",
        help="a setting of every tape, stronger than those in pyproject.toml, fixtures and markers; VALUE is TOML",
    )
    group.addoption(
        "--cassettes-dir",
        metavar="DIR",
        dest="multitrack_cassettes_dir",
        help="root of the tapes; without it they lie in 'cassettes' beside each test file",
    )


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> Generator[None, object, object]:
    from multitrack.tape import credentials

    # a conftest may import an application with a module-level OpenAI()
    with credentials.stand_in(live=not _LIVE_FLAGS.isdisjoint(args)):
        result = yield
    # after the conftests, some of which define an option --record of their own
    flags.add_record(early_config, parser)
    return result


def pytest_configure(config: pytest.Config) -> None:
    assertion_rewriting.spare(config, "multitrack")
    from multitrack.snapshots import run_outcomes
    from multitrack.tape import active

    asking = ExitStack()
    config.stash[_asked] = asking.enter_context(
        active.run(flags.mode(config), config.rootpath, list(flags.given(config)))
    )
    config.add_cleanup(asking.close)
    config.addinivalue_line("markers", MARKER)
    if not any(map(config.pluginmanager.hasplugin, VCR_PLUGINS)):
        for line in VCR_MARKERS:
            config.addinivalue_line("markers", line)
    run_outcomes.register(config)
    if (asked := flags.drift(config)) is not None:
        from pytest_multitrack import drift

        found = drift.DriftRun(
            asked, wants=_wants_tape, playing=lambda item: item.stash.get(_playback, None), tapes=_tapes
        )
        config.pluginmanager.register(found, "multitrack-drift")
    if reports := config.option.multitrack_reports:
        from pytest_multitrack import calls_report

        gathering = calls_report.CallsReport(reports, config.invocation_params.dir)
        config.pluginmanager.register(gathering, "multitrack-report")


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    from multitrack.tape import credentials

    # an application's module-level OpenAI() is constructed while its test module is imported
    with credentials.stand_in(live=flags.mode(session.config) != "replay"):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None, object, object]:
    result = yield
    config.stash[_run] = Run()
    if wanting := [item for item in items if _wants_tape(item)]:
        try:
            from pytest_multitrack import playback
        except ImportError as error:
            raise pytest.UsageError(f"playing a cassette needs {error.name}: pip install 'multitrack[test]'") from error
        config.stash[_run].tapes.update(playback.tapes_of(wanting))
        for item in wanting:
            getattr(item, "fixturenames", []).insert(0, "_cassette_options_applied")
    return result


def pytest_deselected(items: list[pytest.Item]) -> None:
    if items:
        items[0].config.stash[_deselected] = True


def pytest_report_collectionfinish(config: pytest.Config) -> list[str]:
    count = _going_live(config)
    if count == 0:
        return []
    from multitrack.reporting import terminal

    return [terminal.live_run_line(flags.record(config), count)]


def _going_live(config: pytest.Config) -> int:
    """How many tests go live though nobody selected them."""
    if not config.option.multitrack_record or selection.reason(config, _deselected in config.stash):
        return 0
    return len(config.stash.get(_run, Run()).tapes)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    if node.config.option.multitrack_record:
        going_live.ask(node)


# before pytest-xdist sends what was collected
@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    going_live.note(session.config, _going_live(session.config))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: list[str]) -> None:
    config: pytest.Config = node.config
    if not config.option.multitrack_record or _told in config.stash:
        return
    from multitrack.reporting import terminal

    config.stash[_told] = True
    count = going_live.noted(node)
    if count is None:
        line = terminal.worker_live_run_line(flags.record(config), len(ids))
    elif count == 0:
        return
    else:
        line = terminal.live_run_line(flags.record(config), count)
    config.get_terminal_writer().line(line)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodeready(node: Any) -> None:
    # what they know, they send when they end; who was interrupted hears of that no more
    node.config.stash.setdefault(_nodes, []).append(node)


# no wrapper: one that fails before its yield leaves those inside it (logging, for one) torn
@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    from multitrack.tape.recording_scope import RecordingScope

    name = node_names.of(item)
    test = RecordingScope(
        name,
        record_hint=f"pytest {flags.record(item.config)} {shlex.quote(name)}",
        fingerprint_results=partial(_results, item.config),
    )
    item.config.stash[_asked].scope = test
    item.config.stash[_compared] = None
    item.stash[_outcome] = None
    item.stash[_playback] = None  # of an attempt before this one
    if _wants_tape(item):
        from pytest_multitrack import playback

        item.stash[_playback] = item.config.stash[_latest] = playback.start(item, test)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    try:
        with _taped(fixturedef, request):
            return (yield)
    except BaseException as error:
        from multitrack.errors import TapeViolation

        if isinstance(error, TapeViolation):
            # pytest takes a fixture for torn down that raised what is no Exception, and its next test fails by that
            fixturedef.cached_result = (None, None, None)
            fixturedef.finish(request)  # type: ignore[arg-type]  # it is the SubRequest of the fixture
        raise


def _taped(fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest) -> AbstractContextManager[None]:
    """Within which a fixture is set up: one of wider scope has a tape of its own where that of a test plays."""
    if fixturedef.scope == "function":
        return nullcontext()
    playing = request.config.stash.get(_latest, None)
    module = getattr(fixturedef.func, "__module__", None) or ""
    if module.startswith("_pytest.") or playing is None or playing.is_over:
        # the first test that happens to ask for it is not who a tape plays for
        return request.config.stash[_asked].use_scope(None)
    from pytest_multitrack import fixture_tape, playback

    with playback.failing_plainly():
        taped = fixture_tape.of(fixturedef, request, playing.test)
    request.config.stash.setdefault(_fixtures, {})[fixturedef] = taped
    return taped.setup(request)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    playing = item.stash.get(_playback, None)
    with playing.phase() if playing else nullcontext():
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    playing, asked = item.stash.get(_playback, None), item.config.stash[_asked]
    failure = item.stash.get(_outcome, None)
    try:
        with playing.last_phase(failure=failure) if playing else nullcontext():
            return (yield)
    except BaseException as error:
        failure = failure or f"teardown failed: {type(error).__name__}"
        raise
    finally:
        if (test := asked.scope) is not None and test.has_closed_blocks:
            from pytest_multitrack import playback

            with playback.failing_plainly():
                asked.tape_results.extend(test.save_blocks(failure=failure))


def pytest_assertrepr_compare(config: pytest.Config, op: str, left: object, right: object) -> None:
    test = config.stash[_asked].scope
    if test is not None and test.tapes and op == "==":
        config.stash[_compared] = left, right


# outermost: after xfail has had its say, a violation of the tape is still a failure
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    playing, asked = item.stash.get(_playback, None), item.config.stash[_asked]
    if playing is not None:
        from pytest_multitrack import verdict

        if call.when == "setup" and call.excinfo:
            playing.blame(call.excinfo.value)
        verdict.amend(report, playing)
    if report.failed and report.when != "teardown" and (tapes := _tapes(item)):
        from pytest_multitrack import layers

        if playing is None or playing.violation is None:
            layers.tell(report, call, tapes, item.config, item.config.stash[_compared])
    if (test := asked.scope) is not None and (asked.tape_results or (report.failed and test.recorded_paths)):
        from pytest_multitrack import verdict

        verdict.conclude(report, test, asked)
    if report.when == "teardown":
        asked.scope = None
    if not report.passed:
        item.stash[_outcome] = f"{report.when} {'xfailed' if hasattr(report, 'wasxfail') else report.outcome}"
    return report


# within the terminal's own, which closes with the summary; behind pytest's, which tears down what Ctrl-C left standing
@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, object, object]:
    result = yield
    stash = session.config.stash
    asked, failure = stash[_asked], "the run was interrupted"
    if (latest := stash.get(_latest, None)) is not None:
        latest.close(failure=failure)
    if asked.scope is not None:
        asked.tape_results.extend(asked.scope.save_blocks(failure=failure))
    run = stash.setdefault(_run, Run())
    run.played(asked.played_positions)
    run.deselected = run.deselected or _deselected in stash
    if asked.tape_results:
        from pytest_multitrack import verdict

        run.late += verdict.facts(asked.tape_results)
    for node in stash.get(_nodes, ()):
        if (sent := getattr(node, "workeroutput", {}).get("multitrack")) is not None:
            run.add(sent)
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["multitrack"] = run.as_plain()
    return result


def pytest_terminal_summary(terminalreporter: Any, exitstatus: int, config: pytest.Config) -> None:
    run = config.stash.get(_run, Run())
    reports = (report for reports in terminalreporter.stats.values() for report in reports)
    if run.late or any(hasattr(report, "multitrack") for report in reports):
        from pytest_multitrack import verdict

        verdict.summarise(terminalreporter, run.late)
    if config.option.multitrack_unused:
        from pytest_multitrack import unused

        unused.tell(terminalreporter, run, exitstatus)


@pytest.fixture
def cassette_options() -> dict[str, Any]:
    """Options of the tapes of the tests that see it: for a project, a module or a class to define anew, with any
    scope."""
    return {}


@pytest.fixture
def _cassette_options_applied(request: pytest.FixtureRequest) -> None:
    request.node.stash[_request] = request
    playing = request.node.stash.get(_playback, None)
    if playing is not None:
        from pytest_multitrack import playback

        playback.configure(playing, request)


@pytest.fixture
def tape(request: pytest.FixtureRequest) -> Tape:
    """The tape in use; asking for it plays one, as the marker ``cassette`` does."""
    playing: Playback | None = request.node.stash.get(_playback, None)
    if playing is None:
        pytest.fail("no tape plays: name the fixture in the test's arguments, or mark the test", pytrace=False)
    return playing.tape


@pytest.fixture
def calls_snapshot(request: pytest.FixtureRequest) -> CallsSnapshot:
    """``assert extraction == calls_snapshot``: the calls of this test's snapshot, without regard to their order;
    ``calls_snapshot(ordered=True)`` with it."""
    from multitrack.snapshots.calls_snapshot import make_calls_snapshot
    from multitrack.tape.recording_scope import redact_with_tapes
    from pytest_multitrack import layers

    playing: Playback | None = request.node.stash.get(_playback, None)
    tapes = partial(_tapes, request.node)
    return make_calls_snapshot(
        request,
        scrub=lambda text: redact_with_tapes(text, tapes()),
        record=playing is not None and playing.tape.mode in ("record", "record-missing"),
        make_note=lambda: layers.moments(request.config, tapes()),
    )


def _tapes(item: pytest.Item) -> list[Tape]:
    """The tapes that played for a test: those of its fixtures of wider scope, its own, and those of blocks in it."""
    test, fixtures = item.config.stash[_asked].scope, item.config.stash.get(_fixtures, {})
    # with those that were asked for by `getfixturevalue`
    names = getattr(item.stash.get(_request, item), "fixturenames", ())
    used = [one for name, one in fixtures.items() if name.argname in names and name.cached_result is not None]
    return [*(tape for one in used for tape in one.tapes), *(test.tapes if test else ())]


def _results(config: pytest.Config, interaction: Interaction) -> tuple[str, ...] | None:
    from pytest_multitrack import layers

    return layers.results(config, interaction)


def _wants_tape(item: pytest.Item) -> bool:
    if item.get_closest_marker("cassette") is not None or "tape" in getattr(item, "fixturenames", ()):
        return True
    plugins = item.config.pluginmanager
    return item.get_closest_marker("vcr") is not None and not any(map(plugins.hasplugin, VCR_PLUGINS))
