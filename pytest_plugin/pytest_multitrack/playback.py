"""A test's tape, from its setup to its teardown: opened by the options, the settings and the markers of the item."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from multitrack.errors import BadOption, MultitrackError, TapeViolation
from multitrack.tape import credentials, deck, paths, project
from multitrack.tape.tape import Saved, Tape
from pytest_multitrack import flags

_project = pytest.StashKey[project.Project]()


class Playback:
    """``violation`` is that by which the last phase failed, if it did; ``saved`` is what became of the recording,
    once the test is over."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.violation: TapeViolation | None = None
        self.saved: Saved | None = None
        self._blamed = 0
        self._closed = False
        self._stack = ExitStack()
        if tape.mode == "replay":
            self._stack.enter_context(credentials.stand_in())
        self._stack.enter_context(deck.playing(tape))

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
            try:
                self.close(failure=failure)
            except MultitrackError as error:
                pytest.fail(str(error), pytrace=False)

    def close(self, *, failure: str | None) -> bool:
        """Close the tape and save it, as pending if ``failure`` tells of one; whether that was still to be done."""
        if self._closed:
            return False
        self._closed = True
        self._stack.close()
        self.saved = self.tape.save(failure=failure)
        return True


def start(item: pytest.Item) -> Playback:
    """Open the tape of ``item``. Fails the test, with the message alone, where its options or its tape are bad."""
    try:
        settings = _project_of(item.config).settings
        for marker in reversed(list(item.iter_markers("cassette"))):
            if marker.args:
                raise BadOption(f"@pytest.mark.cassette takes keywords, not {marker.args!r}")
            options = {name: value for name, value in marker.kwargs.items() if name != "name"}
            settings = settings.with_options(options, f"@pytest.mark.cassette of {item.nodeid}")
        tape = Tape(
            tape_path(item),
            mode=flags.mode(item.config),
            settings=settings,
            test=item.nodeid,
            to_record=f"pytest {flags.record(item.config)} {shlex.quote(item.nodeid)}",
        )
    except MultitrackError as error:
        pytest.fail(str(error), pytrace=False)
    return Playback(tape)


def tape_path(item: pytest.Item) -> Path:
    """Where the tape of ``item`` lies. Raises `BadOption` for a name that leaves the folder."""
    config = item.config
    asked, beside = config.option.multitrack_cassettes_dir, item.path.parent
    if asked is not None:
        root: Path | None = config.invocation_params.dir / asked
    else:
        root = _project_of(config).cassettes_dir
    folder = beside / "cassettes" if root is None else root / _below(beside, config.rootpath)
    named = [marker.kwargs["name"] for marker in item.iter_markers("cassette") if "name" in marker.kwargs]
    if named:
        return paths.tape_named(folder, named[0])
    return paths.tape_of_test(folder, item.path.stem, _qualified_name(item))


def refuse_colliding_names(items: Sequence[pytest.Item]) -> None:
    """Raises UsageError where two tests have tapes whose names a file system without case cannot tell apart, or
    where the project's settings cannot be read."""
    seen: dict[str, tuple[Path, pytest.Item]] = {}
    for item in items:
        try:
            _project_of(item.config)
        except BadOption as error:
            raise pytest.UsageError(str(error)) from error
        try:
            path = tape_path(item)
        except BadOption:
            continue  # the test itself fails by it
        other, first = seen.setdefault(str(path).lower(), (path, item))
        if other != path:
            raise pytest.UsageError(
                f"the tapes of {first.nodeid} and {item.nodeid} differ only in upper and lower case: "
                f"rename one test, or give it @pytest.mark.cassette(name=...)"
            )


def _qualified_name(item: pytest.Item) -> str:
    classes = [node.name for node in item.listchain() if isinstance(node, pytest.Class)]
    return ".".join([*classes, item.name])


def _below(folder: Path, root: Path) -> Path:
    try:
        return folder.relative_to(root)
    except ValueError:
        return Path(folder.name)


def _project_of(config: pytest.Config) -> project.Project:
    if _project not in config.stash:
        config.stash[_project] = project.read(config.rootpath / "pyproject.toml")
    return config.stash[_project]
