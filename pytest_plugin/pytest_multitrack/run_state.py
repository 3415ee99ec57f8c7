"""The data that the hooks share: one object for the run, stored in pytest's config, and one object for each test."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from multitrack.errors import TapeViolation
    from multitrack.tape.run_context import RunContext
    from multitrack.tape.tape import Tape
    from pytest_multitrack.failure_diagnosis import PhaseFailure
    from pytest_multitrack.fixture_tape import FixtureTape
    from pytest_multitrack.item_tape import ItemTape
    from pytest_multitrack.output_hooks import OutputHooks
    from pytest_multitrack.run_summary import RunSummary
    from pytest_multitrack.violation_guard import ViolationGuard


class RunState:
    """The data of a pytest run.

    Attributes:
        context: The defaults for tapes, and the results of closed tapes.
        has_deselected: Whether tests were deselected.
        workers: The pytest-xdist workers, in the controller.
        latest_tape: The tape of the latest test that uses a cassette. None if there was none yet.
        fixture_tapes: The tapes of wider-scoped fixtures, in the order of their setup.
        output: Removes the run's secrets from all output.
        comparison: The two operands of the latest failed ``assert a == b`` in the running test, if any.
    """

    def __init__(self, context: RunContext, output: OutputHooks) -> None:
        self.context = context
        self.output = output
        self.has_deselected = False
        self.workers: list[Any] = []
        self.latest_tape: ItemTape | None = None
        self.fixture_tapes: dict[pytest.FixtureDef[object], FixtureTape] = {}
        self.comparison: tuple[object, object] | None = None
        self._latest_item: pytest.Item | None = None
        self._summary: RunSummary | None = None

    @property
    def summary(self) -> RunSummary:
        """The data for the summary at the end of the run. pytest-xdist workers send it to the controller."""
        if self._summary is None:
            from pytest_multitrack.run_summary import RunSummary

            self._summary = RunSummary()
        return self._summary

    def forget_failures(self, item: pytest.Item) -> None:
        """Remove the failures of earlier attempts at ``item`` from the summary, because the test has passed."""
        if self._summary is not None and (self._summary.misses or self._summary.snapshots):
            from pytest_multitrack.pytest_internals import get_test_name

            self._summary.forget_failures(get_test_name(item))

    def begin_item(self, item: pytest.Item, state: ItemState) -> None:
        """Store the ``state`` of ``item``, and drop the state of the previous item.

        pytest keeps every item until the end of the run. If the states were kept as well, every cassette would stay
        in memory.
        """
        if self._latest_item is not None:
            ItemState.of(self._latest_item).forget_tapes()
            ItemState().store(self._latest_item)
        self._latest_item = item
        state.store(item)

    @property
    def has_results(self) -> bool:
        """Whether there may be anything to report at the end of the run."""
        return bool(self.workers) or self._summary is not None or self.context.has_results

    @classmethod
    def of(cls, config: pytest.Config) -> RunState:
        return config.stash[_RUN]

    def store(self, config: pytest.Config) -> None:
        config.stash[_RUN] = self


class ItemState:
    """The data of one attempt to run a test.

    All attributes are None if another plugin or a conftest ended the setup before Multitrack's hook ran.

    Attributes:
        guard: Watches the test's phases.
        tape: The test's tape, if it uses a cassette.
        failure: The latest phase that did not pass, with its outcome.
        phase_failure: The facts about the failure of the latest phase. None if that phase did not fail.
    """

    def __init__(self, guard: ViolationGuard | None = None) -> None:
        self.guard = guard
        self.tape: ItemTape | None = None
        self.failure: str | None = None
        self.phase_failure: PhaseFailure | None = None

    @classmethod
    def of(cls, item: pytest.Item) -> ItemState:
        return item.stash.setdefault(_ITEM, cls())

    def store(self, item: pytest.Item) -> None:
        item.stash[_ITEM] = self

    def watch_phase(self) -> AbstractContextManager[None]:
        """Return a context manager that raises the first violation of a test phase when the phase ends."""
        return nullcontext() if self.guard is None else self.guard.phase()

    def forget_tapes(self) -> None:
        """Let go of the test's tapes, after the test has ended."""
        if self.guard is not None:
            self.guard.test.forget_tapes()

    @property
    def violation(self) -> TapeViolation | None:
        """The violation that made the latest phase fail, if any."""
        return None if self.guard is None else self.guard.violation


_RUN = pytest.StashKey[RunState]()
_ITEM = pytest.StashKey[ItemState]()


def list_tapes(item: pytest.Item) -> list[Tape]:
    """Return the tapes that a test used: its own tape, and those of its wider-scoped fixtures and ``use_cassette``
    blocks.
    """
    run = RunState.of(item.config)
    test = run.context.scope
    own = test.tapes if test else ()
    if not run.fixture_tapes:
        return [*own]
    from pytest_multitrack.pytest_internals import get_request

    # the names of the request include the fixtures requested with ``getfixturevalue``
    names = getattr(get_request(item) or item, "fixturenames", ())
    used = [
        fixture_tape
        for fixturedef, fixture_tape in run.fixture_tapes.items()
        if fixturedef.argname in names and fixturedef.cached_result is not None
    ]
    return [*(tape for fixture_tape in used for tape in fixture_tape.tapes), *own]
