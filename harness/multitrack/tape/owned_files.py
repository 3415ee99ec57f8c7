"""Find a test's cassettes and snapshots by its node id."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from multitrack.tape import project
from multitrack.tape.file import paths

_ESCAPED = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8}))")


@dataclass(frozen=True, slots=True)
class NodeId:
    """The parts of a node id."""

    module: str
    """The path of the test file, relative to pytest's root folder, with forward slashes."""
    classes: tuple[str, ...] = ()
    """The classes, outermost first. In the id of a test, the last item is the function, without parameters."""
    parameters: str | None = None
    """The text between the square brackets. None if there are none."""

    @classmethod
    def parse(cls, text: str) -> NodeId:
        """Return the parts of ``text``, such as ``tests/test_trip.py::TestPlan::test_x[fr]``."""
        path, *_ = text.split("::", 1)
        rest = text[len(path) + 2 :]
        names, bracket, parameters = rest.partition("[")
        return cls(path, tuple(names.split("::")) if names else (), parameters.removesuffix("]") if bracket else None)

    @property
    def qualified_name(self) -> str:
        """``Class.test[parameters]``, the name of the snapshot."""
        return ".".join(self.classes) + ("" if self.parameters is None else f"[{self.parameters}]")

    @property
    def readable_name(self) -> str:
        """The qualified name, with the characters that pytest escaped in the parameters restored."""
        return _ESCAPED.sub(_unescape, self.qualified_name)


def _unescape(found: re.Match[str]) -> str:
    character = chr(int(found[1] or found[2] or found[3], 16))
    return character if character.isprintable() else found[0]


@dataclass(frozen=True, slots=True)
class OwnedFiles:
    """The cassettes and snapshots that belong to a project's tests.

    Args:
        root: pytest's root folder.
        cassettes_dir: The root of all cassettes. None if cassettes are stored next to their tests.
    """

    root: Path
    cassettes_dir: Path | None

    @classmethod
    def of_project(cls, folder: Path) -> OwnedFiles:
        """Return the files of the project that contains ``folder``."""
        pyproject = project.find_pyproject(folder)
        return cls(folder if pyproject is None else pyproject.parent, project.read_nearest(folder).cassettes_dir)

    def cassette_folder(self, module: str) -> Path:
        """Return the folder for a test file's default cassettes."""
        file = Path(module)
        folder = (
            self.root / file.parent / "cassettes" if self.cassettes_dir is None else self.cassettes_dir / file.parent
        )
        return folder / paths.file_name(file.stem)

    def default_cassette(self, test: NodeId) -> Path:
        """Return the default cassette of ``test``."""
        return self.cassette_folder(test.module) / f"{paths.file_name(test.readable_name)}.yaml"

    def snapshot_file(self, module: str) -> Path:
        """Return the file with a test file's snapshots."""
        file = Path(module)
        return self.root / file.parent / "__snapshots__" / f"{file.stem}.calls"

    def list_cassettes(self) -> list[Path]:
        """Return all of the project's cassettes and pending recordings."""
        folders = paths.find_cassette_folders(self.root) if self.cassettes_dir is None else [self.cassettes_dir]
        found = {path for folder in folders for path in folder.rglob("*") if path.name.endswith(paths.SUFFIXES)}
        return sorted(path for path in found if path.is_file())

    def relative_module(self, path: str) -> str:
        """Return the path of a test file or a folder relative to the root. Node ids start with such a path.

        Args:
            path: A path relative to the current directory or to the root.
        """
        here = Path.cwd() / path
        if (self.root / path).exists() and not here.exists():
            return Path(path).as_posix()
        try:
            return here.relative_to(self.root).as_posix()
        except ValueError:
            return Path(path).as_posix()
