"""``multitrack review``: everything that needs a decision, with an id for each item.

The items are the project's pending recordings, and what the last run of pytest reported: changed snapshots, misses,
drift, and the findings of an audit. No request is sent. If only a live request can settle an item, the item has a
command for it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, Literal, NamedTuple

from multitrack.commands import rebind, toml_lists
from multitrack.commands.file_changes import FileChange
from multitrack.drift.cassette_diff import REMOVED, compare_cassettes
from multitrack.drift.response_drift import compare_responses
from multitrack.errors import CassetteCorrupt, MultitrackError
from multitrack.printable import echo, escape_line
from multitrack.reporting import request_text
from multitrack.run_facts import ChangedRequest, ChangedSnapshot, RunFacts, StoredRequest, digest_file
from multitrack.snapshots.calls_file import DamagedCallsFile, format_file, read_entries, replace_note
from multitrack.snapshots.comparison import CallComparison, compare_calls
from multitrack.snapshots.comparison_options import ComparisonOptions
from multitrack.snapshots.differences import ARGUMENTS, ID, TOOL, Absent
from multitrack.snapshots.expressions import format_line
from multitrack.snapshots.parsing import parse_calls
from multitrack.tape.canonicalization import create_matching_rules
from multitrack.tape.exchange import Request
from multitrack.tape.file import cassette_reader, paths
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.matching.index import Index
from multitrack.tape.project import SNAPSHOT_IGNORE
from multitrack.tape.settings import Settings
from multitrack.tape.undo_log import read_file

Word = Literal["accept", "reject"]
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
_OUTDATED = "its cassette has changed since the run"


class FieldDifference(NamedTuple):
    """A field of a tool call that differs, such as ``Weather.location``, with both values as Python writes them.

    A value is None if the field, or the whole call, does not exist on that side.
    """

    field: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class ReviewItem:
    """Something that needs a decision.

    Args:
        id: The id of the item. It changes if the file or the differences change.
        kind: The kind of item.
        tests: The node ids of the tests in question.
        file: The path of the file in question, as the review shows it. Empty if there is none.
        title: A line that is the same for all items with the same cause.
        lines: The differences.
        changes: The fields of tool calls that differ.
        paths: The paths that `ignore` can add to the settings, so that later runs do not compare their values.
        request: The lines that show the request behind the item.
        command: The command that settles the item. Empty if `accept` settles it, or if ``lines`` say what to do.
        is_outdated: Whether its cassette has changed since the run. The command then runs the test again.
        source: The fact or the file behind the item.
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
        """The decisions about this item that can be carried out without a live request."""
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
    """Return whether ``text`` has the form of an item's id."""
    return _ID.fullmatch(text) is not None


def list_items(
    pending: Sequence[Path], facts: RunFacts | None, settings: Settings, ignored: Sequence[str] = ()
) -> list[ReviewItem]:
    """Return the items.

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
    return cassette_reader.load_cassette(path.read_bytes(), path) if path.exists() else Cassette()


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
    """Return the item without the differences at these paths. None if nothing else differs."""
    if not ignored or not isinstance(item.source, ChangedSnapshot) or not item.paths:
        return item
    comparison = _compare(item.source, ignored)
    if comparison.is_same:
        return None
    changes, left = tuple(_list_changes(comparison)), tuple(dict.fromkeys(_list_paths(comparison)))
    return replace(item, changes=changes, paths=left)


def _review_request(request: ChangedRequest, facts: RunFacts, settings: Settings) -> ReviewItem | None:
    path = facts.root / request.cassette
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
        _OUTDATED if has_changed else "only the wording changed" if can_rebind else first,
        [first, *rest, *([_OUTDATED] if has_changed else [])],
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
    keys = cassette.matching_keys(rules, pseudonyms)
    key = rules.make_key(_read_request(request.request), pseudonyms)
    return Index(cassette.interactions, pseudonyms, keys).take(key) is not None


# decisions


@dataclass(slots=True)
class Decisions:
    """What was decided about the items.

    Attributes:
        words: The items that are accepted or rejected, by id.
        ignored: By id, the paths to ignore in snapshots. Empty for all paths of the item.
    """

    words: dict[str, Word] = field(default_factory=dict)
    ignored: dict[str, list[str]] = field(default_factory=dict)

    def settles(self, item: ReviewItem) -> bool:
        """Return whether nothing is left to decide about ``item``."""
        return item.id in self.words or ignore_paths(item, self.list_ignored()) is None

    def list_ignored(self) -> list[str]:
        """Return the paths that were chosen."""
        return [path for paths in self.ignored.values() for path in paths]


@dataclass
class Decision:
    """The changes that carry out decisions, and the problems that prevent others.

    Attributes:
        pending: The pending recordings to accept. They are merged under a lock, so they are not file changes.
        changes: The other changes.
        problems: Why a decision is not carried out, by the id of the item.
    """

    pending: list[Path]
    changes: list[FileChange]
    problems: dict[str, str]


def decide(decisions: Decisions, items: Sequence[ReviewItem], facts: RunFacts | None, settings: Settings) -> Decision:
    """Return the changes that carry out the decisions.

    Args:
        decisions: The decisions, by the ids of the items.
        items: All items.
        facts: The facts about the last run. None if there are none.
        settings: The project's settings.
    """
    decision = Decision([], [], {})
    known = {item.id: item for item in items}
    snapshots: dict[Path, list[ChangedSnapshot]] = {}
    requests: list[ChangedRequest] = []
    for id_ in (*decisions.words, *decisions.ignored):
        if id_ not in known:
            decision.problems[id_] = (
                f"{id_}: there is no such item, or its file has changed\n  to list the items: multitrack review --json"
            )
    for id_, word in decisions.words.items():
        if (item := known.get(id_)) is None:
            continue
        if word not in item.decisions:
            decision.problems[id_] = f"{id_}: {_explain(word, item)}"
        elif isinstance(item.source, Path):
            if word == "accept":
                decision.pending.append(item.source)
            else:
                file = item.source.resolve()
                decision.changes.append(FileChange(file, file.read_bytes(), None))
        elif isinstance(item.source, ChangedSnapshot) and facts is not None:
            snapshots.setdefault(facts.root / item.source.file, []).append(item.source)
        elif isinstance(item.source, ChangedRequest):
            requests.append(item.source)
    decision.changes += [_update_snapshots(path, found) for path, found in snapshots.items()]
    paths_to_ignore: list[str] = []
    for id_, chosen in decisions.ignored.items():
        if (item := known.get(id_)) is None:
            continue
        if "ignore" not in item.decisions:
            decision.problems[id_] = f"{id_}: {_explain('ignore', item)}"
        elif unknown := [path for path in chosen if path not in item.paths]:
            decision.problems[id_] = (
                f"{id_}: {', '.join(unknown)} does not differ\n  these paths differ: {', '.join(item.paths)}"
            )
        else:
            paths_to_ignore += chosen or item.paths
    if paths_to_ignore and facts is not None:
        decision.changes.append(_ignore_in_project(facts.root / "pyproject.toml", paths_to_ignore))
    if requests and facts is not None:
        plan = rebind.plan_rebinding(replace(facts, misses=requests, audited=()), (), settings)
        merged = {paths.cassette_path(file).resolve() for file in decision.pending}
        for change in plan.changes:
            if change.path.resolve() in merged:
                shown = str(paths.relative_to_cwd(change.path))
                decision.problems[shown] = (
                    f"{shown}: its requests are not changed, because a pending recording is being accepted into it\n"
                    "  run the tests again: pytest"
                )
            else:
                decision.changes.append(change)
        decision.problems |= plan.problems
    return decision


def _ignore_in_project(pyproject: Path, wanted: Sequence[str]) -> FileChange:
    before = read_file(pyproject)
    after = toml_lists.add_to_list(pyproject, (before or b"").decode(), SNAPSHOT_IGNORE, wanted)
    return FileChange(pyproject, before, after.encode(), only_adds=True)


_NOT_IGNORABLE: dict[Kind, str] = {
    "pending recording": "a pending recording has no path to ignore\n  accept or reject it",
    "changed snapshot": "no argument differs, only whole calls, which have no path\n  change the code, or accept it",
    "changed request": "only paths of arguments in snapshots can be ignored here\n"
    "  to ignore a value in requests, add its JSON path to ignore in [tool.multitrack]",
    "drift": "drift has no path to ignore",
    "audit finding": "an audit finding has no path to ignore",
}


def _explain(word: str, item: ReviewItem) -> str:
    if word == "ignore":
        command = f"\n  run: {item.command}" if item.kind in ("drift", "audit finding") and item.command else ""
        return _NOT_IGNORABLE[item.kind] + command
    if word == "reject":
        return f"a {item.kind} cannot be rejected, because it has no pending recording\n  change the code, or accept it"
    if not item.command:
        return "the item cannot be accepted; multitrack review shows what to do"
    if item.is_outdated:
        return f"{_OUTDATED}\n  run: {item.command}"
    return f"a live request is necessary\n  run: {item.command}"


def _update_snapshots(path: Path, snapshots: Sequence[ChangedSnapshot]) -> FileChange:
    before = path.read_bytes() if path.exists() else None
    accepted = {snapshot.name: replace_note(snapshot.received, snapshot.note) for snapshot in snapshots}
    try:
        entries = {**read_entries(path), **accepted}
    except DamagedCallsFile as error:
        raise MultitrackError(str(error)) from None
    return FileChange(path, before, format_file(path, entries).encode())


# going through the items in a terminal

KEYS = "a accept · r reject · i ignore · s skip · A accept all like this · S skip all like this · q quit · ? help"
_HELP = (
    "a  accept the item",
    "r  reject the item: remove the pending recording",
    "i  ignore the path of a changed argument, in all snapshots of the project, from now on",
    "s  skip the item, and leave it unchanged",
    "A  accept this item and all with the same kind and title",
    "S  skip this item and all with the same kind and title",
    "q  quit: carry out the decisions so far, and leave everything else unchanged",
)


def go_through(
    items: Sequence[ReviewItem],
    read_key: Callable[[], str],
    show: Callable[[str], None],
    show_item: Callable[[ReviewItem, str], None] | None = None,
) -> Decisions:
    """Ask for a decision about each item.

    Args:
        items: The items.
        read_key: Waits for a key, and returns it. An empty string means the end of the input.
        show: Prints a line.
        show_item: Prints an item and its position (default: ``show`` the lines of ``format_item``).
    """
    decided = Decisions()
    for_all: dict[tuple[str, str], str] = {}
    for number, listed in enumerate(items, start=1):
        item = ignore_paths(listed, decided.list_ignored())
        if item is None:
            show("")
            show(f"{listed.id}  only {', '.join(listed.paths)} differs, which is ignored now")
        key = for_all.get((listed.kind, listed.title))
        while item is not None and key is None:
            position = f"{number} of {len(items)}"
            if show_item is not None:
                show_item(item, position)
            else:
                for line in format_item(item, position):
                    show(line)
            show(KEYS)
            if (key := _ask(item, read_key, show)) == "i" and (path := _ask_for_path(item.paths, read_key, show)):
                decided.ignored.setdefault(listed.id, []).append(path)
                item, key = ignore_paths(item, decided.list_ignored()), None
            elif key == "i":
                key = None
        if key == "q":
            break
        if key in ("A", "S"):
            for_all[listed.kind, listed.title] = key = key.lower()
        if item is None:
            continue
        if key == "a" and "accept" in item.decisions:
            decided.words[item.id] = "accept"
        elif key == "r":
            decided.words[item.id] = "reject"
    return decided


def _ask(item: ReviewItem, read_key: Callable[[], str], show: Callable[[str], None]) -> str:
    allowed = {"s", "S", "q", "?"}
    allowed |= {"a", "A"} if "accept" in item.decisions else set()
    allowed |= {"r"} if "reject" in item.decisions else set()
    allowed |= {"i"} if "ignore" in item.decisions else set()
    while (key := read_key()) not in allowed - {"?"}:
        if not key:
            return "q"
        if key == "?":
            for line in _HELP:
                show(line)
        elif key in "aAi":
            show(_explain("ignore" if key == "i" else "accept", item).replace("\n  ", "; "))
        elif key == "r":
            show("there is no pending recording to reject")
        else:
            show(KEYS)
    return key


def _ask_for_path(paths: Sequence[str], read_key: Callable[[], str], show: Callable[[str], None]) -> str:
    """Return the path to ignore. Empty if none was chosen."""
    if len(paths) == 1:
        return paths[0]
    offered = dict(zip("123456789", paths, strict=False))
    show(" · ".join(f"{key} {path}" for key, path in offered.items()) + " · any other key: none")
    return offered.get(read_key(), "")


def format_item(item: ReviewItem, position: str = "") -> Iterator[str]:
    """Yield the lines that show an item."""
    yield from _format_heading(item, position)
    yield from (f"    {line}" for line in item.lines)
    yield from _format_end(item)


def print_side_by_side(item: ReviewItem, position: str = "") -> None:
    """Print an item in a terminal, with the old and the new values next to each other, and in colour.

    Without rich, print the lines of ``format_item``. rich uses no colours if ``NO_COLOR`` is set.
    """
    try:
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        for line in format_item(item, position):
            echo(line)
        return

    def show(lines: Iterable[str], style: str = "") -> None:
        for line in lines:
            console.print(Text(escape_line(line), style), soft_wrap=True)

    console = Console(highlight=False)
    empty, heading, *tests = _format_heading(item, position)
    show([empty])
    show([heading], "bold")
    show(tests)
    if item.changes:
        table = Table("", "old", "new", box=box.SIMPLE_HEAD)
        for change in item.changes:
            sides = _style_words(escape_line(change.old or ""), escape_line(change.new or ""))
            cells = (
                Text("(absent)", "dim") if value is None else Text.assemble(*parts)
                for value, parts in zip((change.old, change.new), sides, strict=True)
            )
            table.add_row(Text(escape_line(change.field), "bold"), *cells)
        console.print(table)
    else:
        show(f"    {line}" for line in item.lines)
    show(item.request, "dim")
    if item.command:
        show([_format_command(item)], "cyan")


_WORD = re.compile(r"\w+|\s+|[^\w\s]")
_MAX_WORDS = 2_000


def _style_words(old: str, new: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return both values in parts, each with its style: the words that differ stand out."""
    before, after = _WORD.findall(old), _WORD.findall(new)
    sides: tuple[list[tuple[str, str]], list[tuple[str, str]]] = ([], [])
    if max(len(before), len(after)) > _MAX_WORDS:
        return [(old, "red")], [(new, "green")]
    for operation, start, end, new_start, new_end in SequenceMatcher(
        str.isspace, before, after, autojunk=False
    ).get_opcodes():
        mark = "" if operation == "equal" else "bold underline "
        sides[0].append(("".join(before[start:end]), f"{mark}red"))
        sides[1].append(("".join(after[new_start:new_end]), f"{mark}green"))
    return sides


def _format_heading(item: ReviewItem, position: str) -> Iterator[str]:
    where = f"  {item.file}" if item.file else ""
    yield ""
    yield f"{item.id}  {item.kind}{where}{f'  ({position})' if position else ''}"
    yield from (f"  {test}" for test in item.tests)


def _format_end(item: ReviewItem) -> Iterator[str]:
    yield from item.request
    if item.command:
        yield _format_command(item)


def _format_command(item: ReviewItem) -> str:
    return f"  {'to run the test again' if item.is_outdated else 'to settle it'}: {item.command}"
