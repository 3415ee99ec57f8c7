"""Recreate recorded failures as aiohttp's exceptions, whether aiohttp or a different client recorded them."""

from __future__ import annotations

import socket
import ssl

import aiohttp
from aiohttp import BaseConnector, ClientRequest, client_exceptions

from multitrack.tape.failure import During, Failure

# before version 3.10, aiohttp used more general classes for these errors
ConnectionTimeout: type[aiohttp.ServerTimeoutError] = getattr(
    aiohttp, "ConnectionTimeoutError", aiohttp.ServerTimeoutError
)
SocketTimeout: type[aiohttp.ServerTimeoutError] = getattr(aiohttp, "SocketTimeoutError", aiohttp.ServerTimeoutError)
_DNSError: type[aiohttp.ClientConnectorError] = getattr(
    aiohttp, "ClientConnectorDNSError", aiohttp.ClientConnectorError
)

# Errors whose constructor needs objects that a `Failure` does not store: a response, or two certificates.
_NOT_RECREATABLE = (aiohttp.ClientResponseError, aiohttp.ServerFingerprintMismatch)


def during_connecting(error: BaseException) -> During | None:
    """Return the phase in which aiohttp failed to connect, or None if a replay could not raise the same error."""
    if isinstance(error, aiohttp.ClientSSLError):
        return "handshake"
    return "connect" if _is_recreatable(error) else None


def during_reading(error: BaseException) -> During | None:
    """Return ``"read"``, the phase of an error that aiohttp raised while it read a response.

    Returns None if a replay could not raise the same error.
    """
    return "read" if isinstance(error, TimeoutError) or _is_recreatable(error) else None


def _is_recreatable(error: BaseException) -> bool:
    return isinstance(error, aiohttp.ClientError) and not isinstance(error, _NOT_RECREATABLE)


def recreate_error(failure: Failure, connector: BaseConnector, request: ClientRequest) -> Exception:
    """Return the exception that aiohttp raises for ``failure``.

    If a different client raised the recorded exception, the result is aiohttp's equivalent.
    """
    if failure.error == TimeoutError.__name__ and failure.during == "read":
        # the whole request's time limit, or another client's read timeout
        return TimeoutError()
    cause = failure.to_system_error()
    system_error = cause if isinstance(cause, OSError) else ConnectionError(failure.message)
    if system_error.strerror is None:
        # the only part that aiohttp prints
        system_error.strerror = failure.message
    kind = _find_error_type(failure, cause)
    if issubclass(kind, client_exceptions.UnixClientConnectorError):
        return kind(getattr(connector, "path", ""), request.connection_key, system_error)
    if issubclass(kind, aiohttp.ClientConnectorError):
        return kind(request.connection_key, system_error)
    if issubclass(kind, aiohttp.ClientOSError):
        return kind(*system_error.args)
    return kind(failure.message)


def _find_error_type(failure: Failure, cause: Exception) -> type[Exception]:
    named = getattr(client_exceptions, failure.error, None)
    if isinstance(named, type) and issubclass(named, aiohttp.ClientError) and not issubclass(named, _NOT_RECREATABLE):
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
