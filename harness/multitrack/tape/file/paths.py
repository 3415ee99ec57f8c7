"""The path of a test's cassette: stable, free of collisions, and valid in every file system."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from multitrack.errors import BadOption

_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._=,+@[]-")
_LONGEST = 180
_OTHER_FOLDERS = {"cassettes", "node_modules", "site-packages", "venv"}

_PENDING_STEM = ".pending"
PENDING_SUFFIX = f"{_PENDING_STEM}.yaml"
SUFFIXES = (".yaml", ".yml", ".json", ".toml", ".gz")
"""The endings of the names of cassettes, of this and of other recorders."""


def file_name(name: str) -> str:
    """Return ``name`` as the name of a file, without a suffix.

    Bytes that some file system refuses are percent-encoded, as is an ending that would make it the name of a pending
    recording. A name of more than 180 bytes is cut, and ends in ``~`` and 8 hexadecimal digits of its sha256.
    """
    encoded = "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in name.encode())
    if encoded.endswith(_PENDING_STEM):  # a fixture pending, in a class
        encoded = encoded.removesuffix(_PENDING_STEM) + _PENDING_STEM.replace(".", "%2E")
    if len(encoded) <= _LONGEST:
        return encoded
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{encoded[: _LONGEST - 9]}~{digest}"


def test_cassette_path(folder: Path, module: str, qualified_name: str) -> Path:
    """Return the cassette in ``folder`` of a test in ``module``, whose ``qualified_name`` is ``Class.function[id]``."""
    return folder / file_name(module) / f"{file_name(qualified_name)}.yaml"


def named_cassette_path(folder: Path, name: str) -> Path:
    """Return the cassette in ``folder`` that several tests share under ``name``.

    Raises:
        BadOption: The path would be outside ``folder``, or that of a pending recording.
    """
    if not isinstance(name, str):
        raise BadOption(f"the cassette name {name!r} is not a string")
    parts = name.split("/")
    if not name or "\\" in name or any(part in ("", ".", "..") for part in parts):
        raise BadOption(f"the cassette name {name!r} leads outside the folder {folder}")
    if parts[-1].endswith(_PENDING_STEM):
        raise BadOption(f"the cassette name {name!r} is reserved for pending recordings")
    *folders, last = map(file_name, parts)
    return folder.joinpath(*folders, f"{last}.yaml")


def find_cassette_folders(root: Path) -> Iterator[Path]:
    """Yield each folder ``cassettes`` in ``root`` or below, except in hidden folders and in installed packages."""
    for folder, names, _ in os.walk(root):
        if "cassettes" in names:
            yield Path(folder, "cassettes")
        names[:] = sorted(name for name in names if not name.startswith(".") and name not in _OTHER_FOLDERS)


def pending_path(path: Path) -> Path:
    """Return the file for pending recordings of the cassette at ``path``."""
    return path.with_name(path.name.removesuffix(".yaml") + PENDING_SUFFIX)


def cassette_path(path: Path) -> Path:
    """Return the cassette of the pending recordings at ``path``."""
    return path.with_name(path.name.removesuffix(PENDING_SUFFIX) + ".yaml")


def relative_to_cwd(path: Path) -> Path:
    """Return ``path`` relative to the current directory, if it is in it, and unchanged otherwise."""
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path
