"""The plugin's hooks, in the order in which pytest calls them. Other modules do the work of each hook.

A run that uses no cassette must stay fast. Therefore, the modules imported here depend on pytest alone. They import
other packages inside the functions that need them.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack
from typing import Any

import pytest

from multitrack.tape import module_level_clients, run_context
from pytest_multitrack import collection, fixture_setup, flags, item_phases, markers, optional_plugins, rebinding

# pytest finds a plugin's fixtures by their names in its module
from pytest_multitrack.fixtures import _cassette_options_applied as _cassette_options_applied
from pytest_multitrack.fixtures import _network_block as _network_block
from pytest_multitrack.fixtures import calls_snapshot as calls_snapshot
from pytest_multitrack.fixtures import cassette_options as cassette_options
from pytest_multitrack.fixtures import tape as tape
from pytest_multitrack.output_hooks import OutputHooks
from pytest_multitrack.recording_interface import registration
from pytest_multitrack.run_state import RunState

_OUTPUT = "multitrack_output"

# --- start of the run -------------------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    flags.add_options(parser)
    registration.reserve_place(pluginmanager)


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> Generator[None, object, object]:
    flags.separate_audit_option(early_config, args)
    # a conftest may import an application that constructs OpenAI() at module level
    preparing = module_level_clients.preparing_imports(lambda: flags.may_go_live(early_config, parser, args))
    with _get_output_hooks(early_config).redacting_errors(), preparing:
        result = yield
    # after the conftests, because some of them define a --record option of their own, or load pytest-recording
    flags.add_record_option(early_config, parser)
    registration.register(early_config, parser)
    return result


def _get_output_hooks(config: pytest.Config) -> OutputHooks:
    """Return the hooks that redact the output. The first call also registers them."""
    output: OutputHooks | None = config.pluginmanager.get_plugin(_OUTPUT)
    if output is None:
        output = OutputHooks(config)
        config.pluginmanager.register(output, _OUTPUT)
    return output


def pytest_configure(config: pytest.Config) -> None:
    if refused := flags.find_refused_write(config):
        raise pytest.UsageError(refused)
    run = ExitStack()
    mode, options = flags.mode(config), list(flags.cassette_options(config))
    output = _get_output_hooks(config)
    context = run_context.run(mode, config.rootpath, options, rebinding=rebinding.find_rebinding(config))
    RunState(run.enter_context(context), output).store(config)
    output.begin_run()
    config.add_cleanup(run.close)
    markers.register(config)
    registration.register_markers(config)
    optional_plugins.register(config)


# --- collection -------------------------------------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    # a test module may import an application that constructs OpenAI() at module level
    with module_level_clients.preparing_imports(lambda: flags.may_record(session.config)):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None, object, object]:
    result = yield
    collection.process_items(config, items)
    return result


def pytest_deselected(items: list[pytest.Item]) -> None:
    if items:
        RunState.of(items[0].config).has_deselected = True


@pytest.hookimpl(optionalhook=True)
def pytest_testnodeready(node: Any) -> None:
    # each worker sends its summary when it ends, but pytest-xdist no longer reports that after Ctrl-C
    RunState.of(node.config).workers.append(node)


# --- the phases of a test ---------------------------------------------------------------------------------------------


# not a wrapper: if a wrapper fails before its yield, the wrappers inside it (such as logging) are not torn down
@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    item_phases.begin_test(item)


# tryfirst: outside anyio's wrapper, which replaces the fixture's function
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    with fixture_setup.prepare_setup(fixturedef, request):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    with item_phases.watch_call(item):
        return (yield)


def pytest_assertrepr_compare(config: pytest.Config, op: str, left: object, right: object) -> None:
    run = RunState.of(config)
    test = run.context.scope
    if test is not None and test.tapes and op == "==":
        run.comparison = left, right


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    with item_phases.close_after_teardown(item):
        return (yield)


# the outermost wrapper: a violation is a failure even if xfail has excused the error
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    item_phases.complete_report(item, call, report)
    return report


# --- end of the run ---------------------------------------------------------------------------------------------------


# the innermost wrapper: continues after pytest has torn down what Ctrl-C left open, and before the terminal reporter
# prints the summary
@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, object, object]:
    result = yield
    if RunState.of(session.config).has_results:
        from pytest_multitrack import run_end

        run_end.finish_run(session)
    return result


def pytest_terminal_summary(terminalreporter: Any, exitstatus: int) -> None:
    config: pytest.Config = terminalreporter.config
    option = config.option
    if RunState.of(config).has_results or option.multitrack_unused or option.multitrack_audit is not None:
        from pytest_multitrack import run_end

        run_end.print_summary(terminalreporter, exitstatus)
