"""The plugin's fixtures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from pytest_multitrack import flags
from pytest_multitrack.run_state import ItemState, RunState, list_tapes

if TYPE_CHECKING:
    from multitrack.snapshots.calls_snapshot import CallsSnapshot, SnapshotDifference
    from multitrack.tape.tape import Tape


@pytest.fixture
def tape(request: pytest.FixtureRequest) -> Tape:
    """The test's open tape. A test with this fixture uses a cassette, as if it had the ``cassette`` marker."""
    item_tape = ItemState.of(request.node).tape
    if item_tape is None:
        pytest.fail(
            "no cassette is open: add 'tape' to the arguments of the test, or mark the test with @pytest.mark.cassette",
            pytrace=False,
        )
    return item_tape.tape


@pytest.fixture
def cassette_options() -> dict[str, Any]:
    """The cassette options of all tests that can see this fixture.

    Override this fixture, with any scope, in a ``conftest.py``, a module or a class.
    """
    return {}


@pytest.fixture
def _cassette_options_applied(request: pytest.FixtureRequest) -> None:
    state = ItemState.of(request.node)
    if state.tape is not None:
        from pytest_multitrack.item_tape import apply_fixture_options

        apply_fixture_options(state.tape, request)


@pytest.fixture
def _network_block(request: pytest.FixtureRequest) -> Iterator[None]:
    from pytest_multitrack import network_blocking
    from pytest_multitrack.item_tape import fail_without_traceback

    with ExitStack() as stack:
        with fail_without_traceback():
            stack.enter_context(network_blocking.block(request))
        yield


@pytest.fixture
def calls_snapshot(request: pytest.FixtureRequest) -> Iterator[CallsSnapshot]:
    """The stored tool calls of this test, for ``assert extraction == calls_snapshot``.

    The order of the calls is ignored unless ``calls_snapshot(ordered=True)`` is used.
    """
    try:
        from multitrack.errors import BadOption
        from multitrack.snapshots.calls_snapshot import make_calls_snapshot
        from multitrack.tape.project import SNAPSHOT_IGNORE
        from multitrack.tape.recording_scope import redact_with_tapes
        from pytest_multitrack import cassette_paths, commands, failure_diagnosis, uncovered_requests
    except ImportError as error:
        from multitrack.installation import find_install_command

        pytest.fail(
            f"calls_snapshot requires {error.name}, which is not installed; run: {find_install_command('test')}",
            pytrace=False,
        )
    # for pytest-xdist workers, and for a test that requests the fixture by its name at run time
    if refused := flags.find_refused_write(request.config, updates=True):
        pytest.fail(f"{refused} ({request.node.nodeid} uses calls_snapshot)", pytrace=False)
    item_tape, tapes = ItemState.of(request.node).tape, partial(list_tapes, request.node)
    try:
        snapshot = make_calls_snapshot(
            request,
            redact_text=lambda text: redact_with_tapes(text, tapes()),
            ignored_paths=cassette_paths.load_project(request.config).snapshot_ignore,
            record=item_tape is not None and item_tape.tape.mode in ("record", "record-missing"),
            update_command=commands.pytest_command(request.node, "--snapshot-update"),
            accept_command=lambda: commands.accept_command(request.node, tapes()),
            make_note=lambda: failure_diagnosis.format_fingerprints(request.config, tapes()),
            note_change=partial(_note_change, request.node),
        )
    except BadOption as error:  # the only options so far are those in pyproject.toml
        pytest.fail(f"pyproject.toml: [tool.multitrack] {SNAPSHOT_IGNORE}: {error}", pytrace=False)
    with uncovered_requests.refuse(request, RunState.of(request.config).context.scope):
        yield snapshot


def _note_change(item: pytest.Item, found: SnapshotDifference) -> None:
    from multitrack.run_facts import ChangedSnapshot
    from multitrack.snapshots.calls_file import read_entries
    from multitrack.tape.file import paths
    from pytest_multitrack import pytest_internals

    run = RunState.of(item.config)
    changed = ChangedSnapshot(
        test=pytest_internals.get_test_name(item),
        file=paths.relative_to(found.file, item.config.rootpath),
        name=found.name,
        # if somebody has written a secret into the snapshot, `multitrack review` asks to run the test again
        stored=run.output.redact_text(read_entries(found.file).get(found.name, "")),
        received=found.received,
        message=run.output.redact_text("\n".join(found.lines)),
        note=found.note,
    )
    run.summary.snapshots.append(asdict(changed))
