"""A failure: why no answer came, or why it broke off, in words that hold for every client and on every machine."""

from __future__ import annotations

import builtins
import errno
import re
import socket
from dataclasses import dataclass
from typing import Literal

During = Literal["connect", "handshake", "send", "read"]
"""What the client was doing: opening a connection, agreeing on TLS or a tunnel over it, sending the request, or
waiting for the answer or the rest of it."""

# objects and socket addresses in messages of urllib3, asyncio and aiohttp
_OF_THE_MACHINE = re.compile(r" at 0x[0-9a-f]+| \('[^']*', \d+(?:, \d+, \d+)?\)")
_RESOLVER_CODES = {name: number for name, number in vars(socket).items() if name.startswith("EAI_")}


@dataclass(frozen=True, slots=True)
class Failure:
    """``error`` is the name of the exception's class, ``message`` what it said, without addresses; ``code`` the name
    of the system's error (``ECONNREFUSED``, ``EAI_NONAME``), since its number is another on another system."""

    error: str
    message: str = ""
    during: During = "read"
    code: str = ""

    @classmethod
    def of(cls, error: BaseException, during: During) -> Failure:
        """What is to be known of ``error``, or of the system's error that caused it."""
        cause = system_error(error)
        message = (cause.strerror if cause is error else None) or str(error)
        code = ""
        if cause is not None and isinstance(cause.errno, int):
            code = _code(cause, cause.errno)
        return cls(type(error).__name__, _OF_THE_MACHINE.sub("", message), during, code)

    @property
    def is_timeout(self) -> bool:
        """Whether time ran out."""
        return "timeout" in self.error.lower() or self.code == "ETIMEDOUT"

    def as_system_error(self) -> Exception:
        """The error that the system or the standard library raised; where only a client's own is known, the one
        that it stands for."""
        import http.client  # waits for a client that needs it, as the seam of that name does
        import ssl

        homes = (builtins, socket, ssl, http.client)
        named = next((vars(home)[self.error] for home in homes if self.error in vars(home)), None)
        if isinstance(named, type) and issubclass(named, OSError | http.client.HTTPException):
            return _built(named, self._number(), self.message)
        if self.is_timeout:
            return TimeoutError(self.message)
        if self.code:
            kind = socket.gaierror if self.code in _RESOLVER_CODES else OSError
            return _built(kind, self._number(), self.message)
        return http.client.RemoteDisconnected(self.message) if self.during == "read" else ConnectionError(self.message)

    def _number(self) -> int | None:
        if self.code.isdecimal():
            return int(self.code)
        return _RESOLVER_CODES.get(self.code, getattr(errno, self.code, None))


def system_error(error: BaseException) -> OSError | None:
    """The first error of the system among ``error`` and what caused it."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        if isinstance(cause, OSError):
            return cause
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__
    return None


def _code(error: OSError, number: int) -> str:
    if isinstance(error, socket.gaierror):
        return next((name for name, code in _RESOLVER_CODES.items() if code == number), str(number))
    # an error of TLS has the number of one of OpenSSL's libraries, or one of Python's own
    return str(number) if type(error).__module__ == "ssl" else errno.errorcode.get(number, str(number))


def _built(kind: type[Exception], number: int | None, message: str) -> Exception:
    if number is None or not issubclass(kind, OSError):
        return kind(message)
    return kind(number, message)
