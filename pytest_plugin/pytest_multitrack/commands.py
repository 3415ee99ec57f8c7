"""Commands in messages: complete, and quoted so that they can be pasted into a shell."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_multitrack import flags, pytest_internals

if TYPE_CHECKING:
    from multitrack.tape.tape import Tape


def record_command(item: pytest.Item, *arguments: str) -> str:
    """Return the command that records ``item`` from the folder where this run was started."""
    return pytest_command(item, flags.record_flag(item.config), *arguments)


def pytest_command(item: pytest.Item, *arguments: str) -> str:
    """Return the command that runs ``item`` alone, with the options from this run that the test needs."""
    path, separator, rest = _show_test(item).partition("::")
    folder, arguments = "", (*arguments, *_cassette_options(item.config), *_collection_options(item))
    if "[" in path:
        # pytest takes a bracket in a path for the start of the parameters
        folder, _, path = path.rpartition("/")
        # without a configuration file, pytest would look for the project root in the test's folder
        root = os.path.relpath(item.config.rootpath, item.config.invocation_params.dir / folder)
        arguments = (f"--rootdir={root}", *arguments)
    command = shlex.join(["pytest", *arguments, f"{path}{separator}{rest}"])
    return f"cd {shlex.quote(folder)} && {command}" if folder else command


# each test with a cassette needs the command that records it, for the message of a miss
@lru_cache(maxsize=256)
def _make_argument(path: str, root: Path, folder: Path) -> str:
    """Return ``path``, which begins at the project root, as an argument in the current folder."""
    return os.path.relpath(root / path, folder).replace(os.sep, "/")


def rebind_command(item: pytest.Item, fixture: str | None = None) -> str:
    """Return the command that keeps the recorded answers of ``item`` if only the wording of its requests changed.

    Args:
        item: The test.
        fixture: The name of the fixture that sent the requests. None if the test itself sent them.
    """
    if not leaves_facts(item.config):
        return pytest_command(item, "--calls-rebind")
    return shlex.join(["multitrack", "rebind", fixture or _show_test(item)])


def _show_test(item: pytest.Item) -> str:
    """Return the node id of ``item``, with a path relative to the folder where this run was started."""
    path, separator, rest = pytest_internals.get_test_name(item).partition("::")
    return f"{_make_argument(path, item.config.rootpath, item.config.invocation_params.dir)}{separator}{rest}"


def leaves_facts(config: pytest.Config) -> bool:
    """Return whether a command that is started in the same folder will find the facts about this run."""
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


def _collection_options(item: pytest.Item) -> Iterator[str]:
    """Yield the pytest options that are needed to collect the test and set it up."""
    option, folder = item.config.option, item.config.invocation_params.dir
    if getattr(option, "inifilename", None):
        yield f"--config-file={Path(folder, option.inifilename)}"
    # plugins that are switched off are not necessary
    yield from (f"-p{name}" for name in option.plugins or () if not name.startswith("no:"))
    if pytest_internals.is_doctest(item):
        if item.path.suffix == ".py":
            yield "--doctest-modules"
        else:
            yield from (f"--doctest-glob={pattern}" for pattern in option.doctestglob or ())
