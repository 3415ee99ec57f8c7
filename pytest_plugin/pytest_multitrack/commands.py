"""Build the commands that a run's messages show. The commands work in the folder where the run was started."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from multitrack.shell_commands import RunOptions, ShellCommands
from pytest_multitrack import flags, pytest_internals

if TYPE_CHECKING:
    from multitrack.tape.tape import Tape


def record_command(item: pytest.Item, *arguments: str) -> str:
    """Return the command that records ``item``, for use in the folder where this run was started."""
    return pytest_command(item, flags.record_flag(item.config), *arguments)


def pytest_command(item: pytest.Item, *arguments: str) -> str:
    """Return the command that runs only ``item``, with the options of this run that the test requires."""
    commands = shell_commands(item.config, has_doctests=pytest_internals.is_doctest(item))
    return commands.run([pytest_internals.get_test_name(item)], *arguments)


def shell_commands(config: pytest.Config, *, has_doctests: bool = False) -> ShellCommands:
    """Return a builder for commands that work in the folder where pytest was started.

    Args:
        config: The run's config.
        has_doctests: Whether the commands run doctests. If so, they repeat this run's doctest options.
    """
    options = find_run_options(config, has_doctests=has_doctests)
    return ShellCommands(config.rootpath, config.invocation_params.dir, options)


def find_run_options(config: pytest.Config, *, has_doctests: bool) -> RunOptions:
    """Return the options of this pytest run that are repeated in each command that runs its tests again."""
    arguments = (*_cassette_options(config), *_collection_options(config, has_doctests=has_doctests))
    return RunOptions(flags.record_flag(config), arguments, has_configuration=config.inipath is not None)


def rebind_command(item: pytest.Item, fixture: str | None = None) -> str:
    """Return the command that updates the recorded requests of ``item`` and keeps the recorded answers.

    The command is meant for requests in which only the wording changed.

    Args:
        item: The test.
        fixture: The name of the fixture that sent the requests. None if the test itself sent them.
    """
    if not leaves_facts(item.config):
        return pytest_command(item, "--calls-rebind")
    return shell_commands(item.config).rebind([fixture or pytest_internals.get_test_name(item)])


def leaves_facts(config: pytest.Config) -> bool:
    """Return whether this run stores its facts where ``multitrack`` commands look for them.

    The commands are assumed to run in the folder where this run was started.
    """
    folder, root = config.invocation_params.dir, config.rootpath
    if not config.pluginmanager.hasplugin("cacheprovider") or config.getini("cache_dir") != ".pytest_cache":
        return False
    if not folder.is_relative_to(root):
        return False
    between = [parent for parent in (folder, *folder.parents) if parent != root and parent.is_relative_to(root)]
    return not any((parent / ".git").exists() for parent in between)


def accept_command(item: pytest.Item, tapes: Sequence[Tape]) -> str:
    """Return the command that stores the calls received from ``tapes`` as the snapshot of ``item``."""
    from multitrack.diagnosis.failed_request import find_failed_request
    from multitrack.tape.file import paths

    # in a run that neither replays nor records, the cassette keeps the earlier calls
    writes_nothing = not all(tape.answers_are_stored for tape in tapes)
    if writes_nothing or any(map(find_failed_request, tapes)):
        return record_command(item, "--snapshot-update")
    update = pytest_command(item, "--snapshot-update")
    pending = dict.fromkeys(
        str(paths.relative_to_cwd(paths.pending_path(tape.path))) for tape in tapes if tape.has_recordings
    )
    return f"{shlex.join(['multitrack', 'accept', *pending])} && {update}" if pending else update


def _cassette_options(config: pytest.Config) -> Iterator[str]:
    if (folder := config.option.multitrack_cassettes_dir) is not None:
        yield f"--cassettes-dir={Path(config.invocation_params.dir, folder)}"
    for option in config.option.multitrack_options:
        yield f"--cassettes-option={option}"


def _collection_options(config: pytest.Config, *, has_doctests: bool) -> Iterator[str]:
    """Yield the pytest options that are needed to collect tests and set them up."""
    option, folder = config.option, config.invocation_params.dir
    if getattr(option, "rootdir", None):
        yield f"--rootdir={config.rootpath}"
    if getattr(option, "inifilename", None):
        yield f"--config-file={Path(folder, option.inifilename)}"
    # plugins that are switched off are not necessary
    yield from (f"-p{name}" for name in option.plugins or () if not name.startswith("no:"))
    if has_doctests:
        if getattr(option, "doctestmodules", False):
            yield "--doctest-modules"
        yield from (f"--doctest-glob={pattern}" for pattern in getattr(option, "doctestglob", None) or ())
