"""Prepare the setup of a fixture: open its own tape if it needs one, allow its threads to outlive the test, and discard
the fixture after a violation.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import pytest

from pytest_multitrack.run_state import RunState


def prepare_setup(
    fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
) -> AbstractContextManager[None]:
    """Prepare the setup of a fixture: open its own tape if it needs one, and handle its threads and violations."""
    # most fixtures need nothing else, and some plugins set one up for every test
    if fixturedef.scope == "function" and "anyio_backend" not in request.fixturenames:
        return _Setup(fixturedef, request)
    return _prepare_setup(fixturedef, request)


class _Setup:
    """A context manager that discards a fixture after a violation in its setup, so that pytest sets it up again."""

    __slots__ = ("_fixturedef", "_request")

    def __init__(self, fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest) -> None:
        self._fixturedef = fixturedef
        self._request = request

    def __enter__(self) -> None: ...

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is None:
            return
        from multitrack.errors import TapeViolation
        from pytest_multitrack import pytest_internals

        if isinstance(error, TapeViolation):
            pytest_internals.discard_failed_fixture(self._fixturedef, self._request)


@contextmanager
def _prepare_setup(fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest) -> Iterator[None]:
    with (
        _Setup(fixturedef, request),
        _exempt_threads(fixturedef, request),
        _open_fixture_tape(fixturedef, request),
        _raise_outside_of_anyio(fixturedef, request),
    ):
        yield


def _exempt_threads(
    fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
) -> AbstractContextManager[None]:
    """Allow the threads of a fixture of wider scope to outlive the test that sets up the fixture."""
    if fixturedef.scope == "function":
        return nullcontext()
    return RunState.of(request.config).context.threads.starting_for_several_tests()


def _open_fixture_tape(
    fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
) -> AbstractContextManager[None]:
    """If a fixture of wider scope is set up by a test with a cassette, open a tape for the fixture."""
    if fixturedef.scope == "function":
        return nullcontext()
    run = RunState.of(request.config)
    # a ``use_cassette`` block in the fixture does not belong to the test that happens to set it up
    if run.latest_tape is None or run.latest_tape.is_closed:
        return run.context.use_scope(None)
    from pytest_multitrack import fixture_tape, item_tape, pytest_internals

    if pytest_internals.is_builtin_fixture(fixturedef):
        return run.context.use_scope(None)
    with item_tape.fail_without_traceback():
        opened = fixture_tape.open_fixture_tape(fixturedef, request, run.latest_tape)
    run.fixture_tapes[fixturedef] = opened
    return opened.setup(request)


def _raise_outside_of_anyio(
    fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
) -> AbstractContextManager[None]:
    if "anyio_backend" not in request.fixturenames:
        return nullcontext()
    from pytest_multitrack import anyio_runner

    return anyio_runner.fixture_violations_raised_outside(fixturedef, request)
