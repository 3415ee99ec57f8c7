"""Open a cassette without the plugin: in a script, in a notebook, or for a part of a test."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import ExitStack
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar, cast

from multitrack.errors import BadOption
from multitrack.tape import active, project, replayed_clients, run_context
from multitrack.tape.recording_scope import RecordingScope, TapeResult
from multitrack.tape.settings import MODES, Mode
from multitrack.tape.tape import Tape

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS_OF_VCRPY = {
    "allow_playback_repeats": "pass allow_repeats=True",
    "before_record": "pass placeholders={...} and keep_headers=[...]",
    "before_record_request": "pass placeholders={...}",
    "before_record_response": "omit it, because credentials are always removed",
    "cassette_library_dir": "include the folder in the path of the cassette",
    "decode_compressed_response": "omit it, because bodies are always stored without compression",
    "filter_headers": "omit it, because only a few headers are stored; to store more, pass keep_headers=[...]",
    "filter_post_data_parameters": "pass ignore=['$.name']",
    "filter_query_parameters": "pass placeholders={...}",
    "ignore_localhost": "pass ignore_hosts=['localhost', '127.0.0.1']",
    "path_transformer": "pass the complete path",
    "record_mode": "pass mode='replay', 'record' or 'record-missing'",
    "serializer": "omit it, because each cassette's format is recognized, and new recordings are YAML",
}
"""vcrpy's options that ``use_cassette`` does not have, and what to do instead."""


class use_cassette:  # noqa: N801 - a function to its users
    """Replay or record a cassette within a ``with`` or ``async with`` block. The block receives the open ``Tape``.

    As a decorator, ``use_cassette`` opens the cassette each time the decorated function is called. Coroutine
    functions and generator functions can be decorated, too.

    In ``record`` mode, the cassette is written when the block ends without an error. If the block raises, the
    recording stays pending, in ``<name>.pending.yaml``. If the mode comes from a test, the cassette is written when
    that test has passed.

    Args:
        path: The cassette.
        mode: ``replay``, ``record``, ``record-missing`` or ``live``. Default: the mode of the surrounding tape,
            otherwise the mode that pytest's flags set, otherwise ``replay``.
        options: Options of ``Settings``. They override the project's pyproject.toml. Options on pytest's command line
            override both.

    Raises:
        BadOption: The mode or an option is unknown, or a value has the wrong type.
        CassetteCorrupt: The cassette is damaged.
        CassetteMiss: No recording matches a request. Raised within the block. If the block catches the error, it is
            raised again at the end of the block.
        CassetteExpired: With ``on_expiry="fail"``, the block ended without an error, but the cassette is older than
            ``max_age``.
        Unplayed: With ``strict=True``, the block ended without an error, but did not replay all interactions.
    """

    def __init__(self, path: str | Path, mode: Mode | None = None, **options: Any) -> None:
        if mode is not None and mode not in MODES:
            raise BadOption(f"use_cassette: unknown mode {mode!r}; known modes: {', '.join(MODES)}")
        for name in options:
            if (advice := _OPTIONS_OF_VCRPY.get(name)) is not None:
                raise BadOption(f"use_cassette: {name!r} is an option of vcrpy; {advice}")
        self._arguments = (path, mode, options)
        self._path = Path(path)
        self._mode = mode
        root = run_context.current_run().root
        own = project.read_nearest(Path.cwd()) if root is None else project.read(root / "pyproject.toml")
        self._settings = own.settings.with_options(options, "use_cassette")
        for source, options_of_source in run_context.current_run().command_line_options:
            self._settings = self._settings.with_options(options_of_source, source)
        self._stack = ExitStack()
        self._tape: Tape | None = None
        self._scope: RecordingScope | None = None

    def __call__(self, function: F) -> F:
        """Return ``function`` with the cassette open during each call."""
        path, mode, options = self._arguments

        def reopen() -> use_cassette:
            # a new object for each call, because calls may overlap
            return type(self)(path, mode, **options)

        if inspect.isasyncgenfunction(function):

            @wraps(function)
            async def generate_async(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
                with reopen():
                    async for value in function(*args, **kwargs):
                        yield value

            return cast(F, generate_async)
        if inspect.iscoroutinefunction(function):

            @wraps(function)
            async def call_async(*args: Any, **kwargs: Any) -> Any:
                async with reopen():
                    return await function(*args, **kwargs)

            return cast(F, call_async)
        if inspect.isgeneratorfunction(function):

            @wraps(function)
            def generate(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
                with reopen():
                    return (yield from function(*args, **kwargs))

            return cast(F, generate)

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with reopen():
                return function(*args, **kwargs)

        return cast(F, call)

    def __enter__(self) -> Tape:
        outer, context = active.current_tape(), run_context.current_run()
        mode = self._mode or context.mode
        scope = self._scope = context.scope
        # within a block that has its own mode, the test's mode does not count
        is_outermost = not isinstance(outer, Tape) or (scope is not None and scope.has_tape(outer))
        joins_scope = self._mode is None and scope is not None and is_outermost
        arguments: dict[str, Any] = {}
        if isinstance(outer, Tape):
            mode = self._mode or outer.mode
            arguments = {"test": outer.test, **({} if self._mode else {"record_hint": lambda: outer.record_hint})}
        elif scope is not None and joins_scope:
            arguments = {"test": scope.name, "record_hint": lambda: scope.record_hint}
        mode = context.restrict_mode(mode)
        if scope is not None and joins_scope:
            arguments["fingerprint_results"] = scope.fingerprint_results
        if self._mode is None:
            arguments |= {"rebinding": context.rebinding}
            if scope is not None:
                arguments |= {"rebind_hint": scope.rebind_hint}
        tape = Tape(
            self._path,
            mode=mode,
            settings=self._settings,
            scope=scope,
            root=context.root,
            cache=context.cassettes,
            **arguments,
        )
        if mode == "replay":
            self._stack.enter_context(replayed_clients.creating())
        self._stack.enter_context(active.activate(tape))
        self._tape = tape
        if scope is not None and joins_scope:
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
            for violation in violations:
                run_context.current_run().add_late_violation(str(self._path), violation)
            saved = tape.save(failure=failure)
            run_context.current_run().tape_results.append(TapeResult(None, tape, failure is None, saved))
        else:
            self._scope.add_closed_block(tape, failure)
        outer = active.current_tape()
        if outer is not None:
            for violation in violations:
                outer.add_violation(violation)
        run_context.current_run().add_closed_tape(tape)
        if violations and (error is None or isinstance(error, Exception)):
            raise violations[0] from error
        if error is None:
            tape.raise_if_expired()
        if error is None and tape.is_strict:
            tape.raise_if_unplayed()

    async def __aenter__(self) -> Tape:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)
