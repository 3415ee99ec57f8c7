"""The tape of a fixture of wider scope: what it sends, and what it sends in its teardown, belongs to no test."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from multitrack.tape import credentials, deck
from multitrack.tape.tape import Tape
from pytest_multitrack import flags, options, places


class FixtureTape:
    """Plays while the fixture is set up, and again while it is torn down; ``tape`` is written after both."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self._failure: str | None = None
        self._stack = ExitStack()
        self._blamed = 0

    @contextmanager
    def setup(self) -> Iterator[None]:
        """Play for the time of the block; a violation is held against the test whose setup it is."""
        self.open()
        try:
            yield
        except BaseException as error:
            self._failure = f"the fixture raised {type(error).__name__}"
            raise
        finally:
            self._shut()

    def open(self) -> None:
        """Play from now on."""
        if self.tape.mode == "replay":
            self._stack.enter_context(credentials.stand_in())
        self._stack.enter_context(deck.playing(self.tape))

    def close(self) -> None:
        """Play no more, and write what was recorded. Raises a violation that no test can be blamed for."""
        self._shut()
        self.tape.save(failure=self._failure)
        deck.asked().note(self.tape)

    def _shut(self) -> None:
        self._stack.close()
        new = self.tape.violations[self._blamed :]
        self._blamed += len(new)
        if new:
            self._failure = f"the fixture raised {type(new[0]).__name__}"
        outer = deck.current()
        for violation in new:
            if outer is None:
                raise violation
            outer.refuse(violation)


def of(fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest, test: str) -> FixtureTape:
    """The tape of the fixture that ``fixturedef`` defines and ``test`` is the first to ask for. Raises `BadOption`,
    `CassetteCorrupt`."""
    path = places.fixture_path(fixturedef, request)
    return FixtureTape(
        Tape(
            path,
            mode=flags.mode(request.config),
            settings=options.of_markers(request.node).settings,
            test=f"fixture {path.stem} of {path.parent.name}",
            to_record=f"pytest {flags.record(request.config)} {shlex.quote(test)}",
        )
    )
