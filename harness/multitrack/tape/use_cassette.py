"""A tape outside of a test's own: in a script, in a notebook, or nested in a test."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from multitrack.errors import BadOption
from multitrack.tape import active, credentials, project
from multitrack.tape.recording_scope import RecordingScope, TapeResult
from multitrack.tape.settings import MODES, Mode
from multitrack.tape.tape import Tape


class use_cassette:  # noqa: N801 - a function to its users
    """Play or record the tape at ``path`` for the time of a ``with`` or ``async with`` block, which gets it.

    ``mode`` is ``replay``, ``record``, ``record-missing``, ``live``, or None: that of the tape it is nested in, else
    what pytest's flags say, else ``replay``. ``options`` are those of `Settings`, and stand on those in the project's
    pyproject.toml; what pytest's command line sets is stronger. In ``record`` mode the tape is written when the block
    ends well; a block that raises leaves its recording beside it, in ``<name>.pending.yaml``. Where the mode is that of
    a test, the tape is written when the test is over and has passed.

    Raises `BadOption` for an unknown mode or option, `CassetteCorrupt` for a damaged tape, and, within the block,
    `CassetteMiss`; a miss that the block swallowed is raised when it ends. With ``strict=True``, a block that ends well
    raises `Unplayed` where the tape holds more than it played.
    """

    def __init__(self, path: str | Path, mode: Mode | None = None, **options: Any) -> None:
        if mode is not None and mode not in MODES:
            raise BadOption(f"use_cassette: unknown mode {mode!r}; known are {', '.join(MODES)}")
        self._path = Path(path)
        self._mode = mode
        root = active.run_context().root
        own = project.read_nearest(Path.cwd()) if root is None else project.read(root / "pyproject.toml")
        self._settings = own.settings.with_options(options, "use_cassette")
        for source, given in active.run_context().command_line_options:
            self._settings = self._settings.with_options(given, source)
        self._stack = ExitStack()
        self._tape: Tape | None = None
        self._scope: RecordingScope | None = None

    def __enter__(self) -> Tape:
        outer, asked = active.current_tape(), active.run_context()
        mode = self._mode or asked.mode
        scope = self._scope = asked.scope
        # within a block that has a mode of its own, that of the test is not asked for
        plays_for_it = self._mode is None and scope is not None and (outer is None or scope.has_tape(outer))
        given: dict[str, Any] = {}
        if isinstance(outer, Tape):
            mode = self._mode or outer.mode
            given = {"test": outer.test, **({} if self._mode else {"record_hint": outer.record_hint})}
        elif scope is not None and plays_for_it:
            given = {"test": scope.name, "record_hint": scope.record_hint}
        if asked.mode == "drift" and mode.startswith("record"):
            mode = "drift"  # a run that compares writes nothing
        if scope is not None and plays_for_it:
            given["fingerprint_results"] = scope.fingerprint_results
        tape = Tape(self._path, mode=mode, settings=self._settings, **given)
        if mode == "replay":
            self._stack.enter_context(credentials.stand_in())
        self._stack.enter_context(active.activate(tape))
        self._tape = tape
        if scope is not None and plays_for_it:
            scope.add_tape(tape)
        return tape

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        del kind, traceback
        self._stack.close()
        tape, self._tape = self._tape, None
        if tape is None:
            return
        violations = tape.violations
        raised = error or (violations[0] if violations else None)
        failure = None if raised is None else f"the block raised {type(raised).__name__}"
        if self._scope is None:
            active.run_context().tape_results.append(
                TapeResult(None, tape, failure is None, tape.save(failure=failure))
            )
        else:
            self._scope.add_closed_block(tape, failure)
        outer = active.current_tape()
        if outer is not None:
            for violation in violations:
                outer.add_violation(violation)
        active.run_context().add_closed_tape(tape)
        if violations and (error is None or isinstance(error, Exception)):
            raise violations[0] from error
        if error is None and tape.is_strict:
            tape.raise_if_unplayed()

    async def __aenter__(self) -> Tape:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)
