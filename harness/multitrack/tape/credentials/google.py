"""Stands in for Google's application default credentials.

They are looked for in a file that the environment names, in gcloud's file, and at the metadata server
(https://google.aip.dev/auth/4110). A file that is there wins. The metadata server is not asked: where there
is none, every question takes three seconds, and replay needs no answer.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

import google.auth
from google.auth import credentials as kinds
from google.auth.exceptions import DefaultCredentialsError

from multitrack.tape.credentials import NOTE, in_force, may_go_live, replaying, suspended
from multitrack.tape.patching import Patch

Found = tuple[Any, str | None]
"""What a look-up gives: credentials and project, or None and None."""
LookUp = Callable[..., Found]

PROJECT = "project-0"
"""The project of the stand-in: the word that stands on a tape for the first project's name."""


class StandInCredentials(kinds.Scoped, kinds.CredentialsWithQuotaProject):
    """Credentials whose token serves replay.

    Where no tape replays they give way to what Google's own look-up finds by then, and raise its
    `DefaultCredentialsError` if that is nothing.
    """

    def __init__(self) -> None:
        self._found: Any = None
        super().__init__()  # type: ignore[no-untyped-call]

    @property
    def token(self) -> str | None:
        """The bearer token, None if there is none yet."""
        if replaying():
            return "multitrack-stand-in"
        return None if self._found is None else self._found.token

    @token.setter
    def token(self, token: str | None) -> None:
        # the base class sets None when it is made, and nobody else sets a token
        del token

    def refresh(self, request: Any) -> None:
        """Get a token. Raises `DefaultCredentialsError` if there are no credentials to get it with."""
        if replaying():
            return
        found = self.found()
        found.refresh(request)
        self.expiry = found.expiry

    def check(self) -> None:
        """Raise `DefaultCredentialsError` if a request may leave and there are no credentials for it."""
        if not replaying():
            self.found()

    @property
    def requires_scopes(self) -> bool:
        """True where what is about to be made from these needs credentials for more than replay."""
        return not in_force() and not replaying()

    def with_scopes(self, scopes: Any, default_scopes: Any = None) -> Any:
        """What a channel or session is made with in the place of these, if `requires_scopes`."""
        found: Any = self.found()
        return kinds.with_scopes_if_required(found, scopes, default_scopes)  # type: ignore[no-untyped-call]

    def with_quota_project(self, quota_project_id: str) -> StandInCredentials:
        """The same credentials, with usage billed to another project."""
        other = copy.copy(self)
        other._quota_project_id = quota_project_id
        return other

    def found(self) -> Any:
        """The credentials that are really there. Raises `DefaultCredentialsError` if there are none."""
        if self._found is None:
            try:
                with suspended():
                    self._found, _ = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
            except DefaultCredentialsError as error:
                error.add_note(NOTE)
                raise
        return self._found


def patches(module: ModuleType) -> list[Patch]:
    """The three steps of the look-up, which also a `default` imported by name takes; the makers of channels."""
    if module.__name__ == "google.api_core.grpc_helpers":
        return [Patch(module, "create_channel", _guarding)]
    if module.__name__ == "google.api_core.grpc_helpers_async":
        return [Patch(module, "create_channel", _guarding_async)]
    steps = sys.modules["google.auth._default"]
    return [
        Patch(steps, "_get_explicit_environ_credentials", _file),
        Patch(steps, "_get_gcloud_sdk_credentials", _file),
        Patch(steps, "_get_gce_credentials", _metadata_server),
    ]


def _file(look_up: LookUp) -> LookUp:
    @wraps(look_up)
    def look_up_or_stand_in(*args: Any, **kwargs: Any) -> Found:
        try:
            return look_up(*args, **kwargs)
        except DefaultCredentialsError:
            if not in_force():
                raise
            return StandInCredentials(), PROJECT

    return look_up_or_stand_in


def _metadata_server(look_up: LookUp) -> LookUp:
    @wraps(look_up)
    def look_up_or_stand_in(*args: Any, **kwargs: Any) -> Found:
        if not in_force():
            return look_up(*args, **kwargs)
        if may_go_live() and not replaying():
            credentials, project = look_up(*args, **kwargs)
            if credentials is not None:
                return credentials, project
        return StandInCredentials(), PROJECT

    return look_up_or_stand_in


def _guarding(create_channel: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(create_channel)
    def create_guarded_channel(target: str, credentials: Any = None, *args: Any, **kwargs: Any) -> Any:
        channel = create_channel(target, credentials, *args, **kwargs)
        if not isinstance(credentials, StandInCredentials):
            return channel
        import grpc

        from multitrack.tape.credentials.google_channel import guard

        return grpc.intercept_channel(channel, guard(credentials.check))

    return create_guarded_channel


def _guarding_async(create_channel: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(create_channel)
    def create_guarded_channel(target: str, credentials: Any = None, *args: Any, **kwargs: Any) -> Any:
        if isinstance(credentials, StandInCredentials):
            from multitrack.tape.credentials.google_channel import async_guards

            kwargs["interceptors"] = [*(kwargs.get("interceptors") or ()), *async_guards(credentials.check)]
        return create_channel(target, credentials, *args, **kwargs)

    return create_guarded_channel
