"""Files: a tape is read whole, and written whole or not at all, under a lock where several processes share it."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from filelock import FileLock

from multitrack.errors import CassetteCorrupt, SecretInCassette
from multitrack.tape import paths, secrets, yaml_format
from multitrack.tape.cassette import Cassette


def read(path: Path) -> Cassette | None:
    """The cassette at ``path``, None where there is no such file. Raises `CassetteCorrupt`: a damaged tape is
    never taken as a missing one."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    return yaml_format.loads(content, path)


def read_text(path: Path) -> str | None:
    """The text at ``path``, None where there is no such file. Raises `CassetteCorrupt` where it is none."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise CassetteCorrupt(path, "it is no UTF-8 text", line=line) from error
    return text.replace("\r\n", "\n")


def write(path: Path, cassette: Cassette, *, allowed: Collection[str] = ()) -> None:
    """Put ``cassette`` at ``path``. Raises `SecretInCassette` rather than write something shaped like a
    credential that is not among the texts ``allowed``."""
    _write(path, cassette, allowed)


def update(path: Path, change: Callable[[Cassette], Cassette], *, allowed: Collection[str] = ()) -> None:
    """`write` ``change(what is at path)``, alone among all processes that do."""
    with FileLock(_lock(path)):
        _write(path, change(read(path) or Cassette()), allowed)


def _lock(path: Path) -> Path:
    # not beside the tape: a lock file that is removed while another process waits for it locks nothing
    # one folder for each user, since nobody else may write into it
    user = str(os.getuid()) if hasattr(os, "getuid") else "user"
    folder = Path(tempfile.gettempdir()) / f"multitrack-locks-{user}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / f"{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:32]}.lock"


def _write(path: Path, cassette: Cassette, allowed: Collection[str]) -> None:
    text = yaml_format.dumps(cassette)
    if secrets.is_credential(text, allowed):
        raise SecretInCassette(f"{path}: not written, since it would hold something shaped like a credential")
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.", suffix=".tmp")
    try:
        with open(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes a file that only its owner reads; a tape is shared like any source file
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def accept(path: Path) -> Iterator[Path]:
    """Put the pending recordings at ``path`` (one, that of a tape, or all in a folder) in the place of their tapes;
    gives the tapes. Raises `CassetteCorrupt` for a recording that cannot be read."""
    if path.is_dir():
        recordings = sorted(path.rglob(f"*{paths.PENDING}"))
    else:
        recordings = [path if path.name.endswith(paths.PENDING) else paths.pending(path)]
    for recording in recordings:
        if read(recording) is None:
            continue
        tape = paths.accepted(recording)
        with FileLock(_lock(tape)):
            os.replace(recording, tape)
        yield tape
