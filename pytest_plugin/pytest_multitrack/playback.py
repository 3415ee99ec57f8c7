"""A test's tape, from its setup to its teardown: opened by the options, the settings and the markers of the item."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest

from multitrack.errors import BadOption, MultitrackError, TapeViolation
from multitrack.tape import active, credentials
from multitrack.tape.recording_scope import RecordingScope, TapeResult
from multitrack.tape.tape import Tape
from pytest_multitrack import flags, layers, options, places


class Playback:
    """The tape of ``test``. ``violation`` is that by which its last phase failed, if it did."""

    def __init__(self, tape: Tape, test: RecordingScope) -> None:
        self.tape = tape
        self.test = test
        self.violation: TapeViolation | None = None
        self._blamed = 0
        self._closed = False
        self._stack = ExitStack()
        self._open()

    def _open(self) -> None:
        if self.tape.mode == "replay":
            self._stack.enter_context(credentials.stand_in())
        self._stack.enter_context(active.activate(self.tape))
        self.test.add_tape(self.tape)

    def reopen(self, tape: Callable[[], Tape]) -> None:
        """Play another tape instead, before anything was sent; fails the test where something was."""
        if self.tape.sent:
            pytest.fail(
                "the fixture cassette_options comes too late for requests that were sent before it, by a fixture that "
                "it asks for",
                pytrace=False,
            )
        self._stack.close()
        self.tape = tape()
        self._open()

    def blame(self, error: BaseException | None) -> TapeViolation | None:
        """The first violation that came in a phase which ended with ``error``; what failed after it failed because
        of it, as a rule."""
        new = self.tape.violations[self._blamed :]
        self._blamed = len(self.tape.violations)
        self.violation = new[0] if new else error if isinstance(error, TapeViolation) else None
        if self.violation is not None and self.violation is not error:
            self.violation.__cause__ = error
        return self.violation

    @contextmanager
    def phase(self) -> Iterator[None]:
        """A phase of the test: at its end, raises the first violation that came in it, whatever was caught."""
        try:
            yield
        except (KeyboardInterrupt, pytest.exit.Exception):
            raise
        except BaseException as error:
            violation = self.blame(error)
            if violation is None or violation is error:
                raise
            raise violation from error
        if violation := self.blame(None):
            raise violation

    @contextmanager
    def last_phase(self, *, failure: str | None) -> Iterator[None]:
        """The teardown: afterwards the tape is closed and saved; as pending if ``failure`` tells of an earlier phase
        that failed, or if this one fails."""
        try:
            with self.phase():
                yield
        except BaseException as error:
            failure = failure or f"teardown failed: {type(error).__name__}"
            raise
        finally:
            with failing_plainly():
                self.close(failure=failure)

    @property
    def is_over(self) -> bool:
        """Whether the tape plays no more."""
        return self._closed

    def close(self, *, failure: str | None) -> None:
        """Close the tape and save it, as pending if ``failure`` tells of one."""
        if self._closed:
            return
        self._closed = True
        self._stack.close()
        asked, passed = active.run_context(), failure is None
        asked.add_closed_tape(self.tape)
        asked.tape_results.append(TapeResult(self.test, self.tape, passed, self.tape.save(failure=failure)))
        if passed and self.tape.is_strict:
            self.tape.raise_if_unplayed()


def start(item: pytest.Item, test: RecordingScope) -> Playback:
    """Open the tape of ``item``, which is the ``test``. Fails it, with the message alone, where its options or its
    tape are bad."""
    with failing_plainly():
        tape = _tape(item, test, options.of_markers(item))
    return Playback(tape, test)


def configure(playing: Playback, request: pytest.FixtureRequest) -> None:
    """Give ``playing`` the options that stand in fixtures, before any other fixture is set up."""
    with failing_plainly():
        found = options.of_fixtures(request)
        if found is not None:
            playing.reopen(lambda: _tape(request.node, playing.test, found))


def _tape(item: pytest.Item, test: RecordingScope, asked: options.Options) -> Tape:
    return Tape(
        asked.path or places.tape_path(item),
        mode=flags.mode(item.config),
        settings=asked.settings,
        test=test.name,
        shared=places.is_shared(item),
        additional_paths=asked.beside,
        filters=asked.filters,
        fingerprint_results=partial(layers.results, item.config),
        record_hint=test.record_hint,
    )


@contextmanager
def failing_plainly() -> Iterator[None]:
    """Within the block, an error of Multitrack's own fails the test by its message alone."""
    try:
        yield
    except MultitrackError as error:
        # from None: pytest would show the error a second time, as what this one came of
        raise pytest.fail.Exception(str(error), pytrace=False) from None


def tapes_of(items: Sequence[pytest.Item]) -> dict[str, str]:
    """The tape of each of ``items``, by its node id; without those whose options are bad, which fail by it. Raises
    UsageError where two tests have tapes whose names a file system without case cannot tell apart, or
    where the settings of the project or of the command line cannot be read."""
    seen: dict[str, tuple[Path, pytest.Item]] = {}
    found: dict[str, str] = {}
    for item in items:
        try:
            options.of_run(item.config)
        except BadOption as error:
            raise pytest.UsageError(str(error)) from error
        try:
            path = options.path_of(item)
        except BadOption:
            continue
        found[item.nodeid] = str(path.resolve())
        other, first = seen.setdefault(str(path).lower(), (path, item))
        if other != path:
            raise pytest.UsageError(
                f"the tapes of {first.nodeid} and {item.nodeid} differ only in upper and lower case: "
                f"rename one test, or give it @pytest.mark.cassette(name=...)"
            )
    return found
