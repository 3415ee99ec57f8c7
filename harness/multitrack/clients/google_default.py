"""Replace Google's application default credentials with a stand-in if no credentials file exists.

Google's library looks for the credentials in the file whose path is in an environment variable, in gcloud's file, and
at the metadata server (https://google.aip.dev/auth/4110). With the stand-in, a replay does not ask the metadata
server. On a machine without such a server, the request would take three seconds to fail.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

import google.auth
from google.auth import credentials as google_credentials
from google.auth.exceptions import DefaultCredentialsError

from multitrack.tape.credentials import NOTE, is_active, is_replaying, may_go_live, suspend
from multitrack.tape.patching import Patch
from multitrack.tape.stand_in_word import STAND_IN_WORD

FoundCredentials = tuple[Any, str | None]
"""Credentials and project, or None and None."""
FindCredentials = Callable[..., FoundCredentials]

PROJECT = "project-0"
"""The stand-in's project: the pseudonym of the first project in a cassette."""


class StandInCredentials(google_credentials.Scoped, google_credentials.CredentialsWithQuotaProject):
    """Credentials that provide a stand-in token during replay.

    When no cassette is being replayed, Google's own search for credentials is used. If this search finds none, the
    stand-in credentials raise ``DefaultCredentialsError``.
    """

    def __init__(self) -> None:
        self._real: Any = None
        super().__init__()  # type: ignore[no-untyped-call]

    @property
    def token(self) -> str | None:
        """The bearer token, or None if there is none yet."""
        if is_replaying():
            return STAND_IN_WORD
        return None if self._real is None else self._real.token

    @token.setter
    def token(self, token: str | None) -> None:
        # only the constructor of the base class sets it, to None
        del token

    def refresh(self, request: Any) -> None:
        """Get a token, or raise ``DefaultCredentialsError`` if there are no real credentials."""
        if is_replaying():
            return
        real = self.find_real()
        real.refresh(request)
        self.expiry = real.expiry

    def find_call_metadata(self) -> tuple[tuple[str, str], ...]:
        """Return metadata with the stand-in token. gRPC would add the token too late for the tape.

        Returns no metadata if the call is sent with a real token. Raises ``DefaultCredentialsError`` if there are no
        real credentials.
        """
        if is_replaying():
            return (("authorization", f"Bearer {STAND_IN_WORD}"),)
        self.find_real()
        return ()

    @property
    def requires_scopes(self) -> bool:
        """True if a channel or session that is being created requires real credentials."""
        return not is_active() and not is_replaying()

    def with_scopes(self, scopes: Any, default_scopes: Any = None) -> Any:
        """Return the real credentials. A channel or session that requires scopes uses them instead of this object."""
        real: Any = self.find_real()
        return google_credentials.with_scopes_if_required(real, scopes, default_scopes)  # type: ignore[no-untyped-call]

    def with_quota_project(self, quota_project_id: str) -> StandInCredentials:
        """Return a copy that bills usage to a different project."""
        other = copy.copy(self)
        other._quota_project_id = quota_project_id
        return other

    def find_real(self) -> Any:
        """Return the real credentials, or raise ``DefaultCredentialsError`` if there are none."""
        if self._real is None:
            try:
                with suspend():
                    self._real, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
            except DefaultCredentialsError as error:
                error.add_note(NOTE)
                raise
        return self._real


def patches(module: ModuleType) -> list[Patch]:
    """Patch the three steps of Google's search for credentials, and the functions that create channels.

    ``google.auth.default`` itself is not patched, because a module that has already imported the function would use
    it unpatched.
    """
    if module.__name__ == "google.auth.transport.grpc":
        return [Patch(module, "secure_authorized_channel", _add_guard_to_authorized_channel)]
    if module.__name__ == "google.api_core.grpc_helpers":
        return [Patch(module, "create_channel", _add_guard)]
    if module.__name__ == "google.api_core.grpc_helpers_async":
        return [Patch(module, "create_channel", _add_async_guards)]
    steps = sys.modules["google.auth._default"]
    return [
        Patch(steps, "_get_explicit_environ_credentials", _read_file),
        Patch(steps, "_get_gcloud_sdk_credentials", _read_file),
        Patch(steps, "_get_gce_credentials", _ask_metadata_server),
    ]


def _read_file(find: FindCredentials) -> FindCredentials:
    @wraps(find)
    def find_or_stand_in(*args: Any, **kwargs: Any) -> FoundCredentials:
        try:
            return find(*args, **kwargs)
        except DefaultCredentialsError:
            if not is_active():
                raise
            return StandInCredentials(), PROJECT

    return find_or_stand_in


def _ask_metadata_server(find: FindCredentials) -> FindCredentials:
    @wraps(find)
    def find_or_stand_in(*args: Any, **kwargs: Any) -> FoundCredentials:
        if not is_active():
            return find(*args, **kwargs)
        if may_go_live() and not is_replaying():
            credentials, project = find(*args, **kwargs)
            if credentials is not None:
                return credentials, project
        return StandInCredentials(), PROJECT

    return find_or_stand_in


def _add_guard(create_channel: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(create_channel)
    def create_guarded_channel(target: str, credentials: Any = None, *args: Any, **kwargs: Any) -> Any:
        return _guard(create_channel(target, credentials, *args, **kwargs), credentials)

    return create_guarded_channel


def _add_guard_to_authorized_channel(create_channel: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(create_channel)
    def create_guarded_channel(credentials: Any, *args: Any, **kwargs: Any) -> Any:
        return _guard(create_channel(credentials, *args, **kwargs), credentials)

    return create_guarded_channel


def _guard(channel: Any, credentials: Any) -> Any:
    if not isinstance(credentials, StandInCredentials):
        return channel
    import grpc

    from multitrack.clients.google_channel import create_guard

    return grpc.intercept_channel(channel, create_guard(credentials.find_call_metadata))


def _add_async_guards(create_channel: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(create_channel)
    def create_guarded_channel(target: str, credentials: Any = None, *args: Any, **kwargs: Any) -> Any:
        if isinstance(credentials, StandInCredentials):
            from multitrack.clients.google_channel import create_async_guards

            guards = create_async_guards(credentials.find_call_metadata)
            kwargs["interceptors"] = [*(kwargs.get("interceptors") or ()), *guards]
        return create_channel(target, credentials, *args, **kwargs)

    return create_guarded_channel
