"""Choose the path of a test's cassette: stable, free of collisions, and valid in every file system."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from operator import attrgetter
from pathlib import Path

from multitrack.errors import BadOption

_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._=,+@[]-")
LONGEST = 180
"""The maximum length of a file name in bytes, without its suffix. Longer names are cut."""
_OTHER_FOLDERS = {"cassettes", "node_modules", "site-packages", "venv"}

_PENDING_STEM = ".pending"
PENDING_SUFFIX = f"{_PENDING_STEM}.yaml"
SUFFIXES = (".yaml", ".yml", ".json", ".toml", ".gz")
"""The suffixes of cassettes, from Multitrack and from other recorders."""
_LISTED_SUFFIXES = (".yaml", ".yaml.gz", ".json.gz")
_OTHER_FORMATS = (".json", ".yaml.gz", ".json.gz", ".toml")


# cached, because both the collection and the setup of a test compute the name
@lru_cache(maxsize=4096)
def file_name(name: str) -> str:
    """Return ``name`` as a file name, without a suffix.

    - ASCII characters that at least one file system forbids are percent-encoded, and so is the suffix that is reserved
      for pending recordings.
    - Non-ASCII characters are percent-encoded if they are not printable.
    - All non-ASCII characters are percent-encoded if ``name`` is not in composed form (NFC). Otherwise, a file system
      that composes names would map two names to one file.
    - A name longer than 180 bytes is truncated, and ends in ``~`` and 8 hexadecimal digits of its sha256.
    """
    is_composed = unicodedata.is_normalized("NFC", name)
    return _shorten(
        "".join(char if is_composed and char > "\x7f" and char.isprintable() else _escape(char) for char in name), name
    )


@lru_cache(maxsize=4096)
def earlier_file_name(name: str) -> str:
    """Return the file name that earlier versions used for ``name``: non-ASCII characters are percent-encoded."""
    return _shorten("".join(map(_escape, name)), name)


def _escape(char: str) -> str:
    return "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in char.encode(errors="surrogatepass"))


def _shorten(encoded: str, name: str) -> str:
    if encoded.endswith(_PENDING_STEM):  # such as a fixture named "pending" in a class
        encoded = encoded.removesuffix(_PENDING_STEM) + _PENDING_STEM.replace(".", "%2E")
    if len(encoded.encode()) <= LONGEST:
        return encoded
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{encoded.encode()[: LONGEST - 9].decode(errors='ignore')}~{digest}"


def test_cassette_path(folder: Path, module: str, qualified_name: str, *, readable_name: str) -> Path:
    """Return the path of a test's cassette.

    If an earlier version of Multitrack has recorded the cassette under an all-ASCII name, that path is returned.

    Args:
        folder: The folder of the cassettes.
        module: The name of the module.
        qualified_name: ``Class.function[id]``.
        readable_name: The qualified name with an unescaped id.
    """
    names = file_name(module), f"{file_name(readable_name)}.yaml"
    path = folder.joinpath(*names)
    if readable_name == qualified_name and readable_name.isascii() and module.isascii():
        return path
    earlier_names = earlier_file_name(module), f"{earlier_file_name(qualified_name)}.yaml"
    return path if names == earlier_names else _choose_existing(path, folder.joinpath(*earlier_names))


def is_default_path(path: Path, test: str) -> bool:
    """Return whether ``path`` is the default cassette of ``test``, a node id. The test's parameters are ignored."""
    module, _, name = test.partition("::")
    function = name.partition("[")[0].replace("::", ".")
    return path.parent.name == file_name(Path(module).stem) and path.name.removesuffix(".yaml").partition("[")[
        0
    ] == file_name(function)


def _choose_existing(path: Path, earlier: Path) -> Path:
    if path.exists() or pending_path(path).exists():
        return path
    return earlier if earlier.exists() or pending_path(earlier).exists() else path


def named_cassette_path(folder: Path, name: str) -> Path:
    """Return the path of the cassette in ``folder`` that several tests share under ``name``.

    Raises:
        BadOption: The path would be outside ``folder``, or would be the path of a pending recording.
    """
    if not isinstance(name, str):
        raise BadOption(f"the cassette name {name!r} is not a string")
    parts = name.split("/")
    if not name or "\\" in name or any(part in ("", ".", "..") for part in parts):
        raise BadOption(f"the cassette name {name!r} leads outside the folder {folder}")
    if parts[-1].endswith(_PENDING_STEM):
        raise BadOption(f"the cassette name {name!r} is reserved for pending recordings")
    path, earlier = ([*map(encode, parts)] for encode in (file_name, earlier_file_name))
    return _choose_existing(
        folder.joinpath(*path[:-1], f"{path[-1]}.yaml"), folder.joinpath(*earlier[:-1], f"{earlier[-1]}.yaml")
    )


def find_cassette_folders(root: Path, *, limit: int | None = None) -> Iterator[Path]:
    """Yield each ``cassettes`` folder in ``root`` or below it. Hidden folders and installed packages are skipped.

    Args:
        root: The folder in which to look.
        limit: The maximum number of folders to look into. Default: no limit.
    """
    for folder, names, _ in islice(os.walk(root), limit):
        if "cassettes" in names:
            yield Path(folder, "cassettes")
        names[:] = sorted(name for name in names if not name.startswith(".") and name not in _OTHER_FOLDERS)


def pending_path(path: Path) -> Path:
    """Return the file for pending recordings of the cassette at ``path``."""
    return path.with_name(path.name.removesuffix(".yaml") + PENDING_SUFFIX)


def cassette_path(path: Path) -> Path:
    """Return the cassette that the pending recordings at ``path`` belong to."""
    return path.with_name(path.name.removesuffix(PENDING_SUFFIX) + ".yaml")


def journal_path(path: Path) -> str:
    """Return the path of the journal for the cassette at ``path``. All links to a cassette share one journal."""
    # a string, because each test with a cassette looks for the file, and creating a Path takes longer than that
    return f"{os.path.realpath(path) if os.path.islink(path) else path}.journal"


def find_other_formats(path: Path) -> Iterator[Path]:
    """Yield other recorders' cassettes with the same name as the cassette at ``path``, but a different suffix."""
    if path.name.endswith(".yaml"):
        for suffix in _OTHER_FORMATS:
            if (other := path.with_name(path.name.removesuffix(".yaml") + suffix)).is_file():
                yield other


def list_cassettes(folder: Path, *, pending: bool = False) -> list[Path]:
    """Return the cassettes in ``folder`` and its subfolders in alphabetical order.

    Files that end in ``.json`` or ``.toml`` are left out, because many such files are not cassettes.

    Args:
        folder: The folder.
        pending: Whether to include the files with pending recordings. Default False.
    """
    found = (path for path in folder.rglob("*") if path.name.endswith(_LISTED_SUFFIXES) and path.is_file())
    listed = (path for path in found if pending or not path.name.endswith(PENDING_SUFFIX))
    # the same order as that of paths, but comparing paths would split each one into its parts every time
    return sorted(listed, key=attrgetter("parts"))


def relative_to(path: Path, root: Path) -> str:
    """Return ``path`` relative to the folder ``root``, with forward slashes."""
    return Path(os.path.relpath(path, root)).as_posix()


def relative_to_cwd(path: Path) -> Path:
    """Return ``path`` relative to the current directory if it is below this directory, unchanged otherwise."""
    folder, text = os.getcwd(), str(path)
    start = os.path.join(folder, "")
    # faster than Path.relative_to, which each test with a cassette would call several times
    if text.startswith(start):
        return _make_path(text[len(start) :])
    return Path() if text == folder else path


def current_folder() -> Path:
    """Return the current directory."""
    return _make_path(os.getcwd())


# cached, because each test with a cassette needs the same few folders, and shows its cassette more than once
@lru_cache(maxsize=64)
def _make_path(text: str) -> Path:
    return Path(text)


def resolve(path: Path) -> Path:
    """Return ``path`` without symbolic links, as ``Path.resolve`` does. The results for folders are cached."""
    if os.path.islink(path):
        return path.resolve()
    # strings, because each test with a cassette calls this function, and the methods of a path are slower
    folder, name = os.path.split(os.path.abspath(path))
    return Path(os.path.join(_resolve_folder(folder), name))


@lru_cache(maxsize=1024)
def _resolve_folder(folder: str) -> str:
    return str(Path(folder).resolve())
