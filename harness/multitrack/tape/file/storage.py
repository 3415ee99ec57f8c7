"""Read and write complete cassette files. A lock protects a cassette that several processes can write.

Recordings for a large cassette are first appended to its journal, see ``journal``. Everything that reads a cassette
uses this module, which merges the journal first.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from multitrack.atomic_file import replace_file
from multitrack.errors import CassetteCorrupt, CassetteNotWritten, SecretInCassette
from multitrack.file_lock import lock, lock_name
from multitrack.tape.file import cassette_reader, journal, paths
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.file.cassette_writer import dump_cassette, encode_cassette
from multitrack.tape.file.known_texts import KnownTexts
from multitrack.tape.file.rebinding import Rebinding, apply_rebindings
from multitrack.tape.file.recordings import PendingRecordings, Recording, apply_recordings
from multitrack.tape.redaction.shapes import has_credential_shape

RedactForeign = Callable[[Cassette], Cassette]
"""Returns another recorder's cassette as Multitrack would have written it."""


class RecordingCache(Protocol):
    """A cache of the cassettes that this process records to."""

    def read_file(self, path: Path) -> Cassette | None:
        """Return the cassette at ``path`` without the recordings in its journal."""

    def find_written_texts(self, path: Path) -> KnownTexts:
        """Return the ``KnownTexts`` of the cassette at ``path``, which this process is about to write."""

    def uses_journal(self, path: Path) -> bool:
        """Return whether recordings for the cassette at ``path`` can be appended to its journal."""


class _NoCache:
    """A substitute for ``RecordingCache`` that caches nothing, for a cassette that no other test will use."""

    def read_file(self, path: Path) -> Cassette | None:
        return _load(path)

    def find_written_texts(self, path: Path) -> KnownTexts:
        del path
        return KnownTexts()

    def uses_journal(self, path: Path) -> bool:
        del path
        return False


def read(path: Path) -> Cassette | None:
    """Return the cassette at ``path``, or ``None`` if the file does not exist.

    Raises:
        CassetteCorrupt: The file cannot be read. A damaged cassette is never treated as a missing one.
        CassetteNotWritten: The cassette has a journal, and the system does not allow merging it into the cassette.
    """
    merge_journal(path)
    return _load(path)


def read_content(path: Path) -> bytes | None:
    """Return the bytes of the cassette at ``path``, or ``None`` if the file does not exist.

    Raises:
        CassetteCorrupt: The path is not that of a regular file, or the system does not allow reading the file.
        CassetteNotWritten: The cassette has a journal, and the system does not allow merging it into the cassette.
    """
    merge_journal(path)
    return read_file(path)


def merge_journal(path: Path, cache: RecordingCache | None = None) -> None:
    """Merge the journal of the cassette at ``path`` into the cassette. Do nothing if there is no journal.

    If the cassette was replaced with a cassette from another recorder, the recordings stay in the journal, because
    only a tape can redact such a cassette. The next recording to this cassette merges them.

    Raises the same errors as ``read_content``.
    """
    if journal.exists(path):
        with _locked(path):
            _merge_journal(path, cache or _NoCache())


def _merge_journal(path: Path, cache: RecordingCache, redact_foreign: RedactForeign | None = None) -> None:
    if not journal.exists(path):
        return
    cassette = cache.read_file(path) or Cassette()
    if cassette.is_foreign:
        if redact_foreign is None:
            return
        cassette = redact_foreign(cassette)
    texts = cache.find_written_texts(path)
    entries = journal.read_entries(path, read_file(path))
    if recordings := [one for entry in entries for one in texts.find_recordings(entry) or _read_entry(path, entry)]:
        content = _encode(apply_recordings(recordings, cassette, path), texts)
        journal.mark_merged(path, content)
        _write(path, content)
    journal.remove(path)


def _append_to_journal(path: Path, recording: Recording, texts: KnownTexts) -> None:
    entry = b"".join(encode_cassette(PendingRecordings((recording,)).to_cassette(), texts))
    texts.add_recordings(entry, [recording])
    journal.append(path, entry)


def _read_entry(path: Path, entry: bytes) -> Sequence[Recording]:
    cassette = cassette_reader.load_cassette(entry, Path(paths.journal_path(path)))
    return PendingRecordings.from_cassette(cassette).recordings


def _load(path: Path) -> Cassette | None:
    content = read_file(path)
    return None if content is None else cassette_reader.load_cassette(content, path)


def read_file(path: Path) -> bytes | None:
    """Return the bytes of the file at ``path``, or ``None`` if the file does not exist. The file's journal is not read.

    Raises:
        CassetteCorrupt: The path is not that of a regular file, or the system does not allow reading the file.
    """
    try:
        # reading a pipe or a device might never end
        if not stat.S_ISREG(mode := path.stat().st_mode):
            raise CassetteCorrupt(path, f"it is {_describe_kind(mode)}", advice=_MOVE)
        with open(path, "rb", buffering=0) as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError) as error:
        if path.is_symlink():
            reason = f"it is a link to {path.readlink()}, which does not exist"
            raise CassetteCorrupt(path, reason, advice="correct the link, or remove it") from error
        return None
    except OSError as error:
        advice = "the system refuses to read the file: check its permissions and its file system"
        raise CassetteCorrupt(path, str(error.strerror), advice=advice) from error


_MOVE = "move the existing file or folder, or give the cassette another name"
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def _describe_kind(mode: int) -> str:
    return _KINDS.get(stat.S_IFMT(mode), "not a file")


def write(path: Path, cassette: Cassette, *, allowed: Collection[str] = ()) -> None:
    """Write ``cassette`` to ``path``.

    Raises:
        SecretInCassette: The text contains a string that looks like a credential and is not in ``allowed``.
        CassetteNotWritten: The system does not allow writing a file.
    """
    text = dump_cassette(cassette)
    _raise_if_secret(path, text, allowed)
    with _locked(path):
        _write(path, [text.encode()])
        journal.remove(path)


def save_recording(
    path: Path,
    recording: Recording,
    redact_foreign: RedactForeign,
    *,
    cache: RecordingCache,
) -> None:
    """Merge ``recording`` into the cassette at ``path``, and delete an older pending recording of the same test.

    If the cassette is large, the recording can be appended to the cassette's journal, which is merged later.

    Raises the same errors as ``read`` and ``write``.
    """
    with _locked(path):
        # a tape that appends has read the cassette; if the next one does, too, it would merge the journal each time
        if cache.uses_journal(path) and not recording.appends and journal.is_used(path, recording.size):
            _append_to_journal(path, recording, cache.find_written_texts(path))
            if journal.is_full(path):
                _merge_journal(path, cache, redact_foreign)
        else:
            _merge_journal(path, cache, redact_foreign)
            cassette = redact_foreign(cache.read_file(path) or Cassette())
            _write(path, _encode(apply_recordings([recording], cassette, path), cache.find_written_texts(path)))
        pending_path = paths.pending_path(path)
        if (found := cache.read_file(pending_path)) is None:
            return
        if (remaining := PendingRecordings.from_cassette(found).without(recording.test)).recordings:
            _write(pending_path, _encode(remaining.to_cassette(), cache.find_written_texts(pending_path)))
        else:
            pending_path.unlink()


def save_rebindings(
    path: Path, rebindings: Sequence[Rebinding], *, cache: RecordingCache, allowed: Collection[str] = ()
) -> None:
    """Apply ``rebindings`` to the cassette at ``path``.

    Raises the same errors as ``read`` and ``write``. Also raises ``CassetteCorrupt`` if one of the interactions has
    disappeared from the cassette.
    """
    with _locked(path):
        _merge_journal(path, cache)
        cassette, lost = apply_rebindings(cache.read_file(path) or Cassette(), rebindings)
        if lost:
            advice = "run the tests again"
            raise CassetteCorrupt(path, "the cassette was changed while the tests ran", advice=advice)
        content = _encode(cassette, cache.find_written_texts(path))
        _raise_if_secret(path, b"".join(content).decode(), allowed)
        _write(path, content)


def save_pending(path: Path, recording: Recording, *, cache: RecordingCache) -> Path:
    """Add ``recording`` to the pending recordings of the cassette at ``path``, and return their file.

    Raises the same errors as ``read`` and ``write``.
    """
    pending_path = paths.pending_path(path)
    with _locked(path):
        found = cache.read_file(pending_path) or Cassette()
        pending = PendingRecordings.from_cassette(found).with_recording(recording)
        _write(pending_path, _encode(pending.to_cassette(), cache.find_written_texts(pending_path)))
    return pending_path


def _raise_if_secret(path: Path, text: str, allowed: Collection[str]) -> None:
    if has_credential_shape(text, allowed):
        raise SecretInCassette(f"{path}: not written, because it would contain a value that looks like a credential")


def find_pending(path: Path) -> list[Path]:
    """Return the files with pending recordings for ``path``, which is a pending file, a cassette or a folder."""
    if path.is_dir():
        return sorted(path.rglob(f"*{paths.PENDING_SUFFIX}"))
    found = path if path.name.endswith(paths.PENDING_SUFFIX) else paths.pending_path(path)
    return [found] if found.exists() else []


Refuse = Callable[[Recording, Cassette], "str | None"]
"""Returns why a pending recording cannot be merged into a cassette. ``None`` if it can."""


@dataclass(frozen=True, slots=True)
class AcceptedFile:
    """The result of accepting the recordings in a pending file."""

    accepted: int
    """The number of recordings that were merged into the cassette."""
    refused: tuple[tuple[str | None, str], ...] = ()
    """Each refused recording's test, and the reason."""


def accept_pending(
    path: Path, redact_foreign: RedactForeign, refuse: Refuse = lambda *_: None, *, dry_run: bool = False
) -> AcceptedFile:
    """Merge the pending recordings in the file ``path`` into their cassette.

    Args:
        path: The file with the pending recordings. Refused recordings stay in it.
        redact_foreign: Redacts another recorder's cassette before the merge.
        refuse: A function that returns the reason to refuse a recording, or None.
        dry_run: Whether to change nothing. Default False.

    Raises:
        CassetteCorrupt: A file cannot be read.
        CassetteNotWritten: The system does not allow writing a file.
    """
    cassette_path = paths.cassette_path(path)
    with _locked(cassette_path):
        _merge_journal(cassette_path, _NoCache(), redact_foreign)
        pending = PendingRecordings.from_cassette(_load(path) or Cassette())
        cassette = redact_foreign(_load(cassette_path) or Cassette())
        reasons = {one.test: reason for one in pending.recordings if (reason := refuse(one, cassette)) is not None}
        accepted = pending.without(*reasons)
        refused = pending.without(*(one.test for one in accepted.recordings))
        # not checked for secrets again: the recordings were checked when they became pending, and the strings that
        # their tests allow are unknown here
        if dry_run:
            return AcceptedFile(len(accepted.recordings), tuple(reasons.items()))
        if accepted.recordings:
            _write(cassette_path, encode_cassette(accepted.apply_to(cassette, cassette_path)))
        if not refused.recordings:
            path.unlink(missing_ok=True)
        elif accepted.recordings:
            _write(path, encode_cassette(refused.to_cassette()))
    return AcceptedFile(len(accepted.recordings), tuple(reasons.items()))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keep other processes from writing the cassette at ``path``. Raise ``CassetteNotWritten`` if locking it fails."""
    try:
        with lock(lock_name(path)):
            yield
    except OSError as error:
        raise CassetteNotWritten(path, error) from error


def _encode(cassette: Cassette, texts: KnownTexts) -> list[bytes | bytearray]:
    content = encode_cassette(cassette, texts)
    texts.forget_others(cassette.interactions)
    return content


def _write(path: Path, content: Sequence[bytes | bytearray]) -> None:
    try:
        _replace(path, content)
    except OSError as error:
        raise CassetteNotWritten(path, error) from error


def _replace(path: Path, content: Sequence[bytes | bytearray]) -> None:
    # the cassette and its pending recordings share a lock
    owner = paths.cassette_path(path) if path.name.endswith(paths.PENDING_SUFFIX) else path
    replace_file(path, content, lock_name=lock_name(owner))
