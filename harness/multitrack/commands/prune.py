"""``multitrack prune``: remove the interactions that a full run did not use."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from multitrack.commands.file_changes import FileChange
from multitrack.errors import CassetteCorrupt, MultitrackError
from multitrack.run_facts import RunFacts
from multitrack.tape.file import cassette_reader, paths, storage
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.file.cassette_writer import dump_cassette
from multitrack.wording import count_noun


@dataclass
class Pruning:
    """The planned removals of unused interactions."""

    changes: list[FileChange] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    """Why a cassette is not pruned, by its path."""
    removed: int = 0
    """The number of interactions that are removed."""
    unused: list[Path] = field(default_factory=list)
    """The cassettes that no test uses. They stay."""


def plan_pruning(cassettes: Iterable[Path], facts: RunFacts) -> Pruning:
    """Return the changes that remove unused interactions. A cassette whose interactions are all unused is removed.

    Args:
        cassettes: The cassettes to prune.
        facts: The facts about the last run.

    Raises:
        MultitrackError: The last run did not cover all tests, or did not pass.
    """
    if facts.limit is not None:
        raise MultitrackError(
            f"the last run {facts.limit}, so it is unknown which recordings are unused\n"
            "  run all tests with pytest, and then repeat this command"
        )
    result = Pruning()
    for path in cassettes:
        name = facts.relative(path)
        used = facts.cassettes.get(name)
        if used is None:
            if name not in facts.collected:
                result.unused.append(path)
            continue
        if used.is_open:
            continue
        storage.merge_journal(path)
        if not used.fits(path):
            result.problems[str(path)] = f"{paths.relative_to_cwd(path)}: {facts.find_problem(path)}"
            continue
        _prune(path, set(used.played), result)
    return result


def _prune(path: Path, played: set[int], result: Pruning) -> None:
    content = path.read_bytes()
    try:
        cassette = cassette_reader.load_cassette(content, path)
    except CassetteCorrupt as error:
        result.problems[str(path)] = str(error)
        return
    kept = tuple(one for position, one in enumerate(cassette.interactions, start=1) if position in played)
    if len(kept) == len(cassette.interactions):
        return
    if cassette.is_foreign:
        shown = paths.relative_to_cwd(path)
        unused = count_noun(len(cassette.interactions) - len(kept), "unused interaction")
        result.problems[str(path)] = (
            f"{shown}: {unused} not removed, because another recorder wrote this cassette\n"
            f"  convert it first: multitrack convert {shown}"
        )
        return
    result.removed += len(cassette.interactions) - len(kept)
    after = dump_cassette(Cassette(kept, cassette.metadata)).encode() if kept else None
    result.changes.append(FileChange(path, content, after))
