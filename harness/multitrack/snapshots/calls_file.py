"""Read and write the snapshot file ``<module>.calls``: named entries of call expressions.

The file has the layout of syrupy's amber files::

    # serializer version: 1
    # name: test_plan
      GoogleSearch(query='who won the super bowl')
      Weather(location='Toronto', units='metric')
      # request 1f0c8a2e, reply 77d1b3a9, models 5b6c7d8e
    # ---

The comment below an entry's calls is its note. Notes are not compared.

A file is written completely or not at all. Processes that write the same file wait for each other. A file that cannot
be read completely causes an error, and is never overwritten.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TypeAlias

from multitrack.atomic_file import replace_file
from multitrack.file_lock import lock, lock_name
from multitrack.snapshots.expressions import WIDTH, SnapshotCall, canonical_text, format_wrapped

_VERSION = "# serializer version: 1"
_NAME = "# name: "
_END = "# ---"
_INDENT = "  "
_NO_CALLS = "# no calls"


MakeNote: TypeAlias = Callable[[], str]
"""Returns an entry's note as comment lines; empty if there is nothing to note."""


class DamagedCallsFile(ValueError):
    """A snapshot file cannot be read. ``line`` is the number of the line, from 1."""

    def __init__(self, path: Path, line: int, reason: str) -> None:
        super().__init__(
            f"{path}, line {line}: the snapshot file is damaged: {reason}\n"
            f"  restore it from version control, or delete it and write it again: pytest --snapshot-update"
        )
        self.path = path
        self.line = line


def format_entry(calls: Collection[SnapshotCall], *, ordered: bool = False) -> str:
    """Return the text of a snapshot entry for ``calls``.

    If ``ordered`` is false, the calls are sorted by their tools and arguments, so that their order does not affect
    the text.
    """
    if not calls:
        return _NO_CALLS
    lines = calls if ordered else sorted(calls, key=lambda call: (call.name, canonical_text(call)))
    return "\n".join(format_wrapped(call, width=WIDTH - len(_INDENT)) for call in lines)


def replace_note(text: str, note: str) -> str:
    """Return the text of an entry with its note replaced by ``note``."""
    calls = [line for line in text.split("\n") if line == _NO_CALLS or not line.startswith("# ")]
    return "\n".join([*calls, *note.splitlines()])


def read_entries(path: Path) -> dict[str, str]:
    """Return a dictionary from the names of the entries to their texts. Empty if the file does not exist.

    Raises:
        DamagedCallsFile: The file cannot be read completely.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except UnicodeDecodeError as error:
        number = error.object.count(b"\n", 0, error.start) + 1
        raise DamagedCallsFile(path, number, "it is not valid UTF-8") from None
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
    """Add ``entries`` to the file, and replace the stored entries with the same names.

    Raises:
        DamagedCallsFile: The file cannot be read completely.
    """
    _rewrite(path, lambda present: {**present, **entries})


def remove_entries(path: Path, names: Collection[str]) -> None:
    """Remove entries from the file. Delete the file when no entry is left.

    Raises:
        DamagedCallsFile: The file cannot be read completely.
    """
    _rewrite(path, lambda present: {name: text for name, text in present.items() if name not in names})


def _rewrite(path: Path, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
    name = lock_name(path)
    with lock(name):
        present = read_entries(path)
        wanted = change(present)
        if wanted == present:
            return
        if not wanted:
            path.unlink()
            return
        replace_file(path, format_file(path, wanted).encode(), lock_name=name)


def format_file(path: Path, entries: Mapping[str, str]) -> str:
    """Return the text of the snapshot file ``path`` with ``entries`` as its entries."""
    lines = [_VERSION]
    for name, text in sorted(entries.items()):
        if name.splitlines() != [name]:
            raise ValueError(f"{path}: the name of a snapshot must be one line, not {name!r}")
        lines += [f"{_NAME}{name}", *(f"{_INDENT}{line}" for line in text.split("\n")), _END]
    return "\n".join(lines) + "\n"
