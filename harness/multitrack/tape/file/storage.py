"""Files: a tape is read whole, and written whole or not at all, under a lock where several processes share it."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from filelock import FileLock

from multitrack.errors import CassetteCorrupt, SecretInCassette
from multitrack.tape.file import paths, yaml_format
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.file.recordings import PendingRecordings, Recording
from multitrack.tape.redaction import secrets

_LARGE = 100_000
_REMEMBERED = 4
_read: dict[Path, tuple[bytes, Cassette]] = {}
"""The large tapes that were read last, each with the digest of its content."""

RedactForeign = Callable[[Cassette], Cassette]
"""Gives a cassette of another recorder as this one would have written it."""


def read(path: Path) -> Cassette | None:
    """The cassette at ``path``, None where there is no such file. Raises `CassetteCorrupt`: a damaged tape is
    never taken as a missing one."""
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise CassetteCorrupt(path, f"it cannot be read: {error.strerror}") from error
    if len(content) < _LARGE:
        return yaml_format.load_cassette(content, path)
    # the tests that share a large tape open it one after the other
    digest = hashlib.sha256(content).digest()
    known = _read.pop(path, None)
    if known is None or known[0] != digest:
        known = digest, yaml_format.load_cassette(content, path)
    _read[path] = known
    for other in list(_read)[:-_REMEMBERED]:
        _read.pop(other, None)
    return known[1]


def write(path: Path, cassette: Cassette, *, allowed: Collection[str] = ()) -> None:
    """Put ``cassette`` at ``path``. Raises `SecretInCassette` rather than write something shaped like a
    credential that is not among the texts ``allowed``."""
    text = yaml_format.dump_cassette(cassette)
    _refuse_secrets(path, text, allowed)
    _write(path, text)


def save_recording(
    path: Path, take: Recording, redact_foreign: RedactForeign, *, allowed: Collection[str] = ()
) -> None:
    """Put ``take`` onto the tape at ``path``, alone among all processes that do; one of the same test that
    waits beside it is outdated, and goes. Raises as `write` and `read` do."""
    with FileLock(_lock(path)):
        _write_with(take, path, take.apply_to(redact_foreign(read(path) or Cassette())), allowed)
        waiting = paths.pending_path(path)
        if (found := read(waiting)) is None:
            return
        if (left := PendingRecordings.from_cassette(found).without(take.test)).recordings:
            _write(waiting, yaml_format.dump_cassette(left.to_cassette()))
        else:
            waiting.unlink()


def save_pending(path: Path, take: Recording, *, allowed: Collection[str] = ()) -> Path:
    """Put ``take`` beside the tape at ``path``, where it waits with those of other tests to be accepted; gives
    the file. Raises as `write` and `read` do."""
    waiting = paths.pending_path(path)
    with FileLock(_lock(path)):
        pending = PendingRecordings.from_cassette(read(waiting) or Cassette()).with_recording(take)
        _write_with(take, waiting, pending.to_cassette(), allowed)
    return waiting


def _write_with(take: Recording, path: Path, cassette: Cassette, allowed: Collection[str]) -> None:
    text = yaml_format.dump_cassette(cassette)
    # what else is there may hold what only its own test allows
    if secrets.is_credential(text, allowed):
        _refuse_secrets(path, yaml_format.dump_cassette(Cassette(take.interactions, take.metadata)), allowed)
    _write(path, text)


def _refuse_secrets(path: Path, text: str, allowed: Collection[str]) -> None:
    if secrets.is_credential(text, allowed):
        raise SecretInCassette(f"{path}: not written, since it would hold something shaped like a credential")


def accept_pending(path: Path, redact_foreign: RedactForeign) -> Iterator[Path]:
    """Put the recordings that wait at ``path`` (those of one file, of one tape, or of all in a folder) onto their
    tapes as these are now; gives the tapes. Raises `CassetteCorrupt` for a file that cannot be read."""
    if path.is_dir():
        found = sorted(path.rglob(f"*{paths.PENDING_SUFFIX}"))
    else:
        found = [path if path.name.endswith(paths.PENDING_SUFFIX) else paths.pending_path(path)]
    for waiting in found:
        tape = paths.cassette_path(waiting)
        with FileLock(_lock(tape)):
            if (cassette := read(waiting)) is None:
                continue
            # looked through for secrets before it was put aside, with what its test allows, which nobody knows here
            _write(
                tape,
                yaml_format.dump_cassette(
                    PendingRecordings.from_cassette(cassette).apply_to(redact_foreign(read(tape) or Cassette()))
                ),
            )
            waiting.unlink()
        yield tape


def _lock(path: Path) -> Path:
    # not beside the tape: a lock file that is removed while another process waits for it locks nothing
    # one folder for each user, since nobody else may write into it
    user = str(os.getuid()) if hasattr(os, "getuid") else "user"
    folder = Path(tempfile.gettempdir()) / f"multitrack-locks-{user}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / f"{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:32]}.lock"


def _write(path: Path, text: str) -> None:
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
