"""Pass violations through anyio's test runner.

The runner executes tests and fixtures in one task. A violation is not an ``Exception`` and would end that task. The
teardown of async fixtures would then fail with a different error. The violation is therefore raised after the runner
has returned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from inspect import isasyncgenfunction, iscoroutinefunction, ismethod
from types import MethodType
from typing import Any

import pytest

from multitrack.errors import TapeViolation

_BACKEND = "anyio_backend"


@contextmanager
def test_violations_raised_outside(item: pytest.Item) -> Iterator[None]:
    """Catch the violations that the test raises within the block. Raise them after the block."""
    function_item: Any = item
    test = getattr(item, "obj", None)
    if _BACKEND not in getattr(item, "fixturenames", ()) or not iscoroutinefunction(test):
        yield
        return
    caught: list[BaseException] = []
    function_item.obj = _catch(test, caught)
    try:
        yield
    finally:
        function_item.obj = test
    if caught:
        raise caught[0]


@contextmanager
def fixture_violations_raised_outside(
    fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
) -> Iterator[None]:
    """Catch violations that a fixture's setup raises within the block, and raise the first violation after the block.

    A violation in the fixture's teardown is not raised here, because the test itself raises it.
    """
    fixture: Any = fixturedef
    function = fixture.func
    is_async = iscoroutinefunction(function) or isasyncgenfunction(function)
    if not is_async or _BACKEND not in request.fixturenames:
        yield
        return
    caught: list[BaseException] = []
    fixture.func = _catch(function, caught)
    try:
        yield
    finally:
        fixture.func = function
    if caught:
        raise caught[0]


def _catch(function: Any, caught: list[BaseException]) -> Callable[..., Any]:
    """Wrap ``function`` so that it appends a violation (such as a miss) to ``caught`` instead of raising it."""
    if ismethod(function):
        # anyio binds the methods of fixtures to the instance of the running test
        return MethodType(_catch(function.__func__, caught), function.__self__)
    if isasyncgenfunction(function):

        @wraps(function)
        async def generate(*args: Any, **options: Any) -> Any:
            generator = function(*args, **options)
            try:
                value = await anext(generator)
            except BaseException as error:
                _add_violation(error, caught)
                yield None
                return
            yield value
            while True:
                try:
                    value = await anext(generator)
                except StopAsyncIteration:
                    return
                except BaseException as error:
                    _add_violation(error, [])
                    return
                yield value

        return generate

    @wraps(function)
    async def run(*args: Any, **options: Any) -> Any:
        try:
            return await function(*args, **options)
        except BaseException as error:
            _add_violation(error, caught)

    return run


def _add_violation(error: BaseException, caught: list[BaseException]) -> None:
    """Add ``error`` to ``caught`` if it is a violation or a group of violations. Raise it otherwise."""
    is_violation = isinstance(error, TapeViolation) or (
        isinstance(error, BaseExceptionGroup) and error.split(TapeViolation)[1] is None
    )
    if not is_violation:
        raise error
    caught.append(error)
