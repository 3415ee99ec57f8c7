"""Turn errors in the routing of a request into violations.

Otherwise, the code under test would mistake a routing error for an error of its client, and might ignore the error or
repeat the request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from types import TracebackType

from multitrack.errors import RoutingError
from multitrack.tape.exchange import Request
from multitrack.tape.violations import Violations


class RoutingGuard:
    """A guard that fails the test if an error is raised while a request is routed.

    The error can come from Multitrack's own code or from one of the user's functions.
    """

    def __init__(self, violations: Violations, redact: Callable[[str], str], shown_path: Path) -> None:
        """Create the guard.

        Args:
            violations: The tape's violations.
            redact: Removes secrets from a message.
            shown_path: The path of the cassette as messages show it.
        """
        self._violations = violations
        self._redact = redact
        self._shown_path = shown_path

    @contextmanager
    def watch(self, request: Request) -> Iterator[None]:
        """Within the block, which routes ``request``, turn every error into a ``RoutingError``."""
        try:
            yield
        except Exception as error:
            raise self._hold(request, error) from error

    def wrap_lock(self, lock: AbstractContextManager[object], request: Request) -> AbstractContextManager[None]:
        """Wrap ``lock``. An error that is raised while it is held becomes a ``RoutingError`` for ``request``.

        The returned lock can be acquired repeatedly.
        """
        return _WatchingLock(lock, lambda error: self._hold(request, error))

    def _hold(self, request: Request, error: Exception) -> RoutingError:
        violation = RoutingError(_describe_failure(request, error))
        self._violations.add(violation)
        with suppress(Exception):
            violation.args = (self._redact(f"{violation}\n  cassette: {self._shown_path}"),)
        return violation


class _WatchingLock:
    def __init__(self, lock: AbstractContextManager[object], hold: Callable[[Exception], RoutingError]) -> None:
        self._lock = lock
        self._hold = hold

    def __enter__(self) -> None:
        self._lock.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._lock.__exit__(kind, error, traceback)
        if isinstance(error, Exception):
            raise self._hold(error) from error


def _describe_failure(request: Request, error: Exception) -> str:
    url = request.url.partition("?")[0]
    return (
        f"{request.method} {url} could not be routed: {type(error).__name__}: {error}\n"
        f"  if the traceback shows a function or a setting of the project, correct it\n"
        f"  otherwise, the error is a bug in Multitrack: report it at https://github.com/multitrack/multitrack/issues"
    )
