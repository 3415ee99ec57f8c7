"""Build the commands that messages suggest. Each command is complete, and quoted for a shell."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options of a pytest run that are repeated in each command that runs its tests again.

    Args:
        record: The option that starts recording: ``--record``, or ``--multitrack-record`` if another plugin has a
            ``--record`` option.
        arguments: The other options. Paths in them are absolute.
        has_configuration: Whether the run had a configuration file. pytest uses that file's folder as the root.
    """

    record: str = "--record"
    arguments: Sequence[str] = ()
    has_configuration: bool = True


@dataclass(frozen=True, slots=True)
class ShellCommands:
    """A builder of commands for a project's tests.

    Args:
        root: pytest's root folder. Node ids are relative to it.
        folder: The folder where the user will run the commands.
        options: The options of the run that the commands repeat.
    """

    root: Path
    folder: Path
    options: RunOptions = RunOptions()

    def format_test(self, name: str) -> str:
        """Return ``name``, a node id or the path of a test file, relative to the user's folder."""
        path, separator, rest = name.partition("::")
        return f"{_make_relative(path, self.root, self.folder)}{separator}{rest}"

    def run(self, tests: Sequence[str], *arguments: str) -> str:
        """Return the pytest command for ``tests``.

        Args:
            tests: Node ids. Other names, such as names of fixtures, are left out, because pytest does not accept
                them. Without any node id, the command runs all tests.
            arguments: Additional options.
        """
        named = [self.format_test(test) for test in tests if "::" in test]
        folder, arguments = ".", (*arguments, *self.options.arguments)
        if not named:
            # in another folder, pytest would ignore the configured paths of the tests
            folder = _make_relative(".", self.root, self.folder)
        elif len(named) == 1 and "[" in (path := named[0].partition("::")[0]):
            # pytest takes a bracket in a path for the start of the parameters
            folder, slash, file = path.rpartition("/")
            folder, named = folder or ".", [f"{file if slash else path}{named[0][len(path) :]}"]
        needs_root = not self.options.has_configuration and self.folder != self.root
        if named and (needs_root or folder != "."):
            # without a configuration file, pytest would look for the project root in the test's folder
            root = os.path.relpath(self.root, self.folder / folder)
            arguments = (f"--rootdir={root}", *arguments)
        return _enter(folder, shlex.join(["pytest", *arguments, *named]))

    def record(self, tests: Sequence[str], *arguments: str) -> str:
        """Return the command that records ``tests``.

        If none of ``tests`` is a node id, the command records all tests.
        """
        return self.run(tests, self.options.record, *arguments)

    def rebind(self, tests: Sequence[str]) -> str:
        """Return the ``multitrack rebind`` command for ``tests``, which are node ids or names of fixtures."""
        return shlex.join(["multitrack", "rebind", *(self.format_test(one) if "::" in one else one for one in tests)])

    def move(self, names: Sequence[str]) -> str:
        """Return the command that renames the files of a test. ``names`` are its earlier and its new name."""
        return shlex.join(["multitrack", "mv", *map(self.format_test, names)])

    def run_in(self, folder: str, command: str) -> str:
        """Return a shell command that runs ``command`` in ``folder``, a path relative to pytest's root."""
        return _enter(_make_relative(folder, self.root, self.folder), command)


def _enter(folder: str, command: str) -> str:
    return command if folder == "." else f"cd {shlex.quote(folder)} && {command}"


# each test with a cassette needs the command that records it, for the message of a miss
@lru_cache(maxsize=256)
def _make_relative(path: str, root: Path, folder: Path) -> str:
    """Convert ``path``, which is relative to ``root``, to a path relative to ``folder``."""
    return os.path.relpath(root / path, folder).replace(os.sep, "/")
