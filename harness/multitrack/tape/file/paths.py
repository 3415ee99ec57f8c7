"""Where a test's tape lies: names that are stable, never collide, and fit any file system."""

from __future__ import annotations

import hashlib
from pathlib import Path

from multitrack.errors import BadOption

_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._=,+@[]-")
_LONGEST = 180

_WAITS = ".pending"
PENDING_SUFFIX = f"{_WAITS}.yaml"


def file_name(name: str) -> str:
    """``name`` as the name of a file, without its ending: bytes that some file system refuses are
    percent-encoded, so is what would make it that of a pending recording, and over 180 bytes it is cut and closed by
    ``~`` and 8 hex digits of its sha256."""
    encoded = "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in name.encode())
    if encoded.endswith(_WAITS):  # a fixture pending, in a class
        encoded = encoded.removesuffix(_WAITS) + _WAITS.replace(".", "%2E")
    if len(encoded) <= _LONGEST:
        return encoded
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{encoded[: _LONGEST - 9]}~{digest}"


def test_cassette_path(folder: Path, module: str, qualified_name: str) -> Path:
    """The tape of the test ``qualified_name`` (``Class.function[id]``) of the module ``module`` in ``folder``."""
    return folder / file_name(module) / f"{file_name(qualified_name)}.yaml"


def named_cassette_path(folder: Path, name: str) -> Path:
    """The tape that several tests share as ``name``. Raises `BadOption` where it would lie outside ``folder``, or
    be taken for a pending recording."""
    if not isinstance(name, str):
        raise BadOption(f"the cassette name {name!r} is no text")
    parts = name.split("/")
    if not name or "\\" in name or any(part in ("", ".", "..") for part in parts):
        raise BadOption(f"the cassette name {name!r} leaves the folder {folder}")
    if parts[-1].endswith(_WAITS):
        raise BadOption(f"the cassette name {name!r} is that of a recording that waits to be accepted")
    *folders, last = map(file_name, parts)
    return folder.joinpath(*folders, f"{last}.yaml")


def pending_path(path: Path) -> Path:
    """Where a recording lies that was not accepted yet, beside the tape at ``path``."""
    return path.with_name(path.name.removesuffix(".yaml") + PENDING_SUFFIX)


def cassette_path(path: Path) -> Path:
    """The tape that the pending recording at ``path`` is meant for."""
    return path.with_name(path.name.removesuffix(PENDING_SUFFIX) + ".yaml")


def relative_to_cwd(path: Path) -> Path:
    """``path`` from where the user stands."""
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path
