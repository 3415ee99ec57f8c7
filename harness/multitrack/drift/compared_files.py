"""The cassettes that ``multitrack diff`` compares: two files, two folders, or two git revisions."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from multitrack.errors import CassetteMissing, MultitrackError
from multitrack.tape.file import cassette_reader, paths, storage
from multitrack.tape.file.cassette import Cassette


@dataclass(frozen=True, slots=True)
class ComparedFile:
    """A cassette in two versions.

    Args:
        old_name: The name of the old version in messages.
        name: The name of the new version in messages.
        before: The content of the old version. None if it does not exist.
        after: The content of the new version. None if it does not exist.
    """

    old_name: str
    name: str
    before: bytes | None
    after: bytes | None

    def read(self, redact: Callable[[Cassette], Cassette]) -> tuple[Cassette, Cassette]:
        """Return the old and the new version of the cassette. A version that does not exist is an empty cassette.

        Raises:
            CassetteCorrupt: A version cannot be read.
        """
        return _read(self.old_name, self.before, redact), _read(self.name, self.after, redact)


def _read(name: str, content: bytes | None, redact: Callable[[Cassette], Cassette]) -> Cassette:
    return Cassette() if content is None else redact(cassette_reader.load_cassette(content, Path(name)))


def is_revision_range(text: str) -> bool:
    """Return whether ``text`` names two git revisions, such as ``main..HEAD``."""
    return ".." in text and not text.startswith((".", "/")) and not Path(text).exists()


def find_compared_files(before: Path, after: Path) -> Iterator[ComparedFile]:
    """Yield the cassettes to compare: two files, or the files that differ between two folders.

    Raises:
        CassetteMissing: One of the paths does not exist.
        MultitrackError: One path is a file, and the other is a folder.
    """
    for path in (before, after):
        if not path.exists():
            raise CassetteMissing(f"{path}: there is no such cassette")
    if before.is_dir() != after.is_dir():
        raise MultitrackError(
            f"{before} and {after}: one is a folder, and the other is not; pass two cassettes or two folders"
        )
    if not before.is_dir():
        yield ComparedFile(str(before), str(after), storage.read_content(before), storage.read_content(after))
        return
    names = sorted({path.relative_to(folder) for folder in (before, after) for path in _list_cassettes(folder)})
    for name in names:
        contents = [storage.read_content(folder / name) for folder in (before, after)]
        if contents[0] != contents[1]:
            yield ComparedFile(str(before / name), name.as_posix(), *contents)


def find_changed_in_git(revisions: str, limits: Sequence[Path]) -> Iterator[ComparedFile]:
    """Yield the cassettes that differ between two git revisions.

    Args:
        revisions: Two revisions, joined by two dots; an empty revision means ``HEAD``.
        limits: The files and folders to compare. Empty for the whole repository.

    Raises:
        MultitrackError: git is not installed, the current folder is not in a repository, or a revision is unknown.
    """
    before, _, after = revisions.partition("..")
    before, after = before or "HEAD", after.removeprefix(".") or "HEAD"
    listed = _run_git("diff", "--name-only", "-z", "--no-renames", before, after, "--", *map(str, limits))
    root = _run_git("rev-parse", "--show-toplevel").decode().rstrip("\n")
    for name in filter(None, listed.decode(errors="surrogateescape").split("\0")):
        if (
            "cassettes" in Path(name).parts
            and name.endswith(paths.SUFFIXES)
            and not name.endswith(paths.PENDING_SUFFIX)
        ):
            yield ComparedFile(f"{before}:{name}", name, _show(root, before, name), _show(root, after, name))


def _show(root: str, revision: str, name: str) -> bytes | None:
    done = subprocess.run(["git", "show", f"{revision}:{name}"], cwd=root, capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else None


def _run_git(*arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, check=False)
    except OSError as error:
        raise MultitrackError(f"git cannot be run, so revisions cannot be compared: {error.strerror}") from error
    if done.returncode:
        raise MultitrackError(f"git reports: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def _list_cassettes(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and path.name.endswith(paths.SUFFIXES) and not path.name.endswith(paths.PENDING_SUFFIX):
            yield path
