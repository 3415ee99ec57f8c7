"""Find the recording of a request that has no cassette: in a pending recording, or in the cassette of a renamed test.

The search runs only after a miss, and is limited, because a project may have thousands of cassettes.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from multitrack.errors import CassetteCorrupt
from multitrack.tape.exchange import Request
from multitrack.tape.file import paths, storage
from multitrack.tape.foreign_redaction import make_foreign_redactor
from multitrack.tape.matching.index import MatchingKey, RecordedEntry, keys_of_recordings
from multitrack.tape.matching.rules import MatchingRules
from multitrack.tape.settings import Settings

MAX_FILES = 200
MAX_BYTES = 20_000_000

RequestFilter = Callable[[Request], Request]


@dataclass(frozen=True, slots=True)
class LostRecording:
    """A recording of the request in another file, and the command that makes the test use it."""

    reason: str
    advice: str


@dataclass(frozen=True, slots=True)
class RecordingSearch:
    """A search for recordings that the test ``test``, whose cassette is at ``path``, could use.

    Args:
        path: The cassette, which does not exist.
        test: The node id of the test. None outside of any test.
        root: The folder that node ids start from.
        folder: The current directory, from which paths are shown.
        settings: The settings of the tape.
        filter_request: Applies the project's filter functions to a request. None if there are none.
    """

    path: Path
    test: str | None
    root: Path
    folder: Path
    settings: Settings
    filter_request: RequestFilter | None = None

    def find(self, key: MatchingKey) -> LostRecording | None:
        """Return the recording of a request with ``key``. None if the limited search does not find one."""
        pending = paths.pending_path(self.path)
        if (found := self._read(pending)) is not None and found.has_recording(key):
            shown = self._show(pending)
            return LostRecording(
                f"there is no cassette yet, but the pending recording {shown} has this request",
                f"to accept it: multitrack accept {shlex.quote(shown)}",
            )
        for path in self._list_candidates():
            found = self._read(path)
            if found is None or not found.has_recording(key):
                continue
            owners = found.tests or (self._guess_owner(path),)
            existing = [owner for owner in owners if self._has_test(owner)]
            if not existing:
                return self._suggest_move(path, f"recorded by {owners[0]}, which no longer exists", "to use it")
            if existing == [owners[0]] == list(owners) and self._is_same_function(owners[0]):
                return self._suggest_move(path, f"recorded by {owners[0]}", "if its parameters were renamed, to use it")
        return None

    def _suggest_move(self, path: Path, owner: str, purpose: str) -> LostRecording:
        source, target = self._show(path), self._show(self.path)
        return LostRecording(
            f"there is no cassette yet, but {source} has this request, {owner}",
            f"{purpose}: {format_move_command(path, self.path, source, target)}",
        )

    def _show(self, path: Path) -> str:
        return str(path.relative_to(self.folder) if path.is_relative_to(self.folder) else path)

    def _read(self, path: Path) -> _OtherCassette | None:
        try:
            stat = path.stat()
        except OSError:
            return None
        return _read_other(path, (stat.st_mtime_ns, stat.st_size), self.settings, self.filter_request)

    def _list_candidates(self) -> Iterator[Path]:
        """Yield the other cassettes in this folder and its sibling folders, most similar names first."""
        own = self.path.parent
        folders = [own]
        if not any((own.parent / name).exists() for name in ("pyproject.toml", ".git")):
            folders += sorted(folder for folder in own.parent.glob("*") if folder.is_dir() and folder != own)
        found = [
            path
            for folder in folders
            for path in folder.glob("*.yaml")
            if path != self.path and not path.name.endswith(paths.PENDING_SUFFIX)
        ]
        # a renamed module keeps the names of its tests
        matcher = SequenceMatcher(None, "", self.path.stem)

        def likeness(path: Path) -> float:
            matcher.set_seq1(path.stem)
            return matcher.real_quick_ratio() if len(found) > MAX_FILES else matcher.ratio()

        size = 0
        for path in sorted(found, key=lambda path: (-likeness(path), path.parent != own, path))[:MAX_FILES]:
            size += path.stat().st_size
            if size > MAX_BYTES:
                return
            yield path

    def _guess_owner(self, path: Path) -> str:
        """Return the node id of the test whose default cassette is ``path``."""
        module = path.parents[2] / f"{path.parent.name}.py" if len(path.parents) > 2 else path
        shown = module.relative_to(self.root) if module.is_relative_to(self.root) else module
        return "::".join([shown.as_posix(), *_split_name(path.stem)])

    def _has_test(self, test: str) -> bool:
        """Return whether the test file defines the function of ``test``, regardless of its parameters."""
        file, *names = test.partition("[")[0].split("::")
        try:
            source = (self.root / file).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return False
        return all(re.search(rf"^\s*(?:async\s+def|def|class)\s+{re.escape(name)}\b", source, re.M) for name in names)

    def _is_same_function(self, test: str) -> bool:
        return self.test is not None and test != self.test and test.partition("[")[0] == self.test.partition("[")[0]


def _split_name(stem: str) -> Sequence[str]:
    function, bracket, parameters = stem.partition("[")
    *classes, name = function.split(".")
    return [*classes, name + bracket + parameters]


@dataclass(frozen=True, slots=True)
class _OtherCassette:
    keys: Sequence[MatchingKey]
    tests: Sequence[str]

    def has_recording(self, key: MatchingKey) -> bool:
        # only the key of an entry decides whether it accepts a request
        return any(RecordedEntry(0, cast(Any, None), recorded).accepts(key) for recorded in self.keys)


# a run in which many tests miss looks at the same cassettes again and again
@lru_cache(maxsize=2 * MAX_FILES)
def _read_other(
    path: Path, version: tuple[int, int], settings: Settings, filter_request: RequestFilter | None
) -> _OtherCassette | None:
    del version  # the file is read again if it changes
    try:
        cassette = storage.read(path)
    except CassetteCorrupt:
        return None
    if cassette is None:
        return None
    cassette = make_foreign_redactor(settings)(cassette)
    rules = MatchingRules(settings.match_on, settings.ignore, settings.placeholders)

    def make_key(request: Request, pseudonyms: Collection[str]) -> MatchingKey:
        return rules.make_key(filter_request(request) if filter_request is not None else request, pseudonyms)

    keys = keys_of_recordings(cassette.interactions, cassette.placeholders, make_key)
    tests = dict.fromkeys(test for interaction in cassette.interactions for test in interaction.tests)
    return _OtherCassette(keys, tuple(tests))


def format_move_command(path: Path, target: Path, shown_path: str, shown_target: str) -> str:
    """Return the command that moves the cassette at ``path`` to ``target``, with git if git tracks the cassette."""
    move = f"{'git mv' if _is_tracked(path) else 'mv'} {shlex.quote(shown_path)} {shlex.quote(shown_target)}"
    if target.parent.is_dir():
        return move
    return f"mkdir -p {shlex.quote(str(Path(shown_target).parent))} && {move}"


def _is_tracked(path: Path) -> bool:
    """Return whether the index of git has ``path``. Reads the file, because a subprocess would take longer."""
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
