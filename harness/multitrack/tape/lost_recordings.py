"""After a miss, search for the recording elsewhere: in a pending recording, or in the cassette of a renamed test.

The search is limited, because a project can have thousands of cassettes.
"""

from __future__ import annotations

import glob
import os
import re
import shlex
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Any, cast

from multitrack.errors import CassetteCorrupt
from multitrack.shell_commands import ShellCommands
from multitrack.tape.canonicalization import create_matching_rules
from multitrack.tape.exchange import Request
from multitrack.tape.failed_interactions import explain_refusal
from multitrack.tape.file import paths, storage
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.file.cassette_cache import CassetteCache
from multitrack.tape.file.recordings import PendingRecordings, is_appended
from multitrack.tape.foreign_redaction import make_foreign_redactor
from multitrack.tape.matching.index import RecordedEntry
from multitrack.tape.matching.matching_key import MatchingKey, keys_of_recordings
from multitrack.tape.owned_files import NodeId, OwnedFiles
from multitrack.tape.settings import Settings

MAX_FILES = 200
"""The maximum number of cassettes that one search reads."""
MAX_BYTES = 20_000_000
"""The maximum total size, in bytes, of the cassettes that one search reads."""
MAX_BYTES_OF_RUN = 50_000_000
"""Once a run's searches have read this many bytes, they only read cassettes with the name of the test's cassette.
"""
MAX_FOLDERS = 5_000
"""The maximum number of project folders that a search looks into for cassettes."""
_TIMES_REUSED = 20
"""How long a list of the project's cassettes is used, as a multiple of the time that it took to make the list."""
_MAX_REMEMBERED = 4 * MAX_FILES

RequestFilter = Callable[[Request], Request]


@dataclass(frozen=True, slots=True)
class LostRecording:
    """A matching recording in another file. ``advice`` says how the test can use it."""

    reason: str
    advice: str
    finding: str = ""
    """The reason for the miss, if other tests may miss for the same reason. Empty if it concerns only this test."""
    command: str = ""
    """The command in ``advice``. Empty if the advice is not a command."""
    moved_from: tuple[str, str] | None = None
    """The earlier and the new name of the test, its class or its file, as ``multitrack mv`` expects them, relative to
    pytest's root folder. None if the command cannot move the recording."""


@dataclass(frozen=True, slots=True)
class RecordingSearch:
    """A search of other files for recordings that a test's cassette does not contain.

    Args:
        path: The cassette.
        test: The node id of the test. None outside of any test.
        root: The folder that node ids start from.
        folder: The current directory, from which paths are shown.
        settings: The tape's settings.
        filter_request: Applies the project's filter functions to a request. None if there are none.
        cache: Keeps the cassettes that a run's searches have read.
    """

    path: Path
    test: str | None
    root: Path
    folder: Path
    settings: Settings
    filter_request: RequestFilter | None = None
    cache: CassetteCache = field(default_factory=CassetteCache)

    @property
    def _memory(self) -> _SearchMemory:
        return self.cache.remember(_SearchMemory, _SearchMemory)

    def find(self, key: MatchingKey, *, played: int = 0) -> LostRecording | None:
        """Search other files for a recording of a request, and return it with advice on how to use it.

        If the cassette exists, only its pending recordings and its copies in other formats are searched. If it does
        not exist, the project's other cassettes are searched, too.

        Args:
            key: The matching key of the request.
            played: The number of requests with this key that the cassette has answered.

        Returns:
            The first recording found, or None.
        """
        pending = paths.pending_path(self.path)
        found = self._read(pending)
        if found is not None and found.has_recording(key, played=played):
            shown = self._show(pending)
            command = f"multitrack accept {shlex.quote(shown)}"
            return LostRecording(
                f"the pending recording {shown} has this request", f"to accept it: {command}", command=command
            )
        if self.path.exists():
            return self._find_in_other_formats(key)
        for path in self._list_candidates():
            found = self._read(path)
            if found is None or not found.has_recording(key):
                continue
            owners = found.tests or self._guess_owners(path)
            existing = [owner for owner in owners if self._exists(owner, path)]
            if owners and not existing:
                return self._suggest_folder_move(path, owners[0]) or self._suggest_move(
                    path, owners[0], f"recorded by {owners[0]}, which no longer exists", "to use it"
                )
            if existing and existing == [owners[0]] == list(owners) and self._is_same_function(owners[0]):
                return self._suggest_move(
                    path, owners[0], f"recorded by {owners[0]}", "if the parameters of the test were renamed, run"
                )
            if list(owners) == [self.test]:
                return self._suggest_move(path, owners[0], "recorded by this test", "if the cassette was renamed, run")
        return None

    def _find_in_other_formats(self, key: MatchingKey) -> LostRecording | None:
        for path in paths.find_other_formats(self.path):
            if (found := self._read(path)) is not None and found.has_recording(key):
                own, other = self._show(self.path), self._show(path)
                return LostRecording(
                    f"{other} has this request, but is not replayed, because {own} has replaced it",
                    f"delete {other} if it is not needed",
                )
        return None

    def _suggest_move(self, path: Path, owner: str, reason: str, purpose: str) -> LostRecording:
        renaming = self._find_renaming(path, owner)
        source, target = self._show(path), self._show(self.path)
        command = (
            format_move_command(path, self.path, source, target)
            if renaming is None
            else ShellCommands(self.root, self.folder).move(renaming)
        )
        return LostRecording(
            f"{source} has this request, {reason}", f"{purpose}: {command}", command=command, moved_from=renaming
        )

    def _suggest_folder_move(self, path: Path, owner: str) -> LostRecording | None:
        """Suggest moving all cassettes of a module that was moved. None if no module seems to have been moved."""
        module = owner.partition("::")[0]
        is_default = path.name == self.path.name and path.parent.name == paths.file_name(Path(module).stem)
        if not is_default or self.path.parent.exists() or (self.root / module).exists():
            return None
        renaming = self._find_renaming(path, owner, is_module=True)
        source, target = self._show(path.parent), self._show(self.path.parent)
        if renaming is None:
            command = format_move_command(path, self.path.parent, source, target)
        else:
            command = ShellCommands(self.root, self.folder).move(renaming)
        advice = f"to use them: {command}"
        finding = f"reason: there is no cassette yet, but {source} has these requests, recorded by {module}, which no"
        return LostRecording(
            f"{self._show(path)} has this request, recorded by {owner}, which no longer exists",
            advice,
            f"{finding} longer exists\n  {advice}",
            command,
            renaming,
        )

    def _find_renaming(self, path: Path, owner: str, *, is_module: bool = False) -> tuple[str, str] | None:
        """Return the old and the new name for a ``multitrack mv`` command that moves the cassette at ``path``.

        None if ``multitrack mv`` cannot move the cassette.

        Args:
            path: The cassette.
            owner: The node id of the test that recorded it.
            is_module: Whether to return the names of test files instead of tests.
        """
        files = OwnedFiles.of_project(self.folder)
        if self.test is None or "::" not in owner or owner == self.test or files.root != self.root:
            return None
        old, new = NodeId.parse(owner), NodeId.parse(self.test)
        if files.default_cassette(old) != path or files.default_cassette(new) != self.path:
            return None
        if (old.parameters is None) != (new.parameters is None):
            return None
        renaming = owner, self.test
        if is_module:
            renaming = old.module, new.module
        elif old.parameters is not None and old.parameters == new.parameters:
            stem = files.default_cassette(replace(new, parameters=None)).name.removesuffix(".yaml")
            # if the test's new name already has a cassette with other parameters, only this one can be moved
            if not any(self.path.parent.glob(f"{glob.escape(stem)}[[]*")):
                renaming = owner.partition("[")[0], self.test.partition("[")[0]
        return None if _has_snapshot(files, NodeId.parse(renaming[1])) else renaming

    def _show(self, path: Path) -> str:
        return str(path.relative_to(self.folder) if path.is_relative_to(self.folder) else path)

    def _read(self, path: Path) -> _OtherCassette | None:
        try:
            stat = path.stat()
        except OSError:
            return None
        # the file is read again if it changes
        key = path, stat.st_mtime_ns, stat.st_size, self.settings, self.filter_request
        return self._memory.read(key, stat.st_size, lambda: _read_other(path, self.settings, self.filter_request))

    def _list_candidates(self) -> Iterator[Path]:
        """Yield the project's other cassettes. Those that most likely contain the recording come first.

        First come cassettes with the same file name as this cassette, then the others in the same folder, in sibling
        folders, and in the rest of the project. Each of these groups is sorted by the similarity of the names.
        """
        own = self.path.parent
        found = [
            path
            for path in _list_cassettes(own, self._memory.list_project(self.root, self._cassettes_root))
            if path != self.path
        ]
        # a renamed module keeps the names of its tests
        matcher = SequenceMatcher(None, "", self.path.stem)

        def rank(path: Path) -> tuple[bool, int, float]:
            matcher.set_seq1(path.stem)
            likeness = matcher.real_quick_ratio() if len(found) > MAX_FILES else matcher.ratio()
            distance = 0 if path.parent == own else 1 if path.parent.parent == own.parent else 2
            return path.name != self.path.name, distance, -likeness

        size = 0
        for path in sorted(found, key=lambda path: (rank(path), path))[:MAX_FILES]:
            if path.name != self.path.name and self._memory.bytes_read > MAX_BYTES_OF_RUN:
                return
            try:
                size += path.stat().st_size
            except OSError:  # deleted in the meantime
                continue
            if size > MAX_BYTES:
                return
            yield path

    @property
    def _cassettes_root(self) -> Path | None:
        """The root folder of all cassettes.

        None if there is no such folder, for example because cassettes are stored next to their tests.
        """
        module = Path((self.test or "").partition("::")[0])
        steps = (*module.parent.parts, paths.file_name(module.stem))
        parts = self.path.parent.parts
        if len(steps) < 2 or parts[-len(steps) :] != steps:
            return None
        root = Path(*parts[: -len(steps)])
        return None if self.root.is_relative_to(root) else root

    def _guess_owners(self, path: Path) -> Sequence[str]:
        """Return the node ids of the tests whose default cassette may be ``path``, judging by its location."""
        root = self._cassettes_root
        if root is not None and path.is_relative_to(root):
            module = self.root / path.parent.relative_to(root)
        elif path.parent.parent.name == "cassettes":
            module = path.parents[2] / path.parent.name
        else:
            return ()  # a cassette whose name a user chose
        module = module.with_name(f"{module.name}.py")
        shown = module.relative_to(self.root) if module.is_relative_to(self.root) else module
        return ["::".join([shown.as_posix(), *_split_name(path.stem)])]

    def _exists(self, owner: str, path: Path) -> bool:
        """Return whether the test or fixture ``owner``, which recorded the cassette at ``path``, still exists."""
        return self._has_test(owner) if "::" in owner else self._has_fixture(owner, path)

    def _has_test(self, test: str) -> bool:
        """Return whether the test file defines the function of ``test``, regardless of its parameters."""
        file, *names = test.partition("[")[0].split("::")
        try:
            source = (self.root / file).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return False
        if not file.endswith(".py"):
            return True  # not Python source, so there are no functions to look for
        is_defined = [_has_definition(source, name) for name in names]
        # a test may be defined in a base class
        is_inherited = all(is_defined[:-1]) and any(
            re.search(rf"^\s*class\s+{re.escape(name)}\s*\((?!\s*\)|object\b)", source, re.M) for name in names[:-1]
        )
        return all(is_defined) or is_inherited

    def _has_fixture(self, owner: str, path: Path) -> bool:
        """Return whether the ``owner`` fixture still exists, in the test module or in a conftest.py.

        ``owner`` has the form that ``cassette_paths.fixture_name`` returns. The test module is guessed from ``path``.
        """
        name = owner.removeprefix("fixture ").partition(" of ")[0].partition("[")[0].rpartition(".")[2]
        guessed = self._guess_owners(path)
        module = self.root / guessed[0].partition("::")[0] if guessed else path
        folders = [folder for folder in module.parents if folder.is_relative_to(self.root)]
        for file in (module, *(folder / "conftest.py" for folder in folders)):
            try:
                source = file.read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
            if _has_definition(source, name):
                return True
        return False

    def _is_same_function(self, test: str) -> bool:
        return self.test is not None and test != self.test and test.partition("[")[0] == self.test.partition("[")[0]


def _has_snapshot(files: OwnedFiles, test: NodeId) -> bool:
    """Return whether ``test`` has a snapshot. If so, ``multitrack mv`` cannot give its name to another test.

    For a test outside of a class, the result is True if there is any snapshot for its file.
    """
    file = files.snapshot_file(test.module)
    if not test.classes:
        return file.exists()
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    name = f"# name: {test.qualified_name}"
    return any(line == name or line.startswith((f"{name}.", f"{name}[")) for line in lines)


def _has_definition(source: str, name: str) -> bool:
    """Return whether ``source`` defines the test, class or fixture ``name``."""
    name = re.escape(name)
    starts = rf"(?:async\s+def|def|class)\s+{name}\b", rf"{name}\s*="
    return re.search(rf"^\s*(?:{'|'.join(starts)})|\bname\s*=\s*[\"']{name}[\"']", source, re.M) is not None


class _SearchMemory:
    """A cache for the cassettes that the searches in a run read. Several searches often read the same cassette."""

    def __init__(self) -> None:
        self.bytes_read = 0
        """The total size of the cassettes that were read."""
        self._cassettes: dict[Hashable, _OtherCassette | None] = {}
        self._lists: dict[tuple[Path, Path | None], tuple[float, Sequence[Path]]] = {}

    def read(
        self, key: Hashable, size: int, read_cassette: Callable[[], _OtherCassette | None]
    ) -> _OtherCassette | None:
        """Return the cached cassette for ``key``, or read it with ``read_cassette``.

        ``size`` is the size of the cassette's file in bytes.
        """
        if key in self._cassettes:
            found = self._cassettes.pop(key)
        else:
            self.bytes_read += size
            found = read_cassette()
        # most recently used last: the first ones are dropped
        self._cassettes[key] = found
        for other in list(self._cassettes)[:-_MAX_REMEMBERED]:
            self._cassettes.pop(other, None)
        return found

    def list_project(self, project: Path, root: Path | None) -> Sequence[Path]:
        """Return the cassettes in the ``cassettes`` folders of ``project``, and in the folder ``root``."""
        start = monotonic()
        until, found = self._lists.get((project, root), (0.0, ()))
        if start < until:
            return found
        trees = [*([] if root is None else [root]), *paths.find_cassette_folders(project, limit=MAX_FOLDERS)]
        folders = (Path(folder) for tree in trees for folder, _, _ in islice(os.walk(tree), MAX_FOLDERS))
        found = list(_list_folders(folders))
        end = monotonic()
        self._lists[project, root] = end + _TIMES_REUSED * (end - start), found
        return found


def _list_cassettes(own: Path, in_project: Sequence[Path]) -> Sequence[Path]:
    """Return the cassettes in the folder ``own``, in its sibling folders, and in the list ``in_project``."""
    folders = [own]
    if not any((own.parent / name).exists() for name in ("pyproject.toml", ".git")):
        folders += sorted(folder for folder in own.parent.glob("*") if folder.is_dir())
    return list(dict.fromkeys([*_list_folders(folders), *in_project]))


def _list_folders(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in dict.fromkeys(folders):
        yield from (path for path in folder.glob("*.yaml") if not path.name.endswith(paths.PENDING_SUFFIX))


def _split_name(stem: str) -> Sequence[str]:
    function, bracket, parameters = stem.partition("[")
    *classes, name = function.split(".")
    return [*classes, name + bracket + parameters]


@dataclass(frozen=True, slots=True)
class _OtherCassette:
    keys: Sequence[MatchingKey]
    tests: Sequence[str]
    appended: Collection[int] = ()
    """The positions, from 0, of pending recordings that are appended to the cassette. The others replace recordings."""

    def has_recording(self, key: MatchingKey, *, played: int = 0) -> bool:
        """Return whether a recording can answer a request with ``key``.

        Args:
            key: The matching key of the request.
            played: The number of requests with this key that have already been answered.
        """
        # an entry's key alone decides whether it accepts a request
        accepting = [
            position
            for position, recorded in enumerate(self.keys)
            if RecordedEntry(0, cast(Any, None), recorded).accepts(key)
        ]
        return len(accepting) > played or any(position in self.appended for position in accepting)


def _read_other(path: Path, settings: Settings, filter_request: RequestFilter | None) -> _OtherCassette | None:
    try:
        cassette = storage.read(path)
    except CassetteCorrupt:
        return None
    if cassette is None:
        return None
    cassette = make_foreign_redactor(settings)(cassette)
    if path.name.endswith(paths.PENDING_SUFFIX) and not settings.keep_errors:
        cassette = _without_refused(cassette, path)
    rules = create_matching_rules(settings)

    def make_key(request: Request, pseudonyms: Collection[str]) -> MatchingKey:
        return rules.make_key(filter_request(request) if filter_request is not None else request, pseudonyms)

    keys = keys_of_recordings(cassette.interactions, cassette.placeholders, make_key)
    tests = dict.fromkeys(test for interaction in cassette.interactions for test in interaction.tests)
    appended = [number for number, one in enumerate(cassette.interactions) if is_appended(one, cassette)]
    return _OtherCassette(keys, tuple(tests), appended)


def _without_refused(pending: Cassette, path: Path) -> Cassette:
    """Return the ``pending`` recordings at ``path`` without those that ``multitrack accept`` refuses."""
    cassette = storage.read(paths.cassette_path(path)) or Cassette()
    recordings = PendingRecordings.from_cassette(pending)
    refused = [one.test for one in recordings.recordings if explain_refusal(one, cassette) is not None]
    return recordings.without(*refused).to_cassette()


def format_move_command(path: Path, target: Path, shown_path: str, shown_target: str) -> str:
    """Return the command that moves the cassette at ``path`` to ``target``.

    The command uses ``git mv`` if git tracks the cassette.

    Args:
        path: The cassette.
        target: The new path.
        shown_path: The path as the command shows it.
        shown_target: The target as the command shows it.
    """
    move = f"{'git mv' if _is_tracked(path) else 'mv'} {shlex.quote(shown_path)} {shlex.quote(shown_target)}"
    if target.parent.is_dir():
        return move
    return f"mkdir -p {shlex.quote(str(Path(shown_target).parent))} && {move}"


def _is_tracked(path: Path) -> bool:
    """Return whether git's index has ``path``. Reads the index file, because a subprocess would take longer."""
    path = path.resolve()
    for folder in path.parents:
        entry = folder / ".git"
        if entry.is_file():  # a worktree or a submodule
            entry = folder / entry.read_text(encoding="utf-8").removeprefix("gitdir:").strip()
        if entry.is_dir():
            try:
                return path.relative_to(folder).as_posix().encode() in (entry / "index").read_bytes()
            except OSError:
                return False
    return False
