"""Find and read the cassettes of the behaviour library: in a wheel, in a zip file, or in a clone of the repository."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING

from multitrack.installation import find_install_command

if TYPE_CHECKING:
    from multitrack.tape.file.cassette import Cassette


@lru_cache(maxsize=1)
def _find_folder() -> Traversable:
    packaged = files("multitrack.library") / "cassettes"
    # the wheel contains the cassettes; an editable install uses those in the clone
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / "cassettes" / "library"


@lru_cache(maxsize=1)
def list_cassettes() -> frozenset[tuple[str, str]]:
    """Return the wire format and the name of each cassette."""
    folders = [entry for entry in _find_folder().iterdir() if entry.is_dir()]
    return frozenset(
        (folder.name, file.name.removesuffix(".yaml"))
        for folder in folders
        for file in folder.iterdir()
        if file.name.endswith(".yaml")
    )


@lru_cache(maxsize=512)
def read_cassette(wire: str, name: str) -> Cassette:
    """Return the cassette of a behaviour.

    Raises:
        ImportError: PyYAML is not installed.
    """
    try:
        from multitrack.tape.file.cassette_reader import load_cassette
    except ImportError as error:
        raise ImportError(
            f"the library of behaviours requires {error.name}, which is not installed; "
            f"run: {find_install_command('test')}"
        ) from error
    # bytes and not a path, because a file in a zip file has none
    content = _find_folder().joinpath(wire, f"{name}.yaml").read_bytes()
    return load_cassette(content, Path("multitrack.library", wire, f"{name}.yaml"))
