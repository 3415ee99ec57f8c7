"""The decisions about the items of ``multitrack review``, and the changes that carry them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from multitrack.commands import rebind, toml_lists
from multitrack.commands.file_changes import FileChange
from multitrack.commands.review_items import OUTDATED, Kind, ReviewItem, ignore_paths
from multitrack.errors import MultitrackError
from multitrack.run_facts import ChangedRequest, ChangedSnapshot, RunFacts
from multitrack.snapshots.calls_file import DamagedCallsFile, format_file, read_entries, replace_note
from multitrack.tape.file import paths
from multitrack.tape.project import SNAPSHOT_IGNORE
from multitrack.tape.settings import Settings
from multitrack.tape.undo_log import read_file

Word = Literal["accept", "reject"]


@dataclass(slots=True)
class Decisions:
    """The decisions about the items of ``multitrack review``.

    Attributes:
        words: Maps the ids of items to "accept" or "reject".
        ignored: Maps the ids of items to the paths to ignore in snapshots. An empty list ignores all paths of the
            item.
    """

    words: dict[str, Word] = field(default_factory=dict)
    ignored: dict[str, list[str]] = field(default_factory=dict)

    def settles(self, item: ReviewItem) -> bool:
        """Return whether the decisions about ``item`` are complete."""
        return item.id in self.words or ignore_paths(item, self.list_ignored()) is None

    def list_ignored(self) -> list[str]:
        """Return all paths that the decisions ignore."""
        return [path for paths in self.ignored.values() for path in paths]


@dataclass
class ReviewPlan:
    """The result of planning a review: the changes to make, and the decisions that cannot be carried out.

    Attributes:
        pending: The pending recordings to accept. Merging them needs a lock, so they are not in ``changes``.
        changes: The other changes.
        problems: Maps the ids of items to the reasons why their decisions cannot be carried out.
    """

    pending: list[Path]
    changes: list[FileChange]
    problems: dict[str, str]


def plan_decisions(
    decisions: Decisions, items: Sequence[ReviewItem], facts: RunFacts | None, settings: Settings
) -> ReviewPlan:
    """Return the changes that carry out the decisions.

    Args:
        decisions: The decisions about the items.
        items: All items of the review.
        facts: The facts about the last run. None if there are none.
        settings: The project's settings.
    """
    plan = ReviewPlan([], [], {})
    known = {item.id: item for item in items}
    snapshots: dict[Path, list[ChangedSnapshot]] = {}
    requests: list[ChangedRequest] = []
    for id_ in (*decisions.words, *decisions.ignored):
        if id_ not in known:
            plan.problems[id_] = (
                f"{id_}: there is no such item, or its file has changed\n  to list the items: multitrack review --json"
            )
    for id_, word in decisions.words.items():
        if (item := known.get(id_)) is None:
            continue
        if word not in item.decisions:
            plan.problems[id_] = f"{id_}: {explain_refusal(word, item)}"
        elif isinstance(item.source, Path):
            if word == "accept":
                plan.pending.append(item.source)
            else:
                file = item.source.resolve()
                plan.changes.append(FileChange(file, file.read_bytes(), None))
        elif isinstance(item.source, ChangedSnapshot) and facts is not None:
            snapshots.setdefault(facts.root / item.source.file, []).append(item.source)
        elif isinstance(item.source, ChangedRequest):
            requests.append(item.source)
    plan.changes += [_update_snapshots(path, found) for path, found in snapshots.items()]
    paths_to_ignore: list[str] = []
    for id_, chosen in decisions.ignored.items():
        if (item := known.get(id_)) is None:
            continue
        if "ignore" not in item.decisions:
            plan.problems[id_] = f"{id_}: {explain_refusal('ignore', item)}"
        elif unknown := [path for path in chosen if path not in item.paths]:
            plan.problems[id_] = (
                f"{id_}: no difference at {', '.join(unknown)}\n  these paths differ: {', '.join(item.paths)}"
            )
        else:
            paths_to_ignore += chosen or item.paths
    if paths_to_ignore and facts is not None:
        plan.changes.append(_ignore_in_project(facts.root / "pyproject.toml", paths_to_ignore))
    if requests and facts is not None:
        rebinding = rebind.plan_rebinding(replace(facts, misses=requests, audited=()), (), settings)
        merged = {paths.cassette_path(file).resolve() for file in plan.pending}
        for change in rebinding.changes:
            if change.path.resolve() in merged:
                shown = str(paths.relative_to_cwd(change.path))
                plan.problems[shown] = (
                    f"{shown}: reworded requests are not accepted together with a pending recording of the same "
                    "cassette\n"
                    "  run the tests again: pytest"
                )
            else:
                plan.changes.append(change)
        plan.problems |= rebinding.problems
    return plan


def _ignore_in_project(pyproject: Path, wanted: Sequence[str]) -> FileChange:
    before = read_file(pyproject)
    after = toml_lists.add_to_list(pyproject, (before or b"").decode(), SNAPSHOT_IGNORE, wanted)
    return FileChange(pyproject, before, after.encode(), only_adds=True)


_NOT_IGNORABLE: dict[Kind, str] = {
    "pending recording": "a pending recording has no path to ignore\n  accept or reject it",
    "changed snapshot": "whole calls differ, but only arguments of a call can be ignored\n"
    "  change the code, or accept the item",
    "changed request": "only arguments in snapshots can be ignored here\n"
    "  to ignore a value in requests, add its JSON path to the ignore option in [tool.multitrack]",
    "drift": "drift cannot be ignored",
    "audit finding": "an audit finding has no path to ignore",
}


def explain_refusal(word: str, item: ReviewItem) -> str:
    """Return why the decision ``word`` is impossible for ``item``, and what to do instead."""
    if word == "ignore":
        command = f"\n  run: {item.command}" if item.kind in ("drift", "audit finding") and item.command else ""
        return _NOT_IGNORABLE[item.kind] + command
    if word == "reject":
        reason = "only a pending recording can be rejected"
    else:
        reason = OUTDATED if item.is_outdated else "the item cannot be accepted"
    if "accept" in item.decisions:
        return f"{reason}\n  change the code, or accept it"
    return f"{reason}\n  {f'run: {item.command}' if item.command else 'multitrack review shows what to do'}"


def _update_snapshots(path: Path, snapshots: Sequence[ChangedSnapshot]) -> FileChange:
    before = path.read_bytes() if path.exists() else None
    accepted = {snapshot.name: replace_note(snapshot.received, snapshot.note) for snapshot in snapshots}
    try:
        entries = {**read_entries(path), **accepted}
    except DamagedCallsFile as error:
        raise MultitrackError(str(error)) from None
    return FileChange(path, before, format_file(path, entries).encode())
