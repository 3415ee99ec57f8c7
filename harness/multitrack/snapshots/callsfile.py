"""The snapshot file ``<module>.calls``: named entries of call expressions, in the layout of syrupy's amber files.

::

    # serializer version: 1
    # name: test_plan
      GoogleSearch(query='who won the super bowl')
      Weather(location='Toronto', units='metric')
      # request 1f0c8a2e, reply 77d1b3a9, models 5b6c7d8e
    # ---

What an entry was taken from may stand below it as a comment, which plays no part in comparing.

A file is written whole or not at all, and two processes that write one at the same time wait for each other. A
file that does not read in full is an error and is never written over.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias

from filelock import FileLock

from multitrack.snapshots.literals import WIDTH, Call, canonical, wrapped

_VERSION = "# serializer version: 1"
_NAME = "# name: "
_END = "# ---"
_INDENT = "  "
_NO_CALLS = "# no calls"


Note: TypeAlias = Callable[[], str]
"""Gives what an entry is taken from, as comments; nothing where nobody knows."""


class DamagedCallsFile(ValueError):
    """A snapshot file cannot be read. ``path`` names it, ``line`` the line from 1."""

    def __init__(self, path: Path, line: int, reason: str) -> None:
        super().__init__(
            f"{path}, line {line}: the snapshot file is damaged: {reason}\n"
            f"  restore it (git checkout -- {path}), or delete it and write it again (pytest --snapshot-update)"
        )
        self.path = path
        self.line = line


def entry_text(calls: Collection[Call], *, ordered: bool = False) -> str:
    """The text of an entry: as they came if ``ordered``, else by tool and arguments, so that equal sets look equal."""
    if not calls:
        return _NO_CALLS
    lines = calls if ordered else sorted(calls, key=lambda call: (call.name, canonical(call)))
    return "\n".join(wrapped(call, width=WIDTH - len(_INDENT)) for call in lines)


def noted(text: str, note: str) -> str:
    """The text of an entry with ``note`` below it, in the place of the one that it has."""
    kept = [line for line in text.split("\n") if line == _NO_CALLS or not line.startswith("# ")]
    return "\n".join([*kept, *note.splitlines()])


def read_entries(path: Path) -> dict[str, str]:
    """The entries by name, empty if there is no file. Raises `DamagedCallsFile`."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError as error:
        number = error.object.count(b"\n", 0, error.start) + 1
        raise DamagedCallsFile(path, number, "it is no UTF-8") from None
    first, *lines = text.rstrip("\n").split("\n")
    if first != _VERSION:
        raise DamagedCallsFile(path, 1, f"expected {_VERSION!r}")
    entries: dict[str, str] = {}
    name: str | None = None
    body: list[str] = []
    for number, line in enumerate(lines, start=2):
        if name is None and line.startswith(_NAME) and line[len(_NAME) :] not in entries:
            name, body = line[len(_NAME) :], []
        elif name is not None and line == _END:
            entries[name], name = "\n".join(body), None
        elif name is not None and line.startswith(_INDENT):
            body.append(line[len(_INDENT) :])
        else:
            raise DamagedCallsFile(path, number, f"unexpected {line!r}")
    if name is not None:
        raise DamagedCallsFile(path, len(lines) + 2, f"the entry {name!r} has no end")
    return entries


def merge_entries(path: Path, entries: Mapping[str, str]) -> None:
    """Add the entries to the file, or replace those of the same names. Raises `DamagedCallsFile`."""
    _rewrite(path, lambda present: {**present, **entries})


def remove_entries(path: Path, names: Collection[str]) -> None:
    """Take entries out of the file, and the file away with its last one. Raises `DamagedCallsFile`."""
    _rewrite(path, lambda present: {name: text for name, text in present.items() if name not in names})


def _rewrite(path: Path, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
    with _lock(path):
        present = read_entries(path)
        wanted = change(present)
        if wanted == present:
            return
        if not wanted:
            path.unlink()
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with open(handle, "w", encoding="utf-8", newline="\n") as file:
                file.write(_file_text(path, wanted))
            # mkstemp gives 0600, which would lock a shared checkout's other users out
            Path(temporary).chmod(path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
            os.replace(temporary, path)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(temporary)
            raise


def _file_text(path: Path, entries: Mapping[str, str]) -> str:
    lines = [_VERSION]
    for name, text in sorted(entries.items()):
        if name.splitlines() != [name]:
            raise ValueError(f"{path}: the name of a snapshot must be one line: {name!r}")
        lines += [f"{_NAME}{name}", *(f"{_INDENT}{line}" for line in text.split("\n")), _END]
    return "\n".join(lines) + "\n"


def _lock(path: Path) -> FileLock:
    # not beside the file: a lock is never deleted, and would be committed with the snapshots
    owner = os.getuid() if hasattr(os, "getuid") else ""
    key = sha256(f"{owner}:{path.resolve()}".encode()).hexdigest()[:16]
    return FileLock(Path(tempfile.gettempdir()) / f"multitrack-{key}.lock", timeout=60)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
