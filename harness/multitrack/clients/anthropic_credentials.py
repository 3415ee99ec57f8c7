"""Stand-ins for the key of an Anthropic client, and for the credentials of the SDK's clients for other platforms.

A client for Anthropic's own API can be created without a key; it raises the SDK's error at its first request. The
clients for other platforms look for credentials at their first request, which takes seconds if there are none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial, wraps
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple

from multitrack.tape import credentials
from multitrack.tape.credentials.stand_in_key import EncodedStandInKey
from multitrack.tape.normalize.endpoint_defaults import ENDPOINT
from multitrack.tape.patching import Patch

Init = Callable[..., None]


class _StandInName(str):
    """A stand-in for a project or region that the client was not given. The name matches any recorded name."""


_PROJECT, _REGION = _StandInName("project-0"), _StandInName("location-0")
# a workspace is stored with the pseudonym of a project, and follows the project in the URL
_WORKSPACE = _StandInName("project-1")


class _Platform(NamedTuple):
    """Stand-ins for the arguments that one platform's client requires.

    Attributes:
        defaults: The stand-ins for missing arguments, grouped by a word that appears in the SDK's error about them.
        credentials: Groups of arguments. A client with all arguments of one group does not look for credentials.
        names: Stand-ins for attributes of the client that the SDK requires at the first request, but not earlier.
    """

    defaults: Mapping[str, Mapping[str, Any]]
    credentials: tuple[tuple[str, ...], ...]
    names: Mapping[str, _StandInName] = MappingProxyType({})


_AWS_CREDENTIALS = (("api_key",), ("aws_access_key", "aws_secret_key"))
_PLATFORMS = {
    "AnthropicBedrock": _Platform({"region": {"aws_region": _REGION}}, _AWS_CREDENTIALS),
    "AnthropicBedrockMantle": _Platform(
        {"region": {"aws_region": _REGION, "base_url": f"{ENDPOINT}/anthropic"}}, _AWS_CREDENTIALS
    ),
    "AnthropicAWS": _Platform(
        {"region": {"aws_region": _REGION, "base_url": ENDPOINT}, "workspace": {"workspace_id": "workspace-0"}},
        _AWS_CREDENTIALS,
    ),
    "AnthropicGoogleCloud": _Platform(
        {"project": {"project": _PROJECT}, "workspace": {"workspace_id": _WORKSPACE}},
        (("_token_provider",), ("google_credentials",)),
        {"_project": _PROJECT, "workspace_id": _WORKSPACE},
    ),
    "AnthropicVertex": _Platform(
        {"region": {"region": _REGION, "base_url": f"{ENDPOINT}/v1"}},
        (("access_token",), ("credentials",)),
        {"project_id": _PROJECT},
    ),
    "AnthropicFoundry": _Platform(
        {"credentials": {"api_key": None}, "resource": {"base_url": f"{ENDPOINT}/anthropic/"}},
        (("api_key",), ("_azure_ad_token_provider",)),
    ),
}


def patches(anthropic: ModuleType) -> list[Patch]:
    """Return patches for the constructors of the SDK's clients. Empty if ``anthropic`` is a fake SDK."""
    wrappers: dict[str, Callable[[Init], Init]] = dict.fromkeys(("Anthropic", "AsyncAnthropic"), _add_key)
    for name, platform in _PLATFORMS.items():
        wrappers |= dict.fromkeys((name, f"Async{name}"), _wrap_platform(platform))
    return [
        Patch(client, "__init__", wrapper)
        for name, wrapper in wrappers.items()
        if "__init__" in getattr(client := getattr(anthropic, name, None), "__dict__", ())
    ]


# --- Anthropic's own API --------------------------------------------------------------------------------------------


def _add_key(init: Init) -> Init:
    @wraps(init)
    def __init__(self: Any, *args: Any, **given: Any) -> None:  # noqa: N807
        __tracebackhide__ = True
        init(self, *args, **given)
        if credentials.is_active() and _is_for_own_api(self) and (missing := _find_missing(self)) is not None:
            self.api_key = EncodedStandInKey.replacing(missing)

    return __init__


def _is_for_own_api(client: object) -> bool:
    # the SDK's clients for other platforms inherit from these two classes, and have credentials of their own
    own = ("Anthropic", "AsyncAnthropic")
    return not any(
        base.__module__.partition(".")[0] == "anthropic" and base.__name__.startswith(own) and base.__name__ not in own
        for base in type(client).__mro__
    )


def _find_missing(client: Any) -> TypeError | None:
    """Return the error that the SDK raises at the first request of a ``client`` without a credential, or None."""
    if client.api_key or client.auth_token:
        return None
    headers = client.default_headers
    texts = {name: value for name, value in headers.items() if isinstance(value, str)}
    # the second argument is a mapping in old releases and a set of lower-case names in new ones
    omitted = {key: value for name, value in headers.items() if name not in texts for key in (name, name.lower())}
    try:
        client._validate_headers(type(client._client.headers)(texts), omitted)
    except TypeError as error:
        return error
    return None


# --- other platforms ------------------------------------------------------------------------------------------------


def _wrap_platform(platform: _Platform) -> Callable[[Init], Init]:
    def wrap(init: Init) -> Init:
        @wraps(init)
        def __init__(self: Any, *args: Any, **given: Any) -> None:  # noqa: N807
            __tracebackhide__ = True
            missing: Exception | None = None
            while True:
                try:
                    init(self, *args, **given)
                    break
                except Exception as error:
                    missing = missing or error
                    completed = _add_defaults(platform, given, error) if credentials.is_active() else None
                    if completed is None and missing is error:
                        raise
                    if completed is None:
                        raise missing from None
                    given = completed
            if credentials.is_active():
                _guard(self, platform, missing and missing.with_traceback(None))

        return __init__

    return wrap


def _add_defaults(platform: _Platform, given: Mapping[str, Any], error: Exception) -> dict[str, Any] | None:
    """Return ``given`` with stand-ins for missing arguments. None if ``error`` is not about any known argument."""
    # the SDK's message says which argument is missing
    for word, defaults in platform.defaults.items():
        if word in str(error) and not given.get(next(iter(defaults))):
            stand_ins = {
                name: EncodedStandInKey.replacing(error) if value is None else value for name, value in defaults.items()
            }
            return {**stand_ins, **{name: value for name, value in given.items() if value or name not in stand_ins}}
    return None


def _guard(client: Any, platform: _Platform, missing: Exception | None) -> None:
    """Keep ``client`` from signing requests while a cassette is being replayed.

    At any other time, a request raises the error ``missing``. If ``missing`` is None, the request is sent as usual.

    The guards are set on the client itself, because the client can outlive the block in which it was created.
    """
    # the methods of the class, because a copy of a guarded client has the guards of the original as attributes
    prepare_options = type(client)._prepare_options.__get__(client)
    prepare_request = type(client)._prepare_request.__get__(client)
    is_async = any(base.__name__.startswith("AsyncAnthropic") for base in type(client).__mro__)

    @wraps(prepare_options)
    def prepare_options_for_replay(options: Any) -> Any:
        if missing is not None and not credentials.is_replaying():
            credentials.raise_missing(missing)
        _set_names(client, platform.names)
        return prepare_options(options)

    @wraps(prepare_request)
    def prepare_request_for_replay(request: Any) -> Any:
        has_credentials = any(all(getattr(client, name, None) for name in names) for names in platform.credentials)
        if has_credentials or not credentials.is_replaying():
            return prepare_request(request)
        return _do_nothing() if is_async else None

    client._prepare_options, client._prepare_request = prepare_options_for_replay, prepare_request_for_replay
    client._guard_copy = partial(_guard, platform=platform, missing=missing)
    for name in ("copy", "with_options"):
        setattr(client, name, _guard_copy(getattr(client, name), platform, missing))


def _set_names(client: Any, names: Mapping[str, _StandInName]) -> None:
    """While a cassette is being replayed, set stand-ins for missing ``names``. Otherwise, remove them."""
    for name, stand_in in names.items():
        if credentials.is_replaying():
            if not getattr(client, name, None):
                setattr(client, name, stand_in)
        elif isinstance(getattr(client, name, None), _StandInName):
            setattr(client, name, None)
    if not getattr(client, "_base_url_overridden", True):
        # the URL of this client contains the names
        client._base_url_deferred = True
        if credentials.is_replaying():
            client._resolve_deferred_base_url()


async def _do_nothing() -> None:
    pass


def _guard_copy(copy_client: Callable[..., Any], platform: _Platform, missing: Exception | None) -> Callable[..., Any]:
    @wraps(copy_client)
    def copy_guarded(*args: Any, **given: Any) -> Any:
        copied = copy_client(*args, **given)
        _guard(copied, platform, missing)
        return copied

    return copy_guarded


credentials.register("anthropic", patches)
