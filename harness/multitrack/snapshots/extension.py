"""``assert extraction == calls_snapshot``: parsed calls as syrupy snapshots, in a file of their own."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import pytest
from syrupy.assertion import DiffMode, SnapshotAssertion
from syrupy.data import Snapshot, SnapshotCollection, SnapshotCollections
from syrupy.exceptions import SnapshotDoesNotExist, TaintedSnapshotError
from syrupy.location import PyTestLocation

from multitrack.errors import BadOption
from multitrack.snapshots import SUFFIX
from multitrack.snapshots.calls import gather
from multitrack.snapshots.callsfile import (
    DamagedCallsFile,
    Note,
    entry_text,
    merge_entries,
    noted,
    read_entries,
    remove_entries,
)
from multitrack.snapshots.comparison import Comparison, Moved, Unchanged, compare
from multitrack.snapshots.literals import Call, Scrub, UnwritableValue, canonical, unchanged_text
from multitrack.snapshots.outcomes import Outcomes, outcomes_of
from multitrack.snapshots.reading import UnreadableCalls, read_calls
from multitrack.snapshots.rendering import render
from multitrack.snapshots.syrupy_internals import StoredExtension, syrupy_session
from multitrack.snapshots.terms import Options, Refused, Terms

if TYPE_CHECKING:
    from syrupy.session import SnapshotSession
    from syrupy.types import SnapshotIndex


def snapshot_for(
    request: pytest.FixtureRequest, *, scrub: Scrub = unchanged_text, record: bool = False, note: Note = str
) -> CallsSnapshot:
    """What the fixture ``calls_snapshot`` of one test gives.

    Every text in a value passes through ``scrub`` before it is compared or written. With ``record``, a snapshot that
    does not exist yet is written if the test passes; one that changed still needs ``--snapshot-update``.
    ``note`` gives the comment that is written below an entry; while recording, it is written anew.
    Fails the test where syrupy's plugin is not active.
    """
    return CallsSnapshot(
        session=syrupy_session(request.config),
        item=request.node,
        outcomes=outcomes_of(request.config),
        scrub=scrub,
        record=record,
        note=note,
    )


class UnmatchedValues(TypeError):
    """Values do not fit what was said to ``match`` them, so that no snapshot can hold them.

    ``text`` is the entry with these values in it as they are.
    """

    def __init__(self, refused: tuple[Refused, ...], text: str) -> None:
        super().__init__("\n".join(f"{error}, which no update accepts" for error in refused))
        self.text = text


class CallsSnapshot(SnapshotAssertion):
    """Equal to an iterable of calls if they are those of the snapshot; the order counts only if asked for.

    ``calls_snapshot(name="x", ordered=True)`` sets options for the next comparison, as syrupy's ``snapshot`` does;
    ``calls_snapshot.with_defaults(ignore="*.created_at")`` has them for all comparisons.
    """

    def __init__(
        self,
        *,
        session: SnapshotSession,
        item: pytest.Item,
        outcomes: Outcomes,
        scrub: Scrub = unchanged_text,
        record: bool = False,
        note: Note = str,
        **defaults: Unpack[Options],
    ) -> None:
        option = session.pytest_session.config.option
        self._given: dict[str, Any] = {
            "session": session,
            "item": item,
            "outcomes": outcomes,
            "scrub": scrub,
            "record": record,
            "note": note,
        }
        self._defaults = defaults
        self._calls = CallsExtension(scrub=scrub)
        self._next = self._terms()
        self._creates = record or bool(getattr(option, "update_new_snapshots_only", False))
        writes = self._writes = _Writes(session, self, note)
        if record:
            outcomes.hold(item.nodeid, writes)
            writes.held = True
        super().__init__(
            session=writes,  # type: ignore[arg-type]
            extension_class=CallsExtension,
            test_location=PyTestLocation(item),
            update_snapshots=bool(option.update_snapshots),
        )

    @property
    def extension(self) -> CallsExtension:
        return self._calls

    def __call__(  # type: ignore[override]
        self, *, name: SnapshotIndex | None = None, **options: Unpack[Options]
    ) -> CallsSnapshot:
        if isinstance(name, str) and name.splitlines() not in ([name], []):
            raise BadOption(f"calls_snapshot: a name is one line, not {name!r}")
        self._next = self._terms(**options)
        super().__call__(name=name)
        return self

    def __eq__(self, other: object) -> bool:
        updates = self.update_snapshots
        # stays for `get_assert_diff`, which pytest calls later
        self._calls.terms, self._next = self._next, self._terms()
        self._calls.refreshes = updates
        try:
            same = super().__eq__(other)
        finally:
            self.update_snapshots = updates
        if same:
            self._writes.refresh_note()
        return same

    def with_defaults(self, **options: Unpack[Options]) -> CallsSnapshot:  # type: ignore[override]
        """Another one, with these options where no others are given."""
        defaults: Any = {**self._defaults, **options}
        return type(self)(**self._given, **defaults)

    def _terms(self, **options: Unpack[Options]) -> Terms:
        return Terms("calls_snapshot", **{**self._defaults, **options})

    def create(self) -> None:
        """Let the comparison under way write its snapshot, which does not exist, where that was asked for."""
        if self._creates:
            self.update_snapshots = True

    def get_assert_diff(self, *, diff_mode: DiffMode = DiffMode.DETAILED) -> list[str]:
        """The lines that pytest shows: syrupy's, and what to run to accept the calls."""
        result = self.executions[self.num_executions - 1]
        if isinstance(result.exception, (UnwritableValue, DamagedCallsFile)):
            return f"{result.exception}".splitlines()
        if isinstance(result.exception, UnmatchedValues):
            stored = result.recalled_data or ""
            return [*f"{result.exception}".splitlines(), *self._calls.diff_lines(result.exception.text, stored)]
        if isinstance(result.exception, TaintedSnapshotError):
            where = f"{result.snapshot_location}, in {result.snapshot_name!r}"
            lines = [f"{where}, {_fault(str(result.recalled_data))}"]
        else:
            lines = super().get_assert_diff(diff_mode=diff_mode)
        command = shlex.join(["pytest", "--snapshot-update", self.test_location.nodeid])
        return [*lines, f"to accept: {command}"]


class CallsExtension(StoredExtension):
    """How calls are written, read, compared and shown.

    ``terms`` are set for one comparison at a time; with ``refreshes``, an entry that is the same on these terms and
    would be written otherwise is not taken as it is.
    """

    file_extension = SUFFIX

    def __init__(self, *, scrub: Scrub = unchanged_text) -> None:
        self.scrub = scrub
        self.terms = Terms()
        self.refreshes = False
        self.settled: str | None = None
        """What to write over the entry that was compared last: what stays the same on the terms stays as it was."""

    def serialize(self, data: object, *, exclude: Any = None, include: Any = None, matcher: Any = None) -> str:
        """The text of an entry. Raises `UnwritableValue`, a `TypeError`, for what is no iterable of calls, and
        `UnmatchedValues`.

        syrupy always hands a ``matcher`` over; `CallsSnapshot` lets nobody set one, nor the two filters.
        """
        del exclude, include, matcher
        self.settled = None
        gathered = gather(data, self.terms, scrub=self.scrub)
        text = entry_text(gathered.calls, ordered=self.terms.ordered)
        if gathered.refused:
            raise UnmatchedValues(gathered.refused, text)
        return text

    def matches(self, *, serialized_data: Any, snapshot_data: Any) -> bool:
        stored = read_calls(snapshot_data)
        comparison = self._compare(serialized_data, stored)
        settled = [*read_calls(serialized_data)]
        same: list[Unchanged | Moved] = [*comparison.unchanged, *comparison.moved]
        for pair in same:
            settled[pair.new] = self.terms.kept(stored[pair.old], settled[pair.new])
        self.settled = entry_text(settled, ordered=self.terms.ordered)
        stale = sorted(map(canonical, settled)) != sorted(map(canonical, stored))
        return comparison.same and not (self.refreshes and stale)

    def diff_lines(self, serialized_data: Any, snapshot_data: Any) -> Iterator[str]:
        return iter(render(self._compare(serialized_data, read_calls(snapshot_data))))

    def _compare(self, received: str, stored: tuple[Call, ...]) -> Comparison:
        return compare([self.terms.stored(call) for call in stored], read_calls(received), terms=self.terms)

    def read_snapshot_data_from_location(
        self, *, snapshot_location: str, snapshot_name: str, session_id: str
    ) -> str | None:
        del session_id  # the file is read anew each time; it is small
        text = read_entries(Path(snapshot_location)).get(snapshot_name)
        if text is not None and _fault(text):
            raise TaintedSnapshotError(snapshot_data=text)  # fails, and may be written over by an update
        return text

    def read_snapshot_collection(self, *, snapshot_location: str) -> SnapshotCollection:
        collection = SnapshotCollection(location=snapshot_location)
        for name, text in read_entries(Path(snapshot_location)).items():
            collection.add(Snapshot(name=name, data=text))
        return collection

    @classmethod
    def write_snapshot_collection(
        cls, *, snapshot_collection: SnapshotCollection, name_order: dict[str, int] | None = None
    ) -> None:
        del name_order  # entries are always sorted by name
        entries = {snapshot.name: str(snapshot.data) for snapshot in snapshot_collection}
        merge_entries(Path(snapshot_collection.location), entries)

    def delete_snapshots(self, *, snapshot_location: str, snapshot_names: set[str]) -> None:
        remove_entries(Path(snapshot_location), snapshot_names)

    def discover_snapshots(
        self, *, test_location: PyTestLocation, ignore_extensions: list[str] | None = None
    ) -> SnapshotCollections:
        """Our files beside a test, and no others: what an extension discovers, syrupy may delete.

        Once the run is over, only those entries that it proved to be unused unless they were used.
        """
        del ignore_extensions  # holds our own ending, to keep other extensions off
        config = test_location.item.config
        outcomes, last_failed = outcomes_of(config), config.getoption("lf", default=False)
        discovered = SnapshotCollections()
        for path in sorted(Path(self.dirname(test_location=test_location)).glob(f"*.{SUFFIX}")):
            try:
                collection = self.read_snapshot_collection(snapshot_location=str(path))
            except DamagedCallsFile:
                continue  # reported by each test that reads it; unknown to syrupy, so left as it is
            if outcomes.finished:
                module = Path(test_location.filepath).with_name(f"{path.stem}.py")
                items = outcomes.collected.get(module, [])
                # --lf drops tests before anyone can see them collected
                all_known = not last_failed and (bool(items) or not module.exists())
                _keep_unproven(collection, items, outcomes, all_known=all_known)
            if collection.has_snapshots:
                discovered.add(collection)
        return discovered


def _fault(text: str) -> str:
    """Why a stored entry cannot be read, empty if it can be."""
    try:
        read_calls(text)
    except UnreadableCalls as error:
        return str(error)
    return ""


def _keep_unproven(
    collection: SnapshotCollection, items: list[pytest.Function], outcomes: Outcomes, *, all_known: bool
) -> None:
    """Take out the entries of tests that did not pass, and those of no test unless all tests are known."""
    names = [(PyTestLocation(item).snapshot_name, outcomes.proven(item.nodeid)) for item in items]
    for snapshot in list(collection):
        owners = [proven for name, proven in names if _is_of(snapshot.name, name)]
        if not all(owners or [all_known]):
            collection.remove(snapshot.name)


def _is_of(snapshot: str, test: str) -> bool:
    """Whether a test writes snapshots of that name: ``test``, ``test.1``, ``test[name]``."""
    return snapshot.startswith(test) and re.fullmatch(r"|\.\d+|\[.*\]", snapshot[len(test) :], re.S) is not None


class _Writes:
    """Stands between one assertion and syrupy's session, and holds new snapshots until the test has passed."""

    def __init__(self, session: SnapshotSession, snapshot: CallsSnapshot, note: Note) -> None:
        self.held = False
        self._session = session
        self._snapshot = snapshot
        self._note = note
        self._recalled: dict[str, Any] | None = None
        self._waiting: dict[SnapshotIndex, dict[str, Any]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def recall_snapshot(self, extension: CallsExtension, test_location: PyTestLocation, index: SnapshotIndex) -> Any:
        self._recalled = None
        if index in self._waiting:
            return self._waiting[index]["data"]
        try:
            text = self._session.recall_snapshot(extension, test_location, index)
            self._recalled = {"extension": extension, "test_location": test_location, "index": index, "data": text}
            return text
        except SnapshotDoesNotExist:
            self._snapshot.create()
            raise

    def queue_snapshot_write(self, **write: Any) -> None:
        self._recalled = None
        write["data"] = noted(self._snapshot.extension.settled or write["data"], self._note())
        self._write(write)

    def refresh_note(self) -> None:
        """Write the entry that was compared last with the note of now, if this is a recording and it has another."""
        if self.held and self._recalled and (note := self._note()):
            text = noted(self._recalled["data"], note)
            if text != self._recalled["data"]:
                self._write({**self._recalled, "data": text})

    def _write(self, write: dict[str, Any]) -> None:
        if self.held:
            self._waiting[write["index"]] = write
        else:
            self._session.queue_snapshot_write(**write)

    def write(self) -> None:
        for write in self._waiting.values():
            self._session.queue_snapshot_write(**write)
        self._waiting.clear()

    def drop(self) -> None:
        """Forget what waits, also in the counts of syrupy's report: it would call them generated."""
        self._waiting.clear()
        executions = self._snapshot.executions
        for number in [number for number, result in executions.items() if result.created or result.updated]:
            del executions[number]
