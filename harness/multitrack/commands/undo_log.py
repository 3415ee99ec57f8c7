"""The files that the last command changed, with their earlier contents."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from multitrack.atomic_file import replace_file
from multitrack.errors import MultitrackError

_VERSION = 1
_MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class EarlierFile:
    """A file as it was before a command."""

    content: bytes | None
    """None if the file did not exist."""
    result: str | None
    """The digest of the content that the command wrote. None if the command removed the file."""

    def is_result(self, content: bytes | None) -> bool:
        """Return whether ``content`` is what the command wrote."""
        return _digest(content) == self.result


class UndoLog:
    """The undo log for the project in the folder ``root``. It is in pytest's cache, which git ignores.

    The log holds one command. The next command replaces it.
    """

    def __init__(self, root: Path) -> None:
        self._cache = root / ".pytest_cache"
        self._folder = self._cache / "d" / "multitrack" / "undo"

    @contextmanager
    def recording(self, command: str, paths: Sequence[Path]) -> Iterator[None]:
        """Store the contents of ``paths`` before the ``with`` block, and the digests of their contents after it.

        If the block raises, the changes that it has made so far are still stored.
        """
        before = {path: read_file(path) for path in paths}
        try:
            yield
        finally:
            self._write(command, before)

    def read(self) -> tuple[str, dict[Path, EarlierFile]]:
        """Return the command in the log, and the files that it changed.

        Raises:
            MultitrackError: The log is empty, or cannot be read.
        """
        try:
            document = json.loads((self._folder / _MANIFEST).read_text(encoding="utf-8"))
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

    def _write(self, command: str, before: dict[Path, bytes | None]) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        if not self._cache.exists():
            # pytest writes this file only when it creates the folder itself
            replace_file(self._cache / ".gitignore", b"# Created by multitrack.\n*\n")
        files = []
        for number, (path, content) in enumerate(before.items()):
            if content is not None:
                replace_file(self._folder / str(number), content)
            name = None if content is None else str(number)
            files.append({"path": str(path.resolve()), "content": name, "result": _digest(read_file(path))})
        manifest = {"version": _VERSION, "command": command, "files": files}
        replace_file(self._folder / _MANIFEST, json.dumps(manifest, indent=1).encode())


def read_file(path: Path) -> bytes | None:
    """Return the content of the file ``path``. None if it does not exist."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _digest(content: bytes | None) -> str | None:
    return None if content is None else hashlib.sha256(content).hexdigest()
