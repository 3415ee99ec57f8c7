"""The syrupy extension that writes, reads, compares and shows calls in ``.calls`` files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from syrupy.data import Snapshot, SnapshotCollection, SnapshotCollections
from syrupy.exceptions import TaintedSnapshotError
from syrupy.location import PyTestLocation

from multitrack.snapshots import SUFFIX
from multitrack.snapshots.calls_file import (
    DamagedCallsFile,
    format_entry,
    merge_entries,
    read_entries,
    remove_entries,
)
from multitrack.snapshots.collected_calls import collect_calls
from multitrack.snapshots.comparison import CallComparison, MovedCall, UnchangedCall, compare_calls
from multitrack.snapshots.comparison_options import ComparisonOptions
from multitrack.snapshots.conversion import unchanged_text
from multitrack.snapshots.expressions import RedactText, SnapshotCall, canonical_text
from multitrack.snapshots.parsing import UnreadableCalls, parse_calls
from multitrack.snapshots.rendering import render_comparison
from multitrack.snapshots.run_outcomes import RunOutcomes, get_run_outcomes
from multitrack.snapshots.syrupy_internals import StoredExtension, locate_test


class RejectedCalls(TypeError):
    """The snapshot cannot be updated, because the ``match``, ``only`` or ``never`` option rejects a received call.

    ``text`` is the entry that would have been written.
    """

    def __init__(self, reasons: Iterable[object], text: str) -> None:
        super().__init__("\n".join(f"{reason}, so the snapshot cannot be updated" for reason in reasons))
        self.text = text


class CallsExtension(StoredExtension):
    """The syrupy extension for one assertion.

    Attributes:
        redact_text: The function that redacts every string in a value.
        options: The options of the current comparison.
        is_update: Whether the run updates snapshots. If true, an entry with equal calls counts as changed if its
            text would change.
        updated_entry: The new text of the entry that was compared last. Numbers and strings that count as equal keep
            their stored form.
    """

    file_extension = SUFFIX

    def __init__(self, *, redact_text: RedactText = unchanged_text) -> None:
        self.redact_text = redact_text
        self.options = ComparisonOptions()
        self.is_update = False
        self.updated_entry: str | None = None

    def serialize(self, data: object, *, exclude: Any = None, include: Any = None, matcher: Any = None) -> str:
        """Return ``data`` as the text of a snapshot entry.

        Ignores ``exclude``, ``include`` and ``matcher``: syrupy passes them to every extension, but users of
        ``CallsSnapshot`` cannot set them.

        Raises:
            UnwritableValue: The data is not an iterable of calls, or contains a value that cannot be written.
            RejectedCalls: The ``match``, ``only`` or ``never`` option rejects a call.
        """
        del exclude, include, matcher
        self.updated_entry = None
        collected = collect_calls(data, self.options, redact_text=self.redact_text)
        text = format_entry(collected.calls, ordered=self.options.ordered)
        restrictions = dict.fromkeys(self.options.find_restriction(call.name) for call in collected.calls)
        reasons = [*(f"{option} forbids a received call" for option in restrictions if option), *collected.rejected]
        if reasons:
            raise RejectedCalls(reasons, text)
        return text

    def matches(self, *, serialized_data: Any, snapshot_data: Any) -> bool:
        stored = parse_calls(snapshot_data)
        comparison = self._compare(serialized_data, stored)
        received = dict(enumerate(parse_calls(serialized_data)))
        same: list[UnchangedCall | MovedCall] = [*comparison.unchanged, *comparison.moved]
        for pair in same:
            received[pair.new] = self.options.choose_stored(stored[pair.old], received[pair.new])
        additional = {entry.new for entry in comparison.others}
        # a call that the ``subset`` option accepts is not added, unless the entry would otherwise have no call at all
        updated = [call for new, call in received.items() if new not in additional] or [*received.values()]
        self.updated_entry = format_entry(updated, ordered=self.options.ordered)
        is_stale = sorted(map(canonical_text, updated)) != sorted(map(canonical_text, stored))
        return comparison.is_same and not (self.is_update and is_stale)

    def diff_lines(self, serialized_data: Any, snapshot_data: Any) -> Iterator[str]:
        stored = parse_calls(snapshot_data)
        comparison = self._compare(serialized_data, stored)
        if not stored:  # there is no snapshot yet, and the reader wants to see what it will contain
            comparison = replace(comparison, added=comparison.added + comparison.others, others=())
        return iter(render_comparison(comparison))

    def _compare(self, received: str, stored: tuple[SnapshotCall, ...]) -> CallComparison:
        expected = [self.options.replace_values(call) for call in stored]
        return compare_calls(expected, parse_calls(received), options=self.options)

    def read_snapshot_data_from_location(
        self, *, snapshot_location: str, snapshot_name: str, session_id: str
    ) -> str | None:
        del session_id  # syrupy uses it as the key of a cache; our files are small and are read each time
        text = read_entries(Path(snapshot_location)).get(snapshot_name)
        if text is not None and find_fault(text):
            raise TaintedSnapshotError(snapshot_data=text)  # fails the test, and lets an update overwrite the entry
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

    @classmethod
    def write_snapshot(cls, **arguments: Any) -> None:
        try:
            super().write_snapshot(**arguments)
        except OSError as error:
            # syrupy writes at the end of the run, where pytest reports any other exception as an internal error
            raise pytest.exit.Exception(
                f"multitrack: {arguments.get('snapshot_location')}: the snapshots were not written: {error.strerror}\n"
                f"  make the file writable, then run the same command again",
                returncode=pytest.ExitCode.TESTS_FAILED,
            ) from error

    def delete_snapshots(self, *, snapshot_location: str, snapshot_names: set[str]) -> None:
        remove_entries(Path(snapshot_location), snapshot_names)

    def discover_snapshots(
        self, *, test_location: PyTestLocation, ignore_extensions: list[str] | None = None
    ) -> SnapshotCollections:
        """Return the ``.calls`` files in the folder of the test. syrupy may delete any file that this method returns.

        After the run, syrupy also deletes the unused entries of the returned files. When the run is finished, this
        method therefore leaves out unused entries that a later run could need.
        """
        del ignore_extensions  # syrupy's list contains our own file extension, see `run_outcomes.register`
        config = test_location.item.config
        outcomes, is_last_failed = get_run_outcomes(config), config.getoption("lf", default=False)
        discovered = SnapshotCollections()
        for path in sorted(Path(self.dirname(test_location=test_location)).glob(f"*.{SUFFIX}")):
            try:
                collection = self.read_snapshot_collection(snapshot_location=str(path))
            except DamagedCallsFile:
                continue  # each test that reads the file reports the damage; syrupy does not touch an undiscovered file
            if outcomes.is_finished:
                module = Path(test_location.filepath).with_name(f"{path.stem}.py")
                items = outcomes.collected.get(module, [])
                # --lf removes tests before the hook that counts the collected ones
                are_all_known = not is_last_failed and (bool(items) or not module.exists())
                _keep_only_unused(collection, items, outcomes, are_all_known=are_all_known)
            if collection.has_snapshots:
                discovered.add(collection)
        return discovered


def find_fault(text: str) -> str:
    """Return why a stored entry cannot be parsed, or an empty string if it can be parsed."""
    try:
        parse_calls(text)
    except UnreadableCalls as error:
        return str(error)
    return ""


def _keep_only_unused(
    collection: SnapshotCollection, items: list[pytest.Function], outcomes: RunOutcomes, *, are_all_known: bool
) -> None:
    """Remove from ``collection`` the entries that a later run could need. syrupy can delete only what remains.

    A later run could need the entries of tests that did not pass. If not all tests are known, it could also need the
    entries without a test.
    """
    names = [(locate_test(item).snapshot_name, outcomes.has_passed(item.nodeid)) for item in items]
    for snapshot in list(collection):
        passed = [has_passed for name, has_passed in names if _is_snapshot_of(snapshot.name, name)]
        if not all(passed or [are_all_known]):
            collection.remove(snapshot.name)


def _is_snapshot_of(snapshot: str, test: str) -> bool:
    """Return whether ``snapshot`` is the name of a snapshot of ``test``: ``test``, ``test.1`` or ``test[name]``."""
    return snapshot.startswith(test) and re.fullmatch(r"|\.\d+|\[.*\]", snapshot[len(test) :], re.S) is not None
