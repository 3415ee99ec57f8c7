"""``multitrack mv``: rename the cassettes and snapshots of tests that were renamed or moved."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import yaml

from multitrack.commands.file_changes import FileChange, move_file
from multitrack.errors import MultitrackError
from multitrack.snapshots import calls_file
from multitrack.tape.file import paths, storage, yaml_text
from multitrack.tape.owned_files import NodeId, OwnedFiles
from multitrack.tape.undo_log import read_file

_NAMES_OF_TESTS = ("appends", "keeps_errors", "unanswered")
"""The metadata keys of pending recordings that have node ids in their values."""


class BadNames(ValueError):
    """The old and the new name do not describe a renaming: for example, one is a folder, and the other is a test."""


@dataclass(frozen=True, slots=True)
class Renaming:
    """The renaming of a folder, a test file, a class, a test or one of its parameters.

    Args:
        old: The old name, as a node id or as the path of a folder.
        new: The new name.
    """

    old: str
    new: str

    def __post_init__(self) -> None:
        old, new = NodeId.parse(self.old), NodeId.parse(self.new)
        if self.old == self.new:
            raise BadNames(f"{self.old} is both the old and the new name")
        if bool(old.classes) != bool(new.classes) or (old.parameters is None) != (new.parameters is None):
            raise BadNames(
                f"{self.old} and {self.new} are not of the same kind; pass two folders, two test files, two classes or "
                "tests (FILE::NAME), or two tests with parameters (FILE::NAME[ID])"
            )
        if not old.classes and old.module.endswith(".py") != new.module.endswith(".py"):
            raise BadNames(f"{self.old} and {self.new}: one is a test file, and the other is not; pass two test files")

    @property
    def is_folder(self) -> bool:
        return not self.old.endswith(".py") and "::" not in self.old

    def apply(self, test: str) -> str | None:
        """Return the new node id of ``test``. None if the node id does not change."""
        if self.is_folder:
            return f"{self.new}{test[len(self.old) :]}" if test.startswith(f"{self.old}/") else None
        if test != self.old and not test.startswith((f"{self.old}::", f"{self.old}[")):
            return None
        return f"{self.new}{test[len(self.old) :]}"


def plan_move(renaming: Renaming, files: OwnedFiles) -> list[FileChange]:
    """Return the changes that apply ``renaming`` to cassettes, pending recordings and snapshots.

    Raises:
        MultitrackError: A file would be overwritten, or a file cannot be read.
    """
    changes = [*_move_cassettes(renaming, files), *_move_snapshots(renaming, files)]
    for change in changes:
        if change.moved_from is not None and (change.path.exists() or change.path.is_symlink()):
            raise MultitrackError(
                f"{change.path}: this file already exists, and {change.moved_from} would overwrite it\n"
                "  remove one of the two files, and run the command again"
            )
    return changes


def _move_cassettes(renaming: Renaming, files: OwnedFiles) -> Iterator[FileChange]:
    for path in files.list_cassettes():
        storage.merge_journal(path)
        content = path.read_bytes()
        target = _find_target(path, content, renaming, files)
        changed = (
            content if path.suffix == ".gz" else _rename_in_cassette(path, content, renaming, is_moved=target != path)
        )
        if target != path:
            yield from move_file(path, target, content, changed)
        elif changed != content:
            yield FileChange(path, content, changed)


def _find_target(path: Path, content: bytes, renaming: Renaming, files: OwnedFiles) -> Path:
    """Return the new path of the cassette at ``path``, or ``path`` itself if the cassette stays."""
    if renaming.is_folder:
        # cassettes that are stored next to their tests move together with the folder
        root = files.cassettes_dir
        if root is None or not path.is_relative_to(root / renaming.old):
            return path
        return root / renaming.new / path.relative_to(root / renaming.old)
    old, new = NodeId.parse(renaming.old), NodeId.parse(renaming.new)
    if path.parent != files.cassette_folder(old.module):
        return path
    folder = files.cassette_folder(new.module)
    if not old.classes:
        return folder / path.name
    stem, suffix = _split_suffix(path.name)
    before, after = paths.file_name(old.readable_name), paths.file_name(new.readable_name)
    if stem == before or (old.parameters is None and stem.startswith((f"{before}[", f"{before}."))):
        renamed = f"{after}{stem[len(before) :]}"
        if "~" not in f"{stem}{renamed}" and len(renamed.encode()) <= paths.LONGEST:
            return folder / f"{renamed}{suffix}"
    # long names are cut, so only the node ids in the cassette show which test the cassette belongs to
    for test in _list_tests(content) if "~" in stem or stem == before else ():
        if (moved := renaming.apply(test)) is not None and paths.file_name(NodeId.parse(test).readable_name) == stem:
            return folder / f"{paths.file_name(NodeId.parse(moved).readable_name)}{suffix}"
    return path


def _split_suffix(name: str) -> tuple[str, str]:
    for suffix in (paths.PENDING_SUFFIX, ".yaml.gz", ".json.gz", *paths.SUFFIXES):
        if name.endswith(suffix):
            return name.removesuffix(suffix), suffix
    return name, ""


def _rename_in_cassette(path: Path, content: bytes, renaming: Renaming, *, is_moved: bool) -> bytes:
    """Return the cassette ``content`` with the new node ids of tests. All other bytes stay unchanged."""
    marker = NodeId.parse(renaming.old).module
    fixtures = _rename_fixture(renaming) if is_moved else lambda _: None
    if marker.encode() not in content and not (is_moved and b"fixture " in content):
        return content
    text = content.decode()
    pieces: list[str] = []
    end = 0
    for node in _find_test_names(path, text):
        name = str(node.value)
        renamed = renaming.apply(name) or fixtures(name)
        if renamed is not None:
            pieces += [text[end : node.start_mark.index], yaml_text.format_line(renamed, bracketed=True)]
            end = node.end_mark.index
    return "".join([*pieces, text[end:]]).encode()


def _rename_fixture(renaming: Renaming) -> Callable[[str], str | None]:
    """Return a function that renames a module in a fixture's name, such as ``fixture x of module``."""
    old, new = (PurePosixPath(NodeId.parse(name).module) for name in (renaming.old, renaming.new))

    def rename(name: str) -> str | None:
        if not name.startswith("fixture ") or "::" in renaming.old:
            return None
        head, comma, location = name.partition(", defined in ")
        renamed = f"{head.removesuffix(f' of {old.stem}')} of {new.stem}" if head.endswith(f" of {old.stem}") else head
        return f"{renamed}{comma}{location.replace(old.as_posix(), new.as_posix())}"

    return rename


def _list_tests(content: bytes) -> list[str]:
    try:
        return [str(node.value) for node in _find_test_names(Path(), content.decode())]
    except (MultitrackError, UnicodeDecodeError):
        return []


def _find_test_names(path: Path, text: str) -> list[yaml.ScalarNode]:
    """Return the YAML nodes that contain the names of tests, in file order."""
    try:
        document = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise MultitrackError(f"{path}: this cassette cannot be read: {error}") from error
    found: list[yaml.ScalarNode] = []
    for interaction in _items(_get(document, "interactions")):
        found += _scalars(_get(interaction, "tests"))
    for key in _NAMES_OF_TESTS:
        found += _scalars(_get(_get(document, "metadata"), key))
    return found


def _get(node: yaml.Node | None, key: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for name, value in node.value if name.value == key), None)


def _items(node: yaml.Node | None) -> Sequence[yaml.Node]:
    return node.value if isinstance(node, yaml.SequenceNode) else ()


def _scalars(node: yaml.Node | None) -> list[yaml.ScalarNode]:
    nodes = [name for name, _ in node.value] if isinstance(node, yaml.MappingNode) else _items(node)
    return [item for item in nodes if isinstance(item, yaml.ScalarNode)]


def _move_snapshots(renaming: Renaming, files: OwnedFiles) -> Iterator[FileChange]:
    if renaming.is_folder:
        return  # the snapshots are in the folder
    old, new = NodeId.parse(renaming.old), NodeId.parse(renaming.new)
    source, target = files.snapshot_file(old.module), files.snapshot_file(new.module)
    content = read_file(source)
    if content is None:
        return
    if not old.classes:
        yield from move_file(source, target, content, content)
        return
    entries = calls_file.read_entries(source)
    before, after = old.qualified_name, new.qualified_name
    renamed = {
        name: f"{after}{name[len(before) :]}"
        for name in entries
        if name == before or name.startswith((f"{before}[", f"{before}."))
    }
    if not renamed:
        return
    others = {name: text for name, text in entries.items() if name not in renamed}
    present = others if source == target else calls_file.read_entries(target)
    if taken := sorted(set(renamed.values()) & set(present)):
        raise MultitrackError(
            f"{target}: the snapshot {taken[0]!r} already exists; remove it, and run the command again"
        )
    moved = {**present, **{renamed[name]: entries[name] for name in renamed}}
    if source != target:
        yield FileChange(source, content, calls_file.format_file(source, others).encode() if others else None)
    yield FileChange(target, read_file(target), calls_file.format_file(target, moved).encode())


def with_root(renaming: tuple[str, str], files: OwnedFiles) -> Renaming:
    """Return a ``Renaming`` with names relative to pytest's root folder.

    ``renaming`` contains the old and the new name, as the user passed them.
    """
    old, new = (
        "::".join([files.relative_module(name.partition("::")[0].rstrip("/")), *name.split("::")[1:]])
        for name in renaming
    )
    return Renaming(old, new)
