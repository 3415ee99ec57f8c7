"""A test's tape, from its setup to its teardown: opened by the options, the settings and the markers of the item."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from multitrack.errors import BadOption, MultitrackError, TapeViolation
from multitrack.tape import credentials, deck, paths, project
from multitrack.tape.settings import Mode
from multitrack.tape.tape import Saved, Tape

_project = pytest.StashKey[project.Project]()


class Playback:
    """``saved`` is what became of the recording, once the test is over."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.saved: Saved | None = None
        self._raised = 0
        self._stack = ExitStack()
        if tape.mode == "replay":
            self._stack.enter_context(credentials.stand_in())
        self._stack.enter_context(deck.playing(tape))

    @contextmanager
    def phase(self) -> Iterator[None]:
        """A phase of the test: at its end, raises the first violation that came in it, whatever was caught."""
        try:
            yield
        except TapeViolation:
            self._raised = len(self.tape.violations)
            raise
        except BaseException as error:
            # what failed after a miss failed because of it, as a rule
            self._raise_violations(cause=error)
            raise
        self._raise_violations(cause=None)

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
            self._stack.close()
            self.saved = self.tape.save(failure=failure)

    def _raise_violations(self, cause: BaseException | None) -> None:
        new = self.tape.violations[self._raised :]
        self._raised = len(self.tape.violations)
        if new:
            raise new[0] from cause


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
            mode=mode_of(item.config),
            settings=settings,
            test=item.nodeid,
            to_record=f"pytest --record {shlex.quote(item.nodeid)}",
        )
    except MultitrackError as error:
        pytest.fail(str(error), pytrace=False)
    return Playback(tape)


def mode_of(config: pytest.Config) -> Mode:
    """What the flags ask for. Raises UsageError where they contradict each other."""
    option = config.option
    flags: dict[Mode, bool] = {
        "record": option.multitrack_record,
        "record-missing": option.multitrack_record_missing,
        "live": option.multitrack_live,
    }
    asked = [mode for mode, given in flags.items() if given]
    if len(asked) > 1:
        raise pytest.UsageError(f"--{' and --'.join(asked)} exclude each other")
    return asked[0] if asked else "replay"


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
    """Raises UsageError where two tests have tapes whose names a file system without case cannot tell apart."""
    seen: dict[str, tuple[Path, pytest.Item]] = {}
    for item in items:
        path = tape_path(item)
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
