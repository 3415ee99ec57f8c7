"""The items that ``multitrack review`` lists: everything that needs a decision. Each item has an id.

The items are the project's pending recordings, and what the last run of pytest reported: changed snapshots, misses,
drift, and the findings of an audit. ``review`` itself sends no request: an item that can be settled only by a live
request contains the command that sends it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from multitrack.drift.cassette_diff import REMOVED, compare_cassettes
from multitrack.drift.response_drift import compare_responses
from multitrack.errors import CassetteCorrupt
from multitrack.reporting import request_text
from multitrack.run_facts import ChangedRequest, ChangedSnapshot, RunFacts, StoredRequest, digest_file
from multitrack.snapshots.calls_file import DamagedCallsFile, read_entries
from multitrack.snapshots.comparison import CallComparison, compare_calls
from multitrack.snapshots.comparison_options import ComparisonOptions
from multitrack.snapshots.differences import ARGUMENTS, ID, TOOL, Absent
from multitrack.snapshots.expressions import format_line
from multitrack.snapshots.parsing import parse_calls
from multitrack.tape.canonicalization import create_matching_rules
from multitrack.tape.exchange import Request
from multitrack.tape.file import paths, storage
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.matching.replay_state import ReplayState
from multitrack.tape.project import SNAPSHOT_IGNORE
from multitrack.tape.settings import Settings

Kind = Literal["pending recording", "changed snapshot", "changed request", "drift", "audit finding"]
_LETTERS: dict[Kind, str] = {
    "pending recording": "p",
    "changed snapshot": "s",
    "changed request": "m",
    "drift": "d",
    "audit finding": "a",
}
_ID = re.compile(r"[psmda]-[0-9a-f]{10}")
_DIGITS = 10
OUTDATED = "the cassette has changed since the run"


class FieldDifference(NamedTuple):
    """The difference in one field of a tool call, such as ``Weather.location``.

    ``old`` and ``new`` are Python source. ``old`` is None if the field or the whole call was not expected. ``new`` is
    None if the field or the whole call was not received.
    """

    field: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class ReviewItem:
    """A recording, a changed snapshot or another finding that the developer has to decide about.

    Args:
        id: The id of the item. It changes if the file or the differences change.
        kind: The kind of item.
        tests: The node ids of the tests in question.
        file: The path of the file in question, as shown in the review. Empty if there is none.
        title: A line that is the same for all items with the same cause.
        lines: The differences.
        changes: The fields that differ in tool calls.
        paths: The paths that `ignore` can add to the settings, so that later runs do not compare their values.
        request: Lines that show the request that caused the item.
        command: The command that settles the item. Empty if `accept` settles it, or if ``lines`` say what to do.
        is_outdated: Whether the cassette has changed since the run. The command then runs the test again.
        source: The fact or the file from which the item was made.
    """

    id: str
    kind: Kind
    tests: tuple[str, ...]
    file: str
    title: str
    lines: tuple[str, ...]
    changes: tuple[FieldDifference, ...] = ()
    paths: tuple[str, ...] = ()
    request: tuple[str, ...] = ()
    command: str = ""
    source: ChangedSnapshot | ChangedRequest | Path | None = None
    is_outdated: bool = False

    @property
    def decisions(self) -> tuple[str, ...]:
        """The decisions that can be carried out for this item without a live request."""
        if self.paths:
            return "accept", "ignore"
        if self.kind == "pending recording":
            return "accept", "reject"
        if self.kind in ("drift", "audit finding"):
            return ()
        return () if self.command else ("accept",)

    def to_dict(self) -> dict[str, Any]:
        """Return the item as plain data, for ``--json``."""
        return {
            "id": self.id,
            "kind": self.kind,
            "tests": list(self.tests),
            "file": self.file,
            "title": self.title,
            "lines": list(self.lines),
            "changes": [change._asdict() for change in self.changes],
            "paths": list(self.paths),
            "request": list(self.request),
            "decisions": list(self.decisions),
            "command": self.command,
        }


def is_id(text: str) -> bool:
    """Return whether ``text`` has the form of a review item's id."""
    return _ID.fullmatch(text) is not None


def list_items(
    pending: Sequence[Path], facts: RunFacts | None, settings: Settings, ignored: Sequence[str] = ()
) -> list[ReviewItem]:
    """Return the items that ``multitrack review`` shows.

    Args:
        pending: The files with pending recordings.
        facts: The facts about the last run. None if there are none.
        settings: The project's settings.
        ignored: The paths that no snapshot compares.
    """
    items = list(map(_review_pending, pending))
    if facts is None:
        return items
    items += (item for one in facts.snapshots if (item := _review_snapshot(one, facts, ignored)) is not None)
    requests = (*facts.misses, *facts.audited)
    items += (item for one in requests if (item := _review_request(one, facts, settings)) is not None)
    for drift in facts.drift:
        test = drift.test
        command = facts.commands.record([test])
        items.append(
            _make_item("drift", (test,), drift.cassette, drift.verdict, drift.details, facts=facts, command=command)
        )
    for found in facts.findings:
        title = f"{found.section}: {found.title}"
        command = facts.commands.run_in(facts.folder, found.command) if found.command else ""
        items.append(_make_item("audit finding", found.tests, "", title, found.lines, facts=facts, command=command))
    return list({item.id: item for item in items}.values())


def _make_item(
    kind: Kind,
    tests: Sequence[str],
    file: str,
    title: str,
    lines: Sequence[str],
    *,
    facts: RunFacts,
    changes: tuple[FieldDifference, ...] = (),
    paths_to_ignore: tuple[str, ...] = (),
    request: Sequence[str] = (),
    command: str = "",
    source: ChangedSnapshot | ChangedRequest | None = None,
    is_outdated: bool = False,
) -> ReviewItem:
    path = facts.root / file
    digest = digest_file(path) if file else None
    shown = str(paths.relative_to_cwd(path)) if file else ""
    id_ = _make_id(kind, file, digest or "", *tests, title, *lines)
    return ReviewItem(
        id_,
        kind,
        tuple(tests),
        shown,
        title,
        tuple(lines),
        changes,
        paths_to_ignore,
        tuple(request),
        command,
        source,
        is_outdated,
    )


def _make_id(kind: Kind, *parts: str) -> str:
    digest = hashlib.sha256("\0".join((kind, *parts)).encode("utf-8", "surrogatepass")).hexdigest()
    return f"{_LETTERS[kind]}-{digest[:_DIGITS]}"


# pending recordings


def _review_pending(file: Path) -> ReviewItem:
    shown, target = str(paths.relative_to_cwd(file)), paths.cassette_path(file)
    id_ = _make_id("pending recording", shown, digest_file(file) or "", digest_file(target) or "")
    try:
        after, before = _load(file), _load(target)
    except CassetteCorrupt as error:
        return ReviewItem(
            id_, "pending recording", (), shown, "damaged file", tuple(str(error).splitlines()), source=file
        )
    tests = tuple(dict.fromkeys(test for interaction in after.interactions for test in interaction.tests))
    lines: list[str] = []
    changes: list[FieldDifference] = []
    request: list[str] = []
    for diff in compare_cassettes(before, after):
        # a pending file only has recordings from tests that did not pass
        if diff.kind == REMOVED and not set(diff.tests) & set(tests):
            continue
        lines += [f"{diff.kind}: {diff.summary}", *(f"  {line}" for line in diff.lines)]
        if diff.after is None:
            continue
        recorded = after.interactions[diff.after - 1]
        request = request or list(request_text.describe_request(recorded.request))
        if diff.before is not None:
            drift = compare_responses(before.interactions[diff.before - 1].response, recorded.response)
            changes += _list_changes(drift.calls) if drift.calls is not None else ()
    title = "the tool calls are the same" if not lines else "a new recording"
    return ReviewItem(
        id_,
        "pending recording",
        tests,
        shown,
        title,
        tuple(lines or [title]),
        tuple(changes),
        request=tuple(request),
        source=file,
    )


def _list_changes(comparison: CallComparison) -> Iterator[FieldDifference]:
    for changed in comparison.changed:
        for one in changed.fields:
            old, new = (None if isinstance(side, Absent) else format_line(side) for side in (one.old, one.new))
            yield FieldDifference(_join_field(changed.before.name, one.path), old, new)
    yield from (FieldDifference(one.call.name, format_line(one.call), None) for one in comparison.removed)
    yield from (FieldDifference(one.call.name, None, format_line(one.call)) for one in comparison.added)


def _list_paths(comparison: CallComparison) -> Iterator[str]:
    """Yield the paths of the arguments that differ. A tool's name, and an added or removed call, have no path."""
    for changed in comparison.changed:
        for one in changed.fields:
            if one.path not in (TOOL, ID, ARGUMENTS):
                yield _join_field(changed.after.name, one.path)


def _join_field(tool: str, path: str) -> str:
    # a key that is not an identifier follows without a dot: Prices['per night']
    return f"{tool}{'' if path.startswith('[') else '.'}{path}".rstrip(".")


def _load(path: Path) -> Cassette:
    return storage.read(path) or Cassette()


# the facts about the last run


def _review_snapshot(snapshot: ChangedSnapshot, facts: RunFacts, ignored: Sequence[str]) -> ReviewItem | None:
    try:
        stored = read_entries(facts.root / snapshot.file).get(snapshot.name, "")
    except DamagedCallsFile:
        return None  # the next run reports the damage
    if stored != snapshot.stored:
        return None  # the entry has changed since the run
    comparison = _compare(snapshot, ignored)
    if ignored and comparison.is_same and not _compare(snapshot).is_same:
        return None  # the paths that differ have been ignored since the run
    return _make_item(
        "changed snapshot",
        (snapshot.test,),
        snapshot.file,
        snapshot.message,
        snapshot.message.splitlines(),
        facts=facts,
        changes=tuple(_list_changes(comparison)),
        paths_to_ignore=tuple(dict.fromkeys(_list_paths(comparison))),
        source=snapshot,
    )


def _compare(snapshot: ChangedSnapshot, ignored: Sequence[str] = ()) -> CallComparison:
    try:
        sides = parse_calls(snapshot.stored), parse_calls(snapshot.received)
    except ValueError:  # the entry is damaged
        return CallComparison()
    options = ComparisonOptions(SNAPSHOT_IGNORE, ignore=ignored)
    stored, received = ([options.replace_values(call) for call in calls] for calls in sides)
    return compare_calls(stored, received, options=options)


def ignore_paths(item: ReviewItem, ignored: Sequence[str]) -> ReviewItem | None:
    """Return ``item`` without its differences at ``ignored`` paths, or None if no difference remains."""
    if not ignored or not isinstance(item.source, ChangedSnapshot) or not item.paths:
        return item
    comparison = _compare(item.source, ignored)
    if comparison.is_same:
        return None
    changes, left = tuple(_list_changes(comparison)), tuple(dict.fromkeys(_list_paths(comparison)))
    return replace(item, changes=changes, paths=left)


def _review_request(request: ChangedRequest, facts: RunFacts, settings: Settings) -> ReviewItem | None:
    path = facts.root / request.cassette
    storage.merge_journal(path)
    used = facts.cassettes.get(request.cassette)
    has_changed = digest_file(path) != (None if used is None else used.digest)
    if has_changed and _holds(path, request, settings):
        return None  # a command has settled it since the run
    command = facts.commands.record([request.test])
    if has_changed:
        command = facts.commands.run([request.test])
    elif request.moved_from is not None:
        command = facts.commands.move(request.moved_from)
    can_rebind = request.is_only_wording and request.request is not None and not has_changed
    first, *rest = request.message.splitlines() or ["the wording of a request changed"]
    return _make_item(
        "changed request",
        (request.test,) if request.test else (),
        request.cassette,
        OUTDATED if has_changed else "only the wording changed" if can_rebind else first,
        [first, *rest, *([OUTDATED] if has_changed else [])],
        facts=facts,
        request=() if request.request is None else list(request_text.describe_request(_read_request(request.request))),
        command="" if can_rebind else command,
        source=request,
        is_outdated=has_changed,
    )


def _read_request(stored: StoredRequest) -> Request:
    return Request(stored.method, stored.url, tuple(stored.headers), stored.body)


def _holds(path: Path, request: ChangedRequest, settings: Settings) -> bool:
    """Return whether the cassette at ``path`` has a recording that answers ``request``."""
    if request.request is None:
        return False
    try:
        cassette = _load(path)
    except CassetteCorrupt:
        return False
    rules = create_matching_rules(settings)
    pseudonyms = cassette.placeholders | frozenset(request.pseudonyms)
    key = rules.make_key(_read_request(request.request), pseudonyms)
    return ReplayState(cassette.index(rules, pseudonyms)).take(key) is not None
