"""Find threads that are still alive after their test has ended.

A thread that outlives its test can send a request while another test runs. Without this module, the consequences
would depend on the other test. If the other test had no tape, the request would be sent to the network. If the other
test had a tape, the other test would fail because of a request that it did not send.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, WeakSet

if TYPE_CHECKING:
    from multitrack.tape.recording_scope import RecordingScope
    from multitrack.tape.settings import Settings


class OutlivingThreads:
    """The threads that are still alive after their test has ended.

    These threads do not count:

    - threads that a fixture with a wider scope started;
    - workers of a ``ThreadPoolExecutor`` and gRPC's own threads, because later tests may use the same pool, channel or
      event loop;
    - threads that Python did not start, such as those of gRPC's core. Until Python 3.13, ``threading`` lists them as
      alive forever.
    """

    def __init__(self) -> None:
        self._started_before: WeakSet[threading.Thread] = WeakSet()
        self._scopes: WeakKeyDictionary[threading.Thread, tuple[RecordingScope, Settings]] = WeakKeyDictionary()

    def __bool__(self) -> bool:
        """Return whether any thread that outlived its test is still alive."""
        return any(thread.is_alive() for thread in list(self._scopes))

    def begin_test(self) -> None:
        """Remember which threads exist before a test starts."""
        self._started_before = WeakSet(threading.enumerate())

    def end_test(self, scope: RecordingScope) -> None:
        """End ``scope``. If the scope has a tape, remember the threads that are still alive."""
        if scope.guard_settings is None:
            return
        for thread in threading.enumerate():
            if thread not in self._started_before and not _is_exempt(thread):
                self._scopes[thread] = (scope, scope.guard_settings)

    @contextmanager
    def starting_for_several_tests(self) -> Iterator[None]:
        """Allow threads that are started within the block to outlive the current test.

        The threads belong to a fixture with a wider scope, so several tests may use them.
        """
        before = set(threading.enumerate())
        try:
            yield
        finally:
            self._started_before.update(set(threading.enumerate()) - before)

    def find_origin(self) -> tuple[RecordingScope, Settings] | None:
        """Return the finished test that started the current thread, and the settings for requests from its threads.

        Returns None if the thread has not outlived its test.
        """
        return self._scopes.get(threading.current_thread()) if self._scopes else None


def _is_exempt(thread: threading.Thread) -> bool:
    if isinstance(thread, threading._DummyThread):
        return True
    module = getattr(getattr(thread, "_target", None), "__module__", None) or ""
    return module == "concurrent.futures.thread" or module.partition(".")[0] == "grpc"
