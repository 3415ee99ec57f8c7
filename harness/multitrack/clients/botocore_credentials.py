"""Stand-ins for the credentials and the region of a boto3 client for Amazon Bedrock.

When a client is created, boto3 searches for credentials and a region. If there are no credentials, the search takes
seconds. If there is no region, boto3 raises an error.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from types import ModuleType
from typing import Any

from multitrack.tape import credentials
from multitrack.tape.patching import Patch
from multitrack.tape.stand_in_word import STAND_IN_WORD

_SERVICE = "bedrock-runtime"
# the pseudonym of the first region in a cassette
_REGION = "location-0"

_is_creating: ContextVar[bool] = ContextVar("multitrack_bedrock_creating", default=False)


def patches(botocore_session: ModuleType) -> list[Patch]:
    """Return the patches for botocore's sessions. Empty if the project replaced botocore with a fake."""
    session = getattr(botocore_session, "Session", None)
    own = getattr(session, "__dict__", ())
    wrappers = {"create_client": _wrap_create_client, "get_credentials": _wrap_get_credentials}
    return [Patch(session, name, wrapper) for name, wrapper in wrappers.items() if name in own]


def _wrap_create_client(create_client: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(create_client)
    def create_for_replay(self: Any, service_name: str, *args: Any, **given: Any) -> Any:
        __tracebackhide__ = True
        if service_name != _SERVICE or not credentials.is_active():
            return create_client(self, service_name, *args, **given)
        from botocore.exceptions import NoRegionError

        token = _is_creating.set(True)
        try:
            try:
                return create_client(self, service_name, *args, **given)
            except NoRegionError as error:
                if args:
                    raise
                missing = error.with_traceback(None)
            client = create_client(self, service_name, **{**given, "region_name": _REGION})
        finally:
            _is_creating.reset(token)
        client.meta.events.register_first(f"before-call.{_SERVICE}", _refuse_to_be_sent(missing))
        return client

    return create_for_replay


def _refuse_to_be_sent(missing: Exception) -> Callable[..., None]:
    def check_replay(**details: Any) -> None:
        del details
        if not credentials.is_replaying():
            credentials.raise_missing(missing)

    return check_replay


def _wrap_get_credentials(get_credentials: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(get_credentials)
    def get_for_replay(self: Any) -> Any:
        if not _is_creating.get():
            return get_credentials(self)
        return _create_credentials(lambda: get_credentials(self))

    return get_for_replay


def _create_credentials(load: Callable[[], Any]) -> Any:
    """Return credentials that call ``load`` only when they have to sign a live request."""
    from botocore.credentials import Credentials
    from botocore.exceptions import NoCredentialsError

    class StandInCredentials(Credentials):  # type: ignore[misc]
        def get_frozen_credentials(self) -> Any:
            if credentials.is_replaying():
                return super().get_frozen_credentials()
            found = load()
            if found is None:
                credentials.raise_missing(NoCredentialsError())
            return found.get_frozen_credentials()

    return StandInCredentials(STAND_IN_WORD, STAND_IN_WORD)


credentials.register("botocore.session", patches)
