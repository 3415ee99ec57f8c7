"""A test's tape, which is open from the setup of the test to the end of its teardown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest

from multitrack.errors import BadOption, MultitrackError
from multitrack.tape import active, replayed_clients, run_context
from multitrack.tape.file import paths
from multitrack.tape.recording_scope import RecordingScope, TapeResult
from multitrack.tape.tape import Tape
from pytest_multitrack import cassette_options, cassette_paths, failure_diagnosis, flags, markers
from pytest_multitrack.resolved_options import ResolvedOptions


class ItemTape:
    """The open tape of a test."""

    def __init__(self, tape: Tape, test: RecordingScope, *, lets_fixtures_go_live: bool = False) -> None:
        """Activate ``tape``.

        Args:
            tape: The test's tape.
            test: The test.
            lets_fixtures_go_live: Whether a fixture with a wider scope sends live requests if the fixture has no
                cassette. True for tests with the ``vcr`` marker, because pytest-recording has no cassettes for
                fixtures.
        """
        self.tape = tape
        self.test = test
        self.lets_fixtures_go_live = lets_fixtures_go_live
        self._closed = False
        self._stack = ExitStack()
        self._open()

    def _open(self) -> None:
        if self.tape.mode == "replay":
            self._stack.enter_context(replayed_clients.creating(keep_patches=True))
        self._stack.enter_context(active.activate(self.tape, keep_interceptors=True))
        self.test.add_tape(self.tape)

    def replace_tape(self, open_tape: Callable[[], Tape]) -> None:
        """Use another tape from now on. Fail the test if its current tape has already received a request."""
        if self.tape.sent and self.tape.mode != "live":
            pytest.fail(
                "cassette_options takes effect too late: a fixture that it depends on has already sent a request; send "
                "no requests in the fixtures that cassette_options depends on",
                pytrace=False,
            )
        self._stack.close()
        self.test.remove_tape(self.tape)
        self.tape = open_tape()
        self._open()

    @contextmanager
    def closing(self, *, failure: str | None) -> Iterator[None]:
        """Run the teardown of the test in the block, then close the tape.

        Args:
            failure: Why an earlier phase of the test failed; None if all earlier phases passed.
        """
        try:
            yield
        except BaseException as error:
            failure = failure or describe_teardown_failure(error)
            raise
        finally:
            with fail_without_traceback():
                self.close(failure=failure)

    @property
    def is_closed(self) -> bool:
        """True if the tape was closed."""
        return self._closed

    def close(self, *, failure: str | None) -> None:
        """Close the tape and save its recording. With a ``failure``, the recording is pending."""
        if self._closed:
            return
        self._closed = True
        self._stack.close()
        run, passed = run_context.current_run(), failure is None
        run.add_closed_tape(self.tape)
        run.tape_results.append(TapeResult(self.test, self.tape, passed, self.tape.save(failure=failure)))
        if passed:
            self.tape.raise_if_expired()
        if passed and self.tape.is_strict:
            self.tape.raise_if_unplayed()


def open_item_tape(item: pytest.Item, test: RecordingScope) -> ItemTape:
    """Open the tape of ``item``. The recordings of this tape belong to ``test``.

    If the tape's options or cassette are invalid, the test fails without a traceback.
    """
    with fail_without_traceback():
        tape = _create_tape(item, test, cassette_options.resolve_marker_options(item))
    return ItemTape(tape, test, lets_fixtures_go_live=markers.uses_vcr_marker(item))


def open_behaviour_tape(item: pytest.Item, test: RecordingScope) -> ItemTape:
    """Open a tape for the recorded behaviour that ``item`` uses.

    The tape answers the test's requests in every mode. If the behaviour does not exist, the test fails without a
    traceback.
    """
    from multitrack.library.behaviour_answers import BehaviourAnswers

    with fail_without_traceback():
        answers = BehaviourAnswers(*markers.find_behaviour(item))
        settings = cassette_options.resolve_marker_options(item).settings
    tape = Tape(
        answers.path,
        settings=settings,
        test=test.name,
        scope=test,
        root=item.config.rootpath,
        cache=run_context.current_run().cassettes,
        answers=answers,
    )
    return ItemTape(tape, test)


def apply_fixture_options(item_tape: ItemTape, request: pytest.FixtureRequest) -> None:
    """Apply the cassette options that the test's fixtures set. Call this function before other fixtures are set up."""
    with fail_without_traceback():
        options = cassette_options.resolve_fixture_options(request)
        if options is not None:
            item_tape.replace_tape(lambda: _create_tape(request.node, item_tape.test, options))


def _create_tape(item: pytest.Item, test: RecordingScope, options: ResolvedOptions) -> Tape:
    return Tape(
        options.path or cassette_paths.cassette_path(item),
        mode=options.mode or flags.mode(item.config),
        settings=options.settings,
        test=test.name,
        shared=cassette_paths.is_shared(item),
        additional_paths=options.additional_paths,
        load=options.load,
        filters=options.filters,
        matchers=options.matchers,
        appends=options.appends,
        fingerprint_results=partial(failure_diagnosis.fingerprint_results, item.config),
        record_hint=lambda: test.record_hint,
        scope=test,
        root=item.config.rootpath,
        cache=run_context.current_run().cassettes,
        rebinding=run_context.current_run().rebinding,
        rebind_hint=test.rebind_hint,
    )


def describe_teardown_failure(error: BaseException) -> str | None:
    """Return why a test's teardown failed. None if the failure does not affect the test's recording.

    For example, inline-snapshot fails the teardown of a test that has no inline value yet, even if it writes the
    value.
    """
    if isinstance(error, pytest.fail.Exception) and str(error).startswith("your snapshot is missing "):
        return None
    return f"teardown failed: {type(error).__name__}"


@contextmanager
def fail_without_traceback() -> Iterator[None]:
    """Turn an error that Multitrack raised into a test failure without a traceback."""
    try:
        yield
    except MultitrackError as error:
        # from None: otherwise pytest prints the error a second time, as the cause of this one
        raise pytest.fail.Exception(str(error), pytrace=False) from None


def find_cassettes(items: Sequence[pytest.Item]) -> dict[str, str]:
    """Return a dictionary from node id to cassette path for ``items``.

    Items with invalid options are left out. They fail later, in their setup.

    Raises:
        pytest.UsageError: Two cassette paths differ only in case, or a setting in pyproject.toml or on the command
        line is invalid.
    """
    first_users: dict[str, tuple[Path, pytest.Item]] = {}
    cassettes: dict[str, str] = {}
    for item in items:
        try:
            cassette_options.resolve_run_settings(item.config)
        except BadOption as error:
            raise pytest.UsageError(str(error)) from error
        try:
            path = cassette_options.find_cassette_path(item)
        except BadOption:
            continue
        cassettes[item.nodeid] = str(paths.resolve(path))
        other, first = first_users.setdefault(str(path).lower(), (path, item))
        if other != path:
            raise pytest.UsageError(
                f"the cassette paths of {first.nodeid} and {item.nodeid} differ only in case, which some file systems "
                f"ignore: rename one test, or give it @pytest.mark.cassette(name=...)"
            )
    return cassettes
