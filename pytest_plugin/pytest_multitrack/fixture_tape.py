"""The tape of a fixture whose scope is wider than a single test.

The requests from the fixture's setup and teardown belong to the fixture, not to the test that happens to be running.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from multitrack.errors import BadOption
from multitrack.tape import active, replayed_clients, run_context
from multitrack.tape.recording_scope import RecordingScope, TapeResult
from multitrack.tape.tape import Tape
from pytest_multitrack import cassette_options, cassette_paths, commands, flags, pytest_internals
from pytest_multitrack.item_tape import ItemTape, fail_without_traceback

_fixture_cassettes = pytest.StashKey[dict[str, tuple[Path, str]]]()
"""The path of each fixture's cassette and the fixture's name, by the path in lower case."""


class FixtureTape:
    """A tape that is active during the setup of a fixture and during each of its finalizers.

    The recording is saved after the last finalizer, as a pending recording if the fixture failed.

    Args:
        scope: The recording scope of the fixture.
        test: The first test that uses the fixture.
    """

    def __init__(self, tape: Tape, scope: RecordingScope, test: RecordingScope) -> None:
        self._tape = tape
        self._scope = scope
        self._test = test
        self._failure: str | None = None
        self._reported = 0
        scope.add_tape(tape)

    @property
    def tapes(self) -> Sequence[Tape]:
        """The tape of the fixture, and the tapes that the fixture itself opened with ``use_cassette``."""
        return self._scope.tapes

    @contextmanager
    def setup(self, request: pytest.FixtureRequest) -> Iterator[None]:
        """Activate the tape while the fixture is set up, and while its finalizers run.

        A violation fails the test that sets up the fixture.

        Args:
            request: The fixture's own request.
        """
        # finalizers run in reverse order: the tape is closed after the fixture's own finalizers
        request.addfinalizer(self._close)
        pytest_internals.wrap_finalizers(request, self._with_tape)
        try:
            with self._activated():
                yield
        finally:
            if self._failure is not None:
                self._test.add_failed_fixture(self._scope)

    def _with_tape(self, finalizer: Callable[[], object]) -> Callable[[], object]:
        def run_finalizer() -> None:
            with self._activated():
                finalizer()

        return run_finalizer

    @contextmanager
    def _activated(self) -> Iterator[None]:
        try:
            with ExitStack() as stack:
                stack.enter_context(run_context.current_run().use_scope(self._scope))
                if self._tape.mode == "replay":
                    stack.enter_context(replayed_clients.creating())
                stack.enter_context(active.activate(self._tape))
                yield
        except BaseException as error:
            self._note_failure(error)
            raise
        finally:
            self._report_violations()

    def _note_failure(self, error: BaseException) -> None:
        self._failure = self._failure or f"the fixture raised {type(error).__name__}"

    def _report_violations(self) -> None:
        new = self._tape.violations[self._reported :]
        self._reported += len(new)
        outer = active.current_tape()
        for violation in new:
            self._note_failure(violation)
            if outer is None:
                raise violation
            outer.add_violation(violation)

    def _close(self) -> None:
        run, passed = run_context.current_run(), self._failure is None
        run.add_closed_tape(self._tape)
        with fail_without_traceback():
            saved = self._tape.save(failure=self._failure)
            run.tape_results.append(TapeResult(self._scope, self._tape, passed, saved))
            run.tape_results.extend(self._scope.save_blocks(failure=self._failure))
            if passed:
                self._tape.raise_if_expired()
            if passed and self._tape.is_strict:
                self._tape.raise_if_unplayed()


def open_fixture_tape(
    fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest, item_tape: ItemTape
) -> FixtureTape:
    """Open the tape of a fixture. The test of ``item_tape`` is the first test that uses the fixture.

    Raises:
        BadOption: An option is invalid, or the path differs only in case from another fixture's cassette path.
        CassetteCorrupt: The cassette cannot be read.
    """
    test, mode = item_tape.test, flags.mode(request.config)
    path = cassette_paths.fixture_cassette_path(fixturedef, request)
    if mode == "replay" and item_tape.lets_fixtures_go_live and not path.exists():
        mode = "live"
    name = cassette_paths.fixture_name(fixturedef, request)
    other, first = request.config.stash.setdefault(_fixture_cassettes, {}).setdefault(str(path).lower(), (path, name))
    if other != path:
        raise BadOption(
            f"the cassette paths of {first} and {name} differ only in case, which some file systems ignore: "
            f"rename one fixture"
        )
    scope = RecordingScope(
        lambda: name,
        record_hint=lambda: test.record_hint,
        rerun_hint=lambda: test.rerun_hint,
        rebind_hint=lambda: commands.rebind_command(request.node, name),
        is_test=False,
    )
    tape = Tape(
        path,
        mode=mode,
        settings=cassette_options.resolve_marker_options(request.node).settings,
        test=scope.name,
        fingerprint_results=test.fingerprint_results,
        record_hint=lambda: scope.record_hint,
        cache=run_context.current_run().cassettes,
        rebinding=run_context.current_run().rebinding,
        rebind_hint=scope.rebind_hint,
    )
    return FixtureTape(tape, scope, test)
