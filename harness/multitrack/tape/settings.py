"""The options of a tape."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import urlsplit

from multitrack.errors import BadOption
from multitrack.hosts import join_host_and_port, split_host_and_port
from multitrack.tape.matching.jsonpath import JsonPath
from multitrack.tape.redaction import secrets

Mode = Literal["replay", "record", "record-missing", "live", "drift"]
"""The way a tape answers requests.

``replay``: only from the cassette. ``record``: from the provider, and the new interactions replace the recorded ones.
``record-missing``: from the cassette, and from the provider if no recording matches. ``live``: from the provider,
without reading or writing a cassette. ``drift``: from the provider, to compare the responses with the cassette, which
stays unchanged.
"""

MODES: tuple[Mode, ...] = ("replay", "record", "record-missing", "live")
"""The modes that a single tape can have; ``drift`` is the mode of a whole run."""

PACES = ("instant", "recorded")

ON_EXPIRY = ("tell", "fail", "record")
"""``tell``: the summary of the run lists the cassette. ``fail``: its tests also fail. ``record``: as ``tell``, but the
mode ``record-missing`` records the cassette again.
"""

MATCHED = ("method", "uri", "scheme", "host", "port", "path", "query", "body")
"""The values of ``match_on``, with vcrpy's names; ``uri`` means scheme, host, port, path and query."""

MATCHED_BY_VCRPY = ("method", "scheme", "host", "port", "path", "query")
"""The parts that vcrpy compares by default: all except the body."""

TELEMETRY = (
    "*.langfuse.com",
    "*.posthog.com",
    "*.sentry.io",
    # traces from openai-agents, which a background thread sends at any time
    "api.openai.com/v1/traces/ingest",
    "api.smith.langchain.com",
    "*.api.smith.langchain.com",
    "app.phoenix.arize.com",
    "logfire-*.pydantic.dev",
    # model prices, which LiteLLM downloads when it is imported, and again in a background thread if that fails
    "raw.githubusercontent.com/BerriAI/litellm",
    "telemetry.crewai.com",
    # traces from openai-agents
    "api.openai.com/v1/traces",
)
"""The hosts that receive telemetry and other background traffic, some with a path. Requests to them are dropped. An
entry in ``drop_hosts`` with a leading ``!`` makes an exception.
"""


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of a tape.

    The options have the same names in ``[tool.multitrack]``, in the ``cassette_options`` fixture, on markers, on the
    command line and in ``use_cassette``. If several places set an option, lists are joined. For other values, the
    order in ``docs/options.md`` decides.
    """

    match_on: tuple[str, ...] = ()
    """The parts of a request that must be equal, out of ``MATCHED``. Empty for all parts."""
    vcr_compatible_matching: bool = False
    """True to compare what vcrpy compares by default, ``MATCHED_BY_VCRPY``, if ``match_on`` is empty."""
    ignore: tuple[str, ...] = ()
    """JSON paths that are not compared. Values that a client generates again in each run are never compared:
    ``$.prompt_cache_key`` if it has the form ``agents-sdk:run:<hex>``, which openai-agents sends, and the ids
    ``pyd_ai_<hex>``, which pydantic-ai gives to calls without an id."""
    placeholders: tuple[tuple[str, str], ...] = ()
    """Words, each with a regular expression. The word replaces what the expression matches in a request, both in the
    cassette and in the comparison."""
    ignore_hosts: tuple[str, ...] = ()
    """Globs of ``host`` or ``host:port``, optionally with a path: ``host/path`` is that path and everything below it,
    and ``*`` in a path also matches slashes. Requests to these hosts are sent to the network, and are not recorded. Raw
    sockets are allowed to connect to the hosts whose glob has no path.
    """
    drop_hosts: tuple[str, ...] = ()
    """Globs like those of ``ignore_hosts``.

    Requests to these hosts, and to ``TELEMETRY``, are answered with success and not sent. A ``!`` in front of a glob
    makes an exception for its hosts.
    """
    allow_hosts: tuple[str, ...] = ()
    """Globs of ``host`` or ``host:port`` to which raw sockets, which no interceptor sees, are allowed to connect.

    A path is an error, because a raw connection has no path.
    """
    keep_headers: tuple[str, ...] = ()
    """Headers to store in addition to the built-in ones."""
    allow_secrets: tuple[str, ...] = ()
    """Strings that look like secrets but are not."""
    redact: str = ""
    """One of the project's functions, as ``module:function``, that receives a string and returns it without private
    data."""
    keep_errors: bool = False
    """True if a final 401, 403, 429, 5xx or failed connection is stored."""
    allow_repeats: bool = False
    """True if an interaction can be replayed more than once."""
    pace: str = "instant"
    """``instant`` replays a response immediately, ``recorded`` as slowly as it arrived."""
    max_age: int = 0
    """The age in days above which a cassette is reported as old. 0 for never."""
    on_expiry: str = "tell"
    """What happens if a cassette is older than ``max_age``: one of ``ON_EXPIRY``."""
    strict: bool = False
    """True if a test must replay all its interactions to pass."""

    def __post_init__(self) -> None:
        for header in self.keep_headers:
            if header.lower() in secrets.credential_headers():
                raise BadOption(f"keep_headers refuses {header!r}: credentials are never stored in a cassette")
        if self.pace not in PACES:
            raise BadOption(f"pace must be one of {', '.join(PACES)}, not {self.pace!r}")
        if self.on_expiry not in ON_EXPIRY:
            raise BadOption(f"on_expiry must be one of {', '.join(ON_EXPIRY)}, not {self.on_expiry!r}")
        if self.max_age < 0:
            raise BadOption(f"max_age must be a number of days, not {self.max_age}")
        for part in self.match_on:
            if part not in MATCHED:
                raise BadOption(f"match_on accepts {', '.join(MATCHED)}, not {part!r}")
        for path in self.ignore:
            try:
                JsonPath.parse(path)
            except ValueError as error:
                raise BadOption(f"ignore: {error}") from error
        for name in ("ignore_hosts", "drop_hosts", "allow_hosts"):
            for glob in getattr(self, name):
                _check_host_glob(glob, name)
        for word, pattern in self.placeholders:
            try:
                re.compile(pattern)
            except re.error as error:
                raise BadOption(f"placeholders: the value of {word} is not a regular expression: {error}") from error

    def with_options(self, options: Mapping[str, Any], source: str) -> Settings:
        """Return these settings with ``options`` applied: lists are extended, and other values are replaced.

        Args:
            options: The value of each option, keyed by the option's name.
            source: The place where the options are set, for error messages.

        Raises:
            BadOption: An option is unknown, or a value has the wrong type.
        """
        changes: dict[str, Any] = {}
        known = {field.name for field in fields(self)}
        for name, value in options.items():
            if name not in known:
                raise BadOption(f"{source}: unknown option {name!r}; known options: {', '.join(sorted(known))}")
            before = getattr(self, name)
            if name == "placeholders":
                changes[name] = (*before, *_read_placeholders(value, source))
            elif isinstance(before, tuple):
                if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
                    raise BadOption(f"{source}: {name} must be a list of strings, not {value!r}")
                changes[name] = (*before, *value)
            elif type(value) is not type(before):
                raise BadOption(f"{source}: {name} must be {_KINDS[type(before)]}, not {value!r}")
            else:
                changes[name] = value
        try:
            return replace(self, **changes)
        except BadOption as error:
            raise BadOption(f"{source}: {error}") from None

    def ignores(self, url: str) -> bool:
        """Return whether a request to ``url`` is sent to the network without being recorded."""
        return _matches_url(url, self.ignore_hosts)

    def drops(self, url: str) -> bool:
        """Return whether a request to ``url`` is dropped: answered with success, and not sent."""
        if not self.drop_hosts:
            return _matches_url(url, TELEMETRY)
        kept = tuple(glob[1:] for glob in self.drop_hosts if glob.startswith("!"))
        dropped = (*TELEMETRY, *(glob for glob in self.drop_hosts if not glob.startswith("!")))
        return _matches_url(url, dropped) and not _matches_url(url, kept)

    def allows_connection(self, host: str, port: int) -> bool:
        """Return whether a raw socket is allowed to connect to ``host:port``."""
        return _matches(host, port, self.allow_hosts) or _matches(host, port, self.ignore_hosts)


_KINDS: Mapping[type, str] = {bool: "true or false", int: "an integer", str: "a string"}


def _read_placeholders(value: Any, source: str) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, Mapping) or not all(isinstance(text, str) for pair in value.items() for text in pair):
        raise BadOption(f"{source}: placeholders must map words to regular expressions, not {value!r}")
    return tuple(value.items())


def _check_host_glob(glob: str, option: str) -> None:
    pattern = glob.removeprefix("!") if option == "drop_hosts" else glob
    if "://" in pattern:
        exception = glob.removesuffix(pattern)
        suggestion = exception + pattern.partition("://")[2]
        raise BadOption(f"{option}: leave out the scheme: write {suggestion!r}, not {glob!r}")
    host, slash, _ = pattern.partition("/")
    if slash and option == "allow_hosts":
        raise BadOption(
            f"{option}: {glob!r} has a path, but a raw connection has none; to allow the whole host: {host!r}"
        )
    if not host or host != host.strip() or host.startswith("!"):
        raise BadOption(f"{option} must contain hosts such as 'api.example.com' or '*.example.com:8080', not {glob!r}")


# cached, because a run's requests go to few URLs
@lru_cache(maxsize=1024)
def _matches_url(url: str, globs: tuple[str, ...]) -> bool:
    host, port = split_host_and_port(url)
    path = urlsplit(url).path or "/"
    return any(
        _matches(host, port, (host_glob,)) and (not slash or _matches_path(path, slash + path_glob))
        for host_glob, slash, path_glob in (glob.partition("/") for glob in globs)
    )


def _matches_path(path: str, glob: str) -> bool:
    return path == glob or path.startswith(glob.rstrip("/") + "/") or fnmatchcase(path, glob)


def _matches(host: str, port: int, globs: tuple[str, ...]) -> bool:
    host = host.lower()
    # an IPv6 address with its port has brackets, which mean something else in a glob
    names = (host, join_host_and_port(host, port), f"[{host}]")
    return any(glob in names or any(fnmatchcase(name, glob) for name in names) for glob in map(str.lower, globs))
