"""``assert extraction == calls_snapshot``: compare calls with a syrupy snapshot."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, Unpack

import pytest
from syrupy.assertion import DiffMode, SnapshotAssertion
from syrupy.exceptions import SnapshotDoesNotExist, TaintedSnapshotError

from multitrack.errors import BadOption
from multitrack.repetitions import get_unrepeated_nodeid
from multitrack.snapshots.calls_extension import CallsExtension, RejectedCalls, find_fault
from multitrack.snapshots.calls_file import DamagedCallsFile, MakeNote, replace_note
from multitrack.snapshots.comparison_options import ComparisonKeywords, ComparisonOptions
from multitrack.snapshots.conversion import UnwritableValue, unchanged_text
from multitrack.snapshots.expressions import RedactText
from multitrack.snapshots.run_outcomes import RunOutcomes, get_run_outcomes
from multitrack.snapshots.syrupy_internals import get_syrupy_session, locate_test

if TYPE_CHECKING:
    from syrupy.location import PyTestLocation
    from syrupy.session import SnapshotSession
    from syrupy.types import SnapshotIndex


class SnapshotDifference(NamedTuple):
    """A difference that a test found between its snapshot and the received calls."""

    file: Path
    name: str
    """The name of the entry in the file."""
    received: str
    """The entry that an update would write, without its note."""
    lines: Sequence[str]
    """The lines that show the difference."""
    note: str
    """The comment that an update would write below the entry."""


NoteChange: TypeAlias = Callable[[SnapshotDifference], None]


def make_calls_snapshot(
    request: pytest.FixtureRequest,
    *,
    redact_text: RedactText = unchanged_text,
    record: bool = False,
    ignored_paths: Sequence[str] = (),
    make_note: MakeNote = str,
    update_command: str | None = None,
    accept_command: Callable[[], str] | None = None,
    note_change: NoteChange | None = None,
) -> CallsSnapshot:
    """Return the value of the ``calls_snapshot`` fixture for one test. Fail the test if syrupy's plugin is not active.

    Args:
        request: The fixture's request.
        redact_text: A function that is applied to every string in a value before it is compared or written.
        record: Whether to write missing snapshots if the test passes, and to update the notes of existing snapshots.
            A changed snapshot still requires ``--snapshot-update``.
        ignored_paths: Paths of values that are not compared, in addition to those in the ``ignore`` option.
        make_note: Returns the comment to write below an entry.
        update_command: The command that writes the snapshot, to show in messages.
        accept_command: Returns the command that stores the received calls as the snapshot (default: the
            ``update_command``).
        note_change: Called with each difference before it is reported.
    """
    return CallsSnapshot(
        session=get_syrupy_session(request.config),
        item=request.node,
        outcomes=get_run_outcomes(request.config),
        redact_text=redact_text,
        record=record,
        ignored_paths=ignored_paths,
        make_note=make_note,
        update_command=update_command
        or shlex.join(["pytest", "--snapshot-update", get_unrepeated_nodeid(request.node)]),
        accept_command=accept_command,
        note_change=note_change,
    )


class CallsSnapshot(SnapshotAssertion):
    """The expected calls of a test. The snapshot is equal to an iterable with the same calls.

    By default, the order of the calls does not matter.

    ``calls_snapshot(name="x", ordered=True)`` sets options for the next comparison, as syrupy's ``snapshot`` does;
    ``calls_snapshot.with_defaults(ignore="*.created_at")`` sets them for all comparisons.
    """

    def __init__(
        self,
        *,
        session: SnapshotSession,
        item: pytest.Item,
        outcomes: RunOutcomes,
        redact_text: RedactText = unchanged_text,
        record: bool = False,
        ignored_paths: Sequence[str] = (),
        make_note: MakeNote = str,
        update_command: str = "pytest --snapshot-update",
        accept_command: Callable[[], str] | None = None,
        note_change: NoteChange | None = None,
        **defaults: Unpack[ComparisonKeywords],
    ) -> None:
        option = session.pytest_session.config.option
        self._arguments: dict[str, Any] = {
            "session": session,
            "item": item,
            "outcomes": outcomes,
            "redact_text": redact_text,
            "record": record,
            "ignored_paths": ignored_paths,
            "make_note": make_note,
            "update_command": update_command,
            "accept_command": accept_command,
            "note_change": note_change,
        }
        self._note_change = note_change
        self._make_note = make_note
        self._update_command = update_command
        self._accept_command = accept_command
        self._ignored_paths = ignored_paths
        self._defaults = defaults
        self._calls_extension = CallsExtension(redact_text=redact_text)
        self._next_options = self._make_options()
        self._is_creating = record or bool(getattr(option, "update_new_snapshots_only", False))
        writes = self._writes = _SnapshotWrites(session, self, make_note)
        if record:
            outcomes.add_pending(item.nodeid, writes)
            writes.is_deferred = True
        super().__init__(
            session=writes,  # type: ignore[arg-type]
            extension_class=CallsExtension,
            test_location=locate_test(item),
            update_snapshots=bool(option.update_snapshots),
        )

    @property
    def extension(self) -> CallsExtension:
        return self._calls_extension

    def __call__(  # type: ignore[override]
        self, *, name: SnapshotIndex | None = None, **options: Unpack[ComparisonKeywords]
    ) -> CallsSnapshot:
        if isinstance(name, str) and name.splitlines() not in ([name], []):
            raise BadOption(f"calls_snapshot: a name must be one line, not {name!r}")
        self._next_options = self._make_options(**options)
        super().__call__(name=name)
        return self

    def __eq__(self, other: object) -> bool:
        updates = self.update_snapshots
        # the extension keeps the options for ``get_assert_diff``, which pytest calls later
        self._calls_extension.options, self._next_options = self._next_options, self._make_options()
        self._calls_extension.is_update = updates
        try:
            is_same = super().__eq__(other)
        finally:
            self.update_snapshots = updates
        if is_same:
            self._writes.refresh_note()
        return is_same

    def with_defaults(self, **options: Unpack[ComparisonKeywords]) -> CallsSnapshot:  # type: ignore[override]
        """Return a snapshot whose comparisons use these options by default."""
        defaults: Any = {**self._defaults, **options}
        return type(self)(**self._arguments, **defaults)

    def _make_options(self, **options: Unpack[ComparisonKeywords]) -> ComparisonOptions:
        given = ComparisonOptions("calls_snapshot", **{**self._defaults, **options})
        return given.ignoring(self._ignored_paths) if self._ignored_paths else given

    def allow_creation(self) -> None:
        """Allow the current comparison to write its missing snapshot, if the run writes new snapshots."""
        if self._is_creating:
            self.update_snapshots = True

    @property
    def is_missing(self) -> bool:
        """True if the last comparison had no snapshot to compare with."""
        result = self.executions[self.num_executions - 1]
        is_readable = result.exception is None or isinstance(result.exception, SnapshotDoesNotExist)
        return is_readable and result.recalled_data is None

    def get_assert_diff(self, *, diff_mode: DiffMode = DiffMode.DETAILED) -> list[str]:
        """Return the lines that pytest shows: syrupy's lines, and the command that accepts the calls."""
        result = self.executions[self.num_executions - 1]
        if isinstance(result.exception, (UnwritableValue, DamagedCallsFile)):
            return f"{result.exception}".splitlines()
        if isinstance(result.exception, RejectedCalls):
            stored = result.recalled_data or ""
            diff = self._calls_extension.diff_lines(result.exception.text, stored)
            return [*f"{result.exception}".splitlines(), *diff]
        if isinstance(result.exception, TaintedSnapshotError):
            location = f"{result.snapshot_location}, in {result.snapshot_name!r}"
            lines = [f"{location}, {find_fault(str(result.recalled_data))}"]
        else:
            lines = super().get_assert_diff(diff_mode=diff_mode)
        accept = self._accept_command
        command = self._update_command if accept is None or self.is_missing else accept()
        if self._note_change is not None:
            received = self._calls_extension.updated_entry or str(result.asserted_data)
            location, name = str(result.snapshot_location), str(result.snapshot_name)
            self._note_change(SnapshotDifference(Path(location), name, received, lines, self._make_note()))
        return [*lines, f"to {'write it' if self.is_missing else 'accept'}: {command}"]


class _SnapshotWrites:
    """A wrapper around syrupy's session for one assertion, which can defer writes until the test has passed.

    Attributes:
        is_deferred: Whether writes wait for ``write`` or ``discard``.
    """

    def __init__(self, session: SnapshotSession, snapshot: CallsSnapshot, make_note: MakeNote) -> None:
        self.is_deferred = False
        self._session = session
        self._snapshot = snapshot
        self._make_note = make_note
        self._last_recalled: dict[str, Any] | None = None
        self._pending: dict[SnapshotIndex, dict[str, Any]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def recall_snapshot(self, extension: CallsExtension, test_location: PyTestLocation, index: SnapshotIndex) -> Any:
        self._last_recalled = None
        if index in self._pending:
            return self._pending[index]["data"]
        try:
            text = self._session.recall_snapshot(extension, test_location, index)
        except SnapshotDoesNotExist:
            self._snapshot.allow_creation()
            raise
        self._last_recalled = {"extension": extension, "test_location": test_location, "index": index, "data": text}
        return text

    def queue_snapshot_write(self, **write: Any) -> None:
        self._last_recalled = None
        write["data"] = replace_note(self._snapshot.extension.updated_entry or write["data"], self._make_note())
        self._write_or_defer(write)

    def refresh_note(self) -> None:
        """While recording, update the note of the entry that was compared last."""
        if self.is_deferred and self._last_recalled and (note := self._make_note()):
            text = replace_note(self._last_recalled["data"], note)
            if text != self._last_recalled["data"]:
                self._write_or_defer({**self._last_recalled, "data": text})

    def _write_or_defer(self, write: dict[str, Any]) -> None:
        if self.is_deferred:
            self._pending[write["index"]] = write
        else:
            self._session.queue_snapshot_write(**write)

    def write(self) -> None:
        for write in self._pending.values():
            self._session.queue_snapshot_write(**write)
        self._pending.clear()

    def discard(self) -> None:
        """Discard the pending writes and their results. Otherwise, syrupy's report would count them as generated."""
        self._pending.clear()
        executions = self._snapshot.executions
        for number in [number for number, result in executions.items() if result.created or result.updated]:
            del executions[number]
