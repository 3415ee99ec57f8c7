"""Store the earlier contents of the files that a command changed, so that ``multitrack undo`` can restore them.

Only the most recent command can be undone. A run of pytest with ``--calls-rebind`` counts as a command.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multitrack.atomic_file import replace_file
from multitrack.errors import MultitrackError
from multitrack.file_lock import lock, lock_name
from multitrack.tape import project

_VERSION = 1
_MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class EarlierFile:
    """A file that a command changed: its earlier content, and the digest of its new content."""

    content: bytes | None
    """None if the file did not exist."""
    result: str | None
    """The digest of the content that the command wrote. None if the command removed the file."""

    def is_result(self, content: bytes | None) -> bool:
        """Return whether ``content`` is what the command wrote."""
        return _digest(content) == self.result


class UndoLog:
    """The undo log for the project in the folder ``root``.

    The log is in pytest's cache, which git ignores. It contains only the last command that changed files.
    """

    def __init__(self, root: Path) -> None:
        self._cache = root / ".pytest_cache"
        self._folder = self._cache / "d" / "multitrack" / "undo"

    @classmethod
    def of_project(cls, folder: Path) -> UndoLog:
        """Return the log of the project that contains ``folder``."""
        pyproject = project.find_pyproject(folder)
        return cls(folder if pyproject is None else pyproject.parent)

    @contextmanager
    def recording(self, command: str, paths: Sequence[Path]) -> Iterator[None]:
        """Store the contents of ``paths`` before the ``with`` block, and the digests of their contents after it.

        If the block raises, the changes that it has made so far are still stored.
        """
        before = {path: read_file(path) for path in paths}
        try:
            yield
        finally:
            self._begin()
            files = [self._keep(number, path, content) for number, (path, content) in enumerate(before.items())]
            self._write_manifest({"command": command, "files": files})

    @contextmanager
    def recording_run(self, run: str, command: str, path: Path) -> Iterator[None]:
        """Store the content of ``path`` before the ``with`` block, and the digest of its content after the block.

        The first call in a ``run`` clears the log, and each later call adds a file to the log. If several processes
        of the run change a file, the log contains the content that the file had before the first change.
        """
        with self._locked():
            manifest = self._read_manifest() if self._manifest.exists() else {}
            if manifest.get("run") != run:
                self._begin()
                manifest = {"command": command, "run": run, "files": []}
            files = manifest["files"]
            # the first process stores the content before any process has changed it
            if all(entry["path"] != str(path.resolve()) for entry in files):
                files.append(self._keep(len(files), path, read_file(path)))
            self._write_manifest(manifest)
        try:
            yield
        finally:
            with self._locked():
                manifest = self._read_manifest()
                for entry in manifest["files"]:
                    if entry["path"] == str(path.resolve()):
                        entry["result"] = _digest(read_file(path))
                self._write_manifest(manifest)

    def read(self) -> tuple[str, dict[Path, EarlierFile]]:
        """Return the command in the log, and the files that it changed.

        Raises:
            MultitrackError: The log is empty, or cannot be read.
        """
        try:
            document = self._read_manifest()
            if document["version"] != _VERSION:
                raise MultitrackError("another version of Multitrack made the last change; undo it with that version")
            files = {
                Path(entry["path"]): EarlierFile(
                    None if entry["content"] is None else (self._folder / entry["content"]).read_bytes(),
                    entry["result"],
                )
                for entry in document["files"]
            }
            return document["command"], files
        except FileNotFoundError:
            raise MultitrackError(f"there is no change to undo in {self._cache.parent}") from None
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise MultitrackError(f"{self._folder}: the log is damaged, so nothing can be undone: {error}") from error

    @property
    def _manifest(self) -> Path:
        return self._folder / _MANIFEST

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with lock(lock_name(self._manifest)):
            yield

    def _read_manifest(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self._manifest.read_text(encoding="utf-8"))
        return document

    def _write_manifest(self, manifest: dict[str, Any]) -> None:
        replace_file(self._manifest, json.dumps({**manifest, "version": _VERSION}, indent=1).encode())

    def _begin(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        if not self._cache.exists():
            # pytest writes this file only when it creates the folder itself
            replace_file(self._cache / ".gitignore", b"# Created by multitrack.\n*\n")

    def _keep(self, number: int, path: Path, content: bytes | None) -> dict[str, str | None]:
        """Store the earlier ``content`` of ``path`` in the log. Return the file's entry for the log's manifest."""
        if content is not None:
            replace_file(self._folder / str(number), content)
        name = None if content is None else str(number)
        return {"path": str(path.resolve()), "content": name, "result": _digest(read_file(path))}


def read_file(path: Path) -> bytes | None:
    """Return the content of the file ``path``. None if it does not exist."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _digest(content: bytes | None) -> str | None:
    return None if content is None else hashlib.sha256(content).hexdigest()
