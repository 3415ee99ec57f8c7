"""Describe why a response did not arrive, or why it is incomplete.

The description is independent of the client and the machine, so it can be stored in a cassette.
"""

from __future__ import annotations

import builtins
import errno
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

During = Literal["connect", "handshake", "send", "read"]
"""The step that failed: opening a connection, negotiating TLS or a tunnel, sending the request, or waiting for the
response or the rest of it."""

# objects and socket addresses in messages from urllib3, asyncio and aiohttp, and line numbers in Python's source
_MACHINE_DETAILS = re.compile(r" at 0x[0-9a-f]+| \('[^']*', \d+(?:, \d+, \d+)?\)| \(_ssl\.c:\d+\)|_ssl\.c:\d+: ")
_RESOLVER_CODES = {name: number for name, number in vars(socket).items() if name.startswith("EAI_")}


@dataclass(frozen=True, slots=True)
class Failure:
    """The error with which a connection failed, in the form that a cassette stores."""

    error: str
    """The name of the exception's class."""
    message: str = ""
    """The message of the exception, without addresses."""
    during: During = "read"
    code: str = ""
    """The name of the system error, such as ``ECONNREFUSED`` or ``EAI_NONAME``. The name is stored because an error's
    number differs between systems.
    """

    @classmethod
    def from_error(cls, error: BaseException, during: During) -> Failure:
        """Return the failure for ``error``, with the code of the system error that caused it."""
        causes = list(_system_errors(error))
        message = (error.strerror if isinstance(error, OSError) else None) or str(error)
        code = next((code for cause in causes if (code := _find_code(cause))), "")
        return cls(type(error).__name__, _MACHINE_DETAILS.sub("", message), during, code)

    @property
    def is_timeout(self) -> bool:
        """True if the failure is a timeout."""
        return "timeout" in self.error.lower() or self.code == "ETIMEDOUT"

    def to_system_error(self) -> Exception:
        """Return the failure as an error of the operating system or the standard library.

        If only a client library's error was recorded, return the system error that corresponds to it.
        """
        import http.client  # imported only when a client needs it, like that client's interceptor
        import ssl

        homes = (builtins, socket, ssl, http.client)
        named = next((vars(home)[self.error] for home in homes if self.error in vars(home)), None)
        if named is http.client.IncompleteRead:
            return http.client.IncompleteRead(b"")
        number = _RESOLVER_CODES.get(self.code) or getattr(errno, self.code, None)
        if isinstance(named, type) and issubclass(named, ssl.SSLError):
            numbers = {ssl.SSLEOFError: ssl.SSL_ERROR_EOF, ssl.SSLZeroReturnError: ssl.SSL_ERROR_ZERO_RETURN}
            return named(int(numbers.get(named, ssl.SSL_ERROR_SSL)), self.message)
        if isinstance(named, type) and issubclass(named, OSError | http.client.HTTPException):
            return _build_error(named, number, self.message)
        if self.is_timeout:
            return TimeoutError(self.message)
        if self.during == "handshake":
            kind = ssl.SSLCertVerificationError if "CERTIFICATE_VERIFY_FAILED" in self.message else ssl.SSLError
            return kind(int(ssl.SSL_ERROR_SSL), self.message)
        if number is not None:
            return _build_error(socket.gaierror if self.code in _RESOLVER_CODES else OSError, number, self.message)
        return http.client.RemoteDisconnected(self.message) if self.during == "read" else ConnectionError(self.message)


def system_error(error: BaseException) -> OSError | None:
    """Return the first system error in the chain of ``error`` and its causes."""
    return next(_system_errors(error), None)


def _system_errors(error: BaseException) -> Iterator[OSError]:
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        if isinstance(cause, OSError):
            yield cause
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__


def _find_code(error: OSError) -> str:
    number = error.errno
    if isinstance(error, socket.gaierror):
        return next((name for name, code in _RESOLVER_CODES.items() if code == number), "")
    # the number of a TLS error comes from OpenSSL or from Python, not from the system
    return errno.errorcode.get(number or 0, "") if type(error).__module__ != "ssl" else ""


def _build_error(kind: type[Exception], number: int | None, message: str) -> Exception:
    if number is None or not issubclass(kind, OSError):
        return kind(message)
    return kind(number, message)
