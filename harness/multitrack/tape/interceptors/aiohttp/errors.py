"""aiohttp's exceptions for recorded failures: its own, and those that other clients met."""

from __future__ import annotations

import socket
import ssl

import aiohttp
from aiohttp import BaseConnector, ClientRequest, client_exceptions

from multitrack.tape.failure import During, Failure

# older than 3.10, aiohttp has one class for each of these and others
ConnectionTimeout: type[aiohttp.ServerTimeoutError] = getattr(
    aiohttp, "ConnectionTimeoutError", aiohttp.ServerTimeoutError
)
SocketTimeout: type[aiohttp.ServerTimeoutError] = getattr(aiohttp, "SocketTimeoutError", aiohttp.ServerTimeoutError)
_DNSError: type[aiohttp.ClientConnectorError] = getattr(
    aiohttp, "ClientConnectorDNSError", aiohttp.ClientConnectorError
)

# They hold more than a failure tells of them: an answer, or two certificates.
_UNREPEATABLE = (aiohttp.ClientResponseError, aiohttp.ServerFingerprintMismatch)


def during_connecting(error: BaseException) -> During | None:
    """What aiohttp was doing when it could not connect; None for what `repeated` cannot raise again."""
    if isinstance(error, aiohttp.ClientSSLError):
        return "handshake"
    return "connect" if _is_repeatable(error) else None


def during_reading(error: BaseException) -> During | None:
    """The same for what ended the wait for an answer."""
    return "read" if isinstance(error, TimeoutError) or _is_repeatable(error) else None


def _is_repeatable(error: BaseException) -> bool:
    return isinstance(error, aiohttp.ClientError) and not isinstance(error, _UNREPEATABLE)


def repeated(failure: Failure, connector: BaseConnector, request: ClientRequest) -> Exception:
    """What aiohttp raises when ``connector`` is asked for ``request`` and meets ``failure``: what it raised then, or
    what it makes of that which another client met."""
    if failure.error == TimeoutError.__name__ and failure.during == "read":
        # a limit on the whole of the request, or another client's on reading
        return TimeoutError()
    cause = failure.to_system_error()
    system_error = cause if isinstance(cause, OSError) else ConnectionError(failure.message)
    if system_error.strerror is None:
        # all that aiohttp tells of it
        system_error.strerror = failure.message
    kind = _kind(failure, cause)
    if issubclass(kind, client_exceptions.UnixClientConnectorError):
        return kind(getattr(connector, "path", ""), request.connection_key, system_error)
    if issubclass(kind, aiohttp.ClientConnectorError):
        return kind(request.connection_key, system_error)
    if issubclass(kind, aiohttp.ClientOSError):
        return kind(*system_error.args)
    return kind(failure.message)


def _kind(failure: Failure, cause: Exception) -> type[Exception]:
    named = getattr(client_exceptions, failure.error, None)
    if isinstance(named, type) and issubclass(named, aiohttp.ClientError) and not issubclass(named, _UNREPEATABLE):
        return named
    if failure.during in ("connect", "handshake"):
        if failure.is_timeout:
            return ConnectionTimeout
        if isinstance(cause, ssl.SSLCertVerificationError):
            return aiohttp.ClientConnectorCertificateError
        if isinstance(cause, ssl.SSLError):
            return aiohttp.ClientConnectorSSLError
        return _DNSError if isinstance(cause, socket.gaierror) else aiohttp.ClientConnectorError
    if failure.is_timeout:
        return SocketTimeout
    return aiohttp.ClientOSError if isinstance(cause, OSError) and cause.errno else aiohttp.ServerDisconnectedError
