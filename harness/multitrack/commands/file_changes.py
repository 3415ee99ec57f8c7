"""Plan, make and undo changes to files."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multitrack.atomic_file import replace_file
from multitrack.errors import MultitrackError
from multitrack.tape.file.paths import relative_to_cwd
from multitrack.tape.undo_log import UndoLog, read_file


@dataclass(frozen=True, slots=True)
class FileChange:
    """A change to one file."""

    path: Path
    before: bytes | None
    """The content before the change. None if the file does not exist yet."""
    after: bytes | None
    """The content after the change. None if the file is removed."""
    moved_from: Path | None = None
    """The earlier path of a moved file. A second change removes the file at that path."""
    moved_to: Path | None = None
    """The new path of a file that is removed here because it is moved."""
    only_adds: bool = False
    """True if the change only adds text, so that uncommitted changes in the file stay."""

    @property
    def action(self) -> str:
        """The kind of change: move, create, remove or change."""
        if self.moved_from is not None:
            return "move"
        if self.before is None:
            return "create"
        return "remove" if self.after is None else "change"

    def to_dict(self) -> dict[str, Any]:
        """Return the change as plain data, for ``--json``."""
        moved = {} if self.moved_from is None else {"from": str(relative_to_cwd(self.moved_from))}
        return {"action": self.action, "path": str(relative_to_cwd(self.path)), **moved}

    def __str__(self) -> str:
        path = relative_to_cwd(self.path)
        if self.moved_from is not None:
            return f"move {relative_to_cwd(self.moved_from)} to {path}"
        return f"{self.action} {path}"


def move_file(source: Path, target: Path, before: bytes, after: bytes) -> list[FileChange]:
    """Return the changes that move a file and change its content from ``before`` to ``after``."""
    return [
        FileChange(source, before, None, moved_to=target),
        FileChange(target, None, after, moved_from=source),
    ]


def list_shown(changes: Sequence[FileChange]) -> list[FileChange]:
    """Return the changes to print. A moved file appears once, although two changes move it."""
    return [change for change in changes if change.moved_to is None]


def apply_changes(changes: Sequence[FileChange], log: UndoLog | None, command: str, *, force: bool = False) -> None:
    """Make the changes, and remember them for ``multitrack undo``.

    Args:
        changes: The changes.
        log: Keeps the earlier contents of the files. None if the caller keeps them.
        command: The command line, for the log.
        force: Whether to change files even if git has uncommitted changes in them.

    Raises:
        MultitrackError: A file has uncommitted changes, has changed since the plan was made, or cannot be written. If
            a file cannot be written, the files before it have already been changed. In the other cases, nothing has
            been changed.
    """
    check_changes(changes, force=force)
    with nullcontext() if log is None else log.recording(command, [change.path for change in changes]):
        for change in changes:
            _make(change)


def check_changes(changes: Sequence[FileChange], *, force: bool = False) -> None:
    """Check that all changes can be made, before the first one is made.

    Raises:
        MultitrackError: A file has uncommitted changes and ``force`` is false, or a file has changed since the plan was
            made.
    """
    if not force:
        refuse_uncommitted([change.path for change in changes if change.before is not None and not change.only_adds])
    for change in changes:
        if read_file(change.path) != change.before:
            raise MultitrackError(f"{change.path}: another process has changed this file; run the command again")


def _make(change: FileChange) -> None:
    try:
        if change.after is None:
            change.path.unlink()
            _remove_empty_folder(change.path.parent)
        else:
            replace_file(change.path, change.after)
    except OSError as error:
        raise MultitrackError(
            f"{change.path}: not changed: {error.strerror or error}\n"
            "  fix the cause, then restore the other files with: multitrack undo"
        ) from error


def _remove_empty_folder(folder: Path) -> None:
    if not any(folder.iterdir()):
        folder.rmdir()


def refuse_uncommitted(files: Sequence[Path]) -> None:
    """Raise ``MultitrackError`` if git has uncommitted changes in one of ``files``.

    Files that were never committed are fine, and so are files outside git.
    """
    by_folder: dict[Path, list[str]] = {}
    for file in files:
        by_folder.setdefault(file.parent, []).append(file.name)
    changed = [path for folder, names in by_folder.items() for path in _list_uncommitted(folder, names)]
    if changed:
        shown = ", ".join(str(relative_to_cwd(path)) for path in changed)
        raise MultitrackError(f"uncommitted changes in {shown}\n  commit them, or repeat the command with --force")


def _list_uncommitted(folder: Path, names: Sequence[str]) -> list[Path]:
    if not any((parent / ".git").exists() for parent in (folder, *folder.parents)):
        return []
    command = ["git", "status", "--porcelain=v1", "-z", "--untracked-files=no", "--no-renames", "--", *names]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
        top = subprocess.run(["git", "rev-parse", "--show-toplevel"], cwd=folder, capture_output=True, check=False)
    except OSError:  # git is not installed
        return []
    if done.returncode:
        return []
    root = Path(top.stdout.decode(errors="surrogateescape").rstrip("\n"))
    return [
        root / entry[3:].decode(errors="surrogateescape")
        for entry in done.stdout.split(b"\0")
        if entry and entry[:2] != b"A "
    ]


def plan_undo(log: UndoLog, *, force: bool) -> tuple[str, list[FileChange]]:
    """Return the last command, and the changes that undo it.

    Raises:
        MultitrackError: There is nothing to undo, or ``force`` is false and a file has changed since the command.
    """
    command, earlier = log.read()
    changes = [FileChange(path, read_file(path), entry.content) for path, entry in earlier.items()]
    changed = [change.path for change in changes if not earlier[change.path].is_result(change.before)]
    if changed and not force:
        shown = ", ".join(str(relative_to_cwd(path)) for path in changed)
        raise MultitrackError(
            f"changed after {command!r}: {shown}\n  to overwrite these changes: multitrack undo --force"
        )
    return command, [change for change in changes if change.before != change.after]
