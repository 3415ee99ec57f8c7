"""What was asked of a tape, resolved once into one frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from multitrack.errors import BadOption

Mode = Literal["replay", "record", "record-missing", "live"]
"""``replay`` plays the tape only; ``record`` goes live and replaces; ``record-missing`` plays what the tape has and
goes live for the rest; ``live`` goes live, reads and writes no tape."""

MODES: tuple[Mode, ...] = get_args(Mode)

PACES = ("instant", "recorded")


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of a tape, the same in ``[tool.multitrack]``, on markers and in `use_cassette`.

    ``ignore_hosts``: globs of ``host`` or ``host:port`` that go live unrecorded. ``allow_hosts``: the same, for raw
    sockets that no seam sees. ``keep_headers``: headers kept on the tape beside the built-in ones.
    ``allow_secrets``: texts that look like a secret and are none. ``keep_errors``: keep a final 401, 403, 429, 5xx or
    failed connection. ``pace``: ``instant`` plays an answer at once, ``recorded`` as slowly as it came.
    """

    ignore_hosts: tuple[str, ...] = ()
    allow_hosts: tuple[str, ...] = ()
    keep_headers: tuple[str, ...] = ()
    allow_secrets: tuple[str, ...] = ()
    keep_errors: bool = False
    pace: str = "instant"

    def __post_init__(self) -> None:
        forbidden = {"authorization", "proxy-authorization", "cookie", "set-cookie"}
        for header in self.keep_headers:
            if header.lower() in forbidden:
                raise BadOption(f"keep_headers refuses {header!r}: a credential never reaches a tape")
        if self.pace not in PACES:
            raise BadOption(f"pace is one of {', '.join(PACES)}, not {self.pace!r}")

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
            if isinstance(before, tuple):
                if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
                    raise BadOption(f"{source}: {name} takes a list of strings, not {value!r}")
                changes[name] = (*before, *value)
            elif type(value) is not type(before):
                raise BadOption(f"{source}: {name} takes a {type(before).__name__}, not {value!r}")
            else:
                changes[name] = value
        try:
            return replace(self, **changes)
        except BadOption as error:
            raise BadOption(f"{source}: {error}") from None

    def ignores(self, url: str) -> bool:
        """Whether a request to ``url`` goes live unrecorded."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        return _matches(host, parts.port or {"http": 80}.get(parts.scheme, 443), self.ignore_hosts)

    def allows(self, host: str, port: int) -> bool:
        """Whether a raw socket may connect to ``host:port``."""
        return _matches(host, port, self.allow_hosts) or _matches(host, port, self.ignore_hosts)


def _matches(host: str, port: int, globs: tuple[str, ...]) -> bool:
    # an IPv6 address with its port has brackets, which mean something else in a glob
    names = (host.lower(), f"[{host}]:{port}" if ":" in host else f"{host.lower()}:{port}")
    return any(glob in names or any(fnmatchcase(name, glob) for name in names) for glob in map(str.lower, globs))
