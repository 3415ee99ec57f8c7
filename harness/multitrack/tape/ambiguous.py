"""The router for a request that could belong to any of several open cassettes."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import NoReturn

from multitrack.errors import CassetteMiss, TapeViolation
from multitrack.tape.exchange import Request, Router


class AmbiguousRouter:
    """The router for a request from a thread that belongs to none of several open ``tapes``. It refuses the request.

    Refusing the request fails the tests of all these tapes, because it is unknown which test sent the request.
    """

    mode = "replay"

    def __init__(self, tapes: Sequence[Router]) -> None:
        self._tapes = tapes

    def route(self, request: Request) -> NoReturn:
        """Raise ``CassetteMiss``, because none of the open cassettes belongs to the thread that sent ``request``."""
        violation = CassetteMiss(
            f"{request.method} {request.url.partition('?')[0]} was sent by the thread "
            f"{threading.current_thread().name!r}, and none of the {len(self._tapes)} open cassettes belongs to this "
            f"thread\n"
            f"  start the thread in a copy of the context (contextvars.copy_context().run), use asyncio.to_thread, or\n"
            f"  open the cassette in the thread itself"
        )
        self.add_violation(violation)
        raise violation

    def route_stream(self, request: Request) -> NoReturn:
        """Raise ``CassetteMiss``, as ``route`` does."""
        self.route(request)

    def allows_connection(self, host: str, port: int) -> bool:
        """Return whether every tape allows a raw socket to connect to ``host:port``."""
        return all(tape.allows_connection(host, port) for tape in self._tapes)

    def add_violation(self, violation: TapeViolation) -> None:
        """Fail the tests of all tapes because of ``violation``."""
        for tape in self._tapes:
            tape.add_violation(violation)
