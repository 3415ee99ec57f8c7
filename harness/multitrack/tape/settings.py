"""What was asked of a tape, resolved once into one frozen value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase
from typing import Any, Literal

from multitrack.errors import BadOption
from multitrack.hosts import join_host_and_port, split_host_and_port
from multitrack.tape.matching.jsonpath import JsonPath
from multitrack.tape.redaction import secrets

Mode = Literal["replay", "record", "record-missing", "live", "drift"]
"""``replay`` plays the tape only; ``record`` goes live and replaces; ``record-missing`` plays what the tape has and
goes live for the rest; ``live`` goes live, reads and writes no tape; ``drift`` goes live, and keeps what came, to be
compared with the tape, which stays as it is."""

MODES: tuple[Mode, ...] = ("replay", "record", "record-missing", "live")
"""Those that one tape can be asked for; ``drift`` is that of a whole run."""

PACES = ("instant", "recorded")

MATCHED = ("method", "uri", "scheme", "host", "port", "path", "query", "body")
"""What ``match_on`` may name, by vcrpy's words; ``uri`` stands for scheme, host, port, path and query."""

TELEMETRY = (
    "*.langfuse.com",
    "*.posthog.com",
    "*.sentry.io",
    "api.smith.langchain.com",
    "*.api.smith.langchain.com",
    "app.phoenix.arize.com",
    "logfire-*.pydantic.dev",
    "telemetry.crewai.com",
)
"""Hosts that are told what an application does, and that are dropped unless a project takes one back."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of a tape, the same in ``[tool.multitrack]``, in the fixture ``cassette_options``, on markers, on
    the command line and in `use_cassette`.

    Lists add up. ``match_on``: the parts of a request that must be equal, all where it is empty. ``ignore``: JSON
    paths that are left out of the comparison. ``placeholders``: words, each with a regular expression, that stand for
    what it matches in a request, on the tape and in the comparison. ``ignore_hosts``: globs of ``host`` or
    ``host:port`` that go live unrecorded. ``drop_hosts``: the same, refused quietly, beside `TELEMETRY`; one with
    ``!`` in front is not. ``allow_hosts``: the same, for raw sockets that no seam sees. ``keep_headers``: headers kept
    on the tape beside the built-in ones. ``allow_secrets``: texts that look like a secret and are none.
    ``keep_errors``: keep a final 401, 403, 429, 5xx or failed connection. ``allow_repeats``: an interaction may be
    played more than once. ``pace``: ``instant`` plays an answer at once, ``recorded`` as slowly as it came.
    ``max_age``: the days after which a tape is told to be old, 0 for never. ``strict``: what was not played fails.
    """

    match_on: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    placeholders: tuple[tuple[str, str], ...] = ()
    ignore_hosts: tuple[str, ...] = ()
    drop_hosts: tuple[str, ...] = ()
    allow_hosts: tuple[str, ...] = ()
    keep_headers: tuple[str, ...] = ()
    allow_secrets: tuple[str, ...] = ()
    keep_errors: bool = False
    allow_repeats: bool = False
    pace: str = "instant"
    max_age: int = 0
    strict: bool = False

    def __post_init__(self) -> None:
        for header in self.keep_headers:
            if header.lower() in secrets.CREDENTIAL_HEADERS:
                raise BadOption(f"keep_headers refuses {header!r}: a credential never reaches a tape")
        if self.pace not in PACES:
            raise BadOption(f"pace is one of {', '.join(PACES)}, not {self.pace!r}")
        if self.max_age < 0:
            raise BadOption(f"max_age is a number of days, not {self.max_age}")
        for part in self.match_on:
            if part not in MATCHED:
                raise BadOption(f"match_on takes {', '.join(MATCHED)}, not {part!r}")
        for path in self.ignore:
            try:
                JsonPath.parse(path)
            except ValueError as error:
                raise BadOption(f"ignore: {error}") from error
        for word, pattern in self.placeholders:
            try:
                re.compile(pattern)
            except re.error as error:
                raise BadOption(f"placeholders: {word} is no regular expression: {error}") from error

    def with_options(self, options: Mapping[str, Any], source: str) -> Settings:
        """These settings with ``options`` of a stronger ``source`` on top: lists add up, others replace.

        Raises `BadOption`, naming the source, for an unknown option or a value of the wrong type.
        """
        changes: dict[str, Any] = {}
        known = {field.name for field in fields(self)}
        for name, value in options.items():
            if name not in known:
                raise BadOption(f"{source}: unknown option {name!r}; known are {', '.join(sorted(known))}")
            before = getattr(self, name)
            if name == "placeholders":
                changes[name] = (*before, *_words(value, source))
            elif isinstance(before, tuple):
                if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
                    raise BadOption(f"{source}: {name} takes a list of strings, not {value!r}")
                changes[name] = (*before, *value)
            elif type(value) is not type(before):
                raise BadOption(f"{source}: {name} takes {_KINDS[type(before)]}, not {value!r}")
            else:
                changes[name] = value
        try:
            return replace(self, **changes)
        except BadOption as error:
            raise BadOption(f"{source}: {error}") from None

    def ignores(self, url: str) -> bool:
        """Whether a request to ``url`` goes live unrecorded."""
        return _matches(*split_host_and_port(url), self.ignore_hosts)

    def drops(self, url: str) -> bool:
        """Whether a request to ``url`` is refused quietly: it goes nowhere, and no test fails by it."""
        kept = tuple(glob[1:] for glob in self.drop_hosts if glob.startswith("!"))
        dropped = (*TELEMETRY, *(glob for glob in self.drop_hosts if not glob.startswith("!")))
        return _matches(*split_host_and_port(url), dropped) and not _matches(*split_host_and_port(url), kept)

    def allows_connection(self, host: str, port: int) -> bool:
        """Whether a raw socket may connect to ``host:port``."""
        return _matches(host, port, self.allow_hosts) or _matches(host, port, self.ignore_hosts)


_KINDS: Mapping[type, str] = {bool: "true or false", int: "a whole number", str: "a text"}


def _words(value: Any, source: str) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, Mapping) or not all(isinstance(text, str) for pair in value.items() for text in pair):
        raise BadOption(f"{source}: placeholders takes words with a regular expression for each, not {value!r}")
    return tuple(value.items())


def _matches(host: str, port: int, globs: tuple[str, ...]) -> bool:
    # an IPv6 address with its port has brackets, which mean something else in a glob
    names = (host.lower(), join_host_and_port(host.lower(), port))
    return any(glob in names or any(fnmatchcase(name, glob) for name in names) for glob in map(str.lower, globs))
