"""The tape of a fixture of wider scope: what it sends, and what it sends in its teardown, belongs to no test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from multitrack.errors import BadOption
from multitrack.tape import active, credentials
from multitrack.tape.recording_scope import RecordingScope, TapeResult
from multitrack.tape.tape import Tape
from pytest_multitrack import flags, options, places, playback

_seen = pytest.StashKey[dict[str, tuple[Path, str]]]()
"""The tapes of fixtures, with whose they are, by their names without case."""


class FixtureTape:
    """Plays while the fixture is set up, and again for each of its finalizers; ``tape`` is written after them, as
    pending where the fixture failed. Its owner is the fixture; ``test`` the test that is the first to ask for it."""

    def __init__(self, tape: Tape, owner: RecordingScope, test: RecordingScope) -> None:
        self._tape = tape
        self._owner = owner
        self._test = test
        self._failure: str | None = None
        self._blamed = 0
        owner.add_tape(tape)

    @property
    def tapes(self) -> Sequence[Tape]:
        """Its own, and those of blocks in the fixture."""
        return self._owner.tapes

    @contextmanager
    def setup(self, request: pytest.FixtureRequest) -> Iterator[None]:
        """Play for the time of the block, in which the fixture makes ``request``, and for each finalizer that it adds
        to it. A violation is held against the test whose setup it is."""
        add = request.addfinalizer
        # what is registered first is run last
        add(self._close)
        vars(request)["addfinalizer"] = lambda finalizer: add(self._taped(finalizer))
        try:
            with self._playing():
                yield
        finally:
            if self._failure is not None:
                self._test.add_failed_fixture(self._owner)

    def _taped(self, finalizer: Callable[[], object]) -> Callable[[], object]:
        def taped() -> None:
            with self._playing():
                finalizer()

        return taped

    @contextmanager
    def _playing(self) -> Iterator[None]:
        try:
            with ExitStack() as stack:
                stack.enter_context(active.run_context().use_scope(self._owner))
                if self._tape.mode == "replay":
                    stack.enter_context(credentials.stand_in())
                stack.enter_context(active.activate(self._tape))
                yield
        except BaseException as error:
            self._fail(error)
            raise
        finally:
            self._blame()

    def _fail(self, error: BaseException) -> None:
        self._failure = self._failure or f"the fixture raised {type(error).__name__}"

    def _blame(self) -> None:
        new = self._tape.violations[self._blamed :]
        self._blamed += len(new)
        outer = active.current_tape()
        for violation in new:
            self._fail(violation)
            if outer is None:
                raise violation
            outer.add_violation(violation)

    def _close(self) -> None:
        asked, passed = active.run_context(), self._failure is None
        asked.add_closed_tape(self._tape)
        with playback.failing_plainly():
            asked.tape_results.append(
                TapeResult(self._owner, self._tape, passed, self._tape.save(failure=self._failure))
            )
            asked.tape_results.extend(self._owner.save_blocks(failure=self._failure))
            if passed and self._tape.is_strict:
                self._tape.raise_if_unplayed()


def of(fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest, test: RecordingScope) -> FixtureTape:
    """The tape of the fixture that ``fixturedef`` defines and ``test`` is the first to ask for. Raises `BadOption`,
    `CassetteCorrupt`."""
    path = places.fixture_path(fixturedef, request)
    name = places.fixture_name(fixturedef, request)
    other, first = request.config.stash.setdefault(_seen, {}).setdefault(str(path).lower(), (path, name))
    if other != path:
        raise BadOption(f"the tapes of {first} and {name} differ only in upper and lower case: rename one")
    owner = RecordingScope(name, record_hint=test.record_hint, is_test=False)
    tape = Tape(
        path,
        mode=flags.mode(request.config),
        settings=options.of_markers(request.node).settings,
        test=owner.name,
        fingerprint_results=test.fingerprint_results,
        record_hint=owner.record_hint,
    )
    return FixtureTape(tape, owner, test)
