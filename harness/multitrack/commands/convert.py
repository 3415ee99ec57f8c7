"""``multitrack convert``: rewrite the cassettes of other recorders in Multitrack's own format."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path

from multitrack.commands.file_changes import FileChange, move_file
from multitrack.errors import CassetteCorrupt
from multitrack.progress import track
from multitrack.tape.file import cassette_reader, paths
from multitrack.tape.file.cassette import FORMAT, Cassette
from multitrack.tape.file.cassette_writer import dump_cassette
from multitrack.tape.owned_files import NodeId, OwnedFiles
from multitrack.tape.redaction.shapes import has_credential_shape


@dataclass
class Conversion:
    """The files that ``multitrack convert`` changes, and the cassettes that it cannot convert."""

    changes: list[FileChange] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    """Why a cassette cannot be converted, by its path."""
    converted: int = 0
    """The number of cassettes that are converted."""
    unchanged: int = 0
    """The number of cassettes that already have Multitrack's format."""


def plan_conversion(
    cassettes: Iterable[Path],
    redact_foreign: Callable[[Cassette], Cassette],
    tests: Collection[str],
    files: OwnedFiles,
    *,
    allowed: Collection[str],
) -> Conversion:
    """Return the changes that convert ``cassettes`` of other recorders to Multitrack's format.

    The responses keep all headers except secrets, because tests may read them. A cassette that is not YAML is
    replaced by a file with the suffix ``.yaml``.

    Args:
        cassettes: The paths of the cassettes.
        redact_foreign: Redacts a cassette of another recorder.
        tests: The node ids of the project's tests. Each test's node id is stored in its default cassette.
        files: Locates the files that belong to tests.
        allowed: Strings that look like secrets but are not.
    """
    owners = {
        files.cassette_folder(node.module) / file_name: test
        for test in tests
        if (node := NodeId.parse(test)) and (file_name := paths.file_name(node.readable_name))
    }
    result = Conversion()
    for path in track(cassettes, "converting cassettes"):
        content = path.read_bytes()
        try:
            cassette = cassette_reader.load_cassette(content, path)
        except CassetteCorrupt as error:
            result.problems[str(path)] = str(error)
            continue
        if not cassette.is_foreign:
            result.unchanged += 1
            continue
        stem = path.name
        for suffix in (".yaml.gz", ".json.gz", *paths.SUFFIXES):
            stem = stem.removesuffix(suffix)
        text = dump_cassette(_convert(redact_foreign(cassette), owners.get(path.parent / stem)))
        target = path.with_name(f"{stem}.yaml")
        if has_credential_shape(text, allowed):
            result.problems[str(path)] = (
                f"{path}: not converted, because the new cassette would still contain a value that looks like a "
                "credential\n"
                "  remove the value from the file or, if it is not a secret, list it in allow_secrets"
            )
        elif target != path and target.exists():
            result.problems[str(path)] = (
                f"{path}: not converted, because {target} already exists\n  delete one of the two files"
            )
        else:
            result.converted += 1
            after = text.encode()
            result.changes += (
                [FileChange(path, content, after)] if target == path else move_file(path, target, content, after)
            )
    return result


def _convert(cassette: Cassette, test: str | None) -> Cassette:
    # pytest-recording and others do not store node ids; a cassette of several tests has a name that the user chose
    tests = () if test is None else (test,)
    interactions = tuple(replace(one, stored_response=None, tests=one.tests or tests) for one in cassette.interactions)
    recorder = f"converted by multitrack {metadata.version('multitrack')}"
    known = {key: value for key, value in cassette.metadata.items() if value}
    return Cassette(interactions, {"format": FORMAT, "recorder": recorder, **known})


def find_cassettes(path: Path) -> list[Path]:
    """Return the cassettes in the folder ``path``, in any format. If ``path`` is a file, return only this file."""
    if not path.is_dir():
        return [path]
    found = (file for suffix in paths.SUFFIXES for file in path.rglob(f"*{suffix}"))
    return sorted(file for file in found if file.is_file() and not file.name.endswith(paths.PENDING_SUFFIX))
