"""Facts about the last run of pytest, for later commands such as ``multitrack prune``.

The facts are in one file in pytest's cache, ``.pytest_cache/v/multitrack/run``. The plugin writes this file at the
end of each run that used a cassette, after it has merged the results from all pytest-xdist processes. All text is
redacted. ``read_facts`` returns the facts; paths are relative to ``RunFacts.root``, with forward slashes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from multitrack.errors import MultitrackError
from multitrack.shell_commands import RunOptions, ShellCommands

VERSION = 4
CACHE_KEY = "multitrack/run"
"""The key in pytest's cache."""
_FILE = Path(".pytest_cache", "v", *CACHE_KEY.split("/"))
_AGAIN = "run all tests with pytest, and then repeat this command"
MAX_BODIES = 20_000_000
"""The maximum total size, in characters, of the request bodies in the file. Later bodies are left out."""


@dataclass(frozen=True, slots=True)
class UsedCassette:
    """A cassette that the run used.

    Args:
        digest: The digest of the file at the end of the run, as ``digest_file`` returns it.
        played: The positions of the interactions that were replayed, from 1.
        is_open: Whether another run can replay more of the cassette, because a test that uses the cassette was
            skipped or is an xfail.
    """

    digest: str
    played: Sequence[int]
    is_open: bool = False

    def fits(self, path: Path) -> bool:
        """Return whether the file at ``path`` has not changed since the run."""
        return digest_file(path) == self.digest


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """A request as it would be stored in a cassette.

    Args:
        method: The method, in upper case.
        url: The URL.
        headers: The names and values of the stored headers.
        text: The body, in base64 if it is not text.
        is_base64: Whether ``text`` is base64.
    """

    method: str
    url: str
    headers: Sequence[tuple[str, str]]
    text: str
    is_base64: bool = False

    @classmethod
    def from_body(cls, method: str, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> StoredRequest:
        """Return a request with the bytes in ``body`` stored as text or base64."""
        try:
            return cls(method, url, headers, body.decode())
        except UnicodeDecodeError:
            return cls(method, url, headers, base64.b64encode(body).decode(), is_base64=True)

    @property
    def body(self) -> bytes:
        """The body as bytes."""
        return base64.b64decode(self.text) if self.is_base64 else self.text.encode()


@dataclass(frozen=True, slots=True)
class ChangedRequest:
    """A request that differs from all recordings, found by a miss or by an audit.

    Args:
        test: The node id of the test that sent it, or the name of the fixture. Empty if neither sent it.
        cassette: The cassette. The file may not exist.
        message: What the run reported. Empty if an audit found the difference.
        request: The request. None if it was dropped, because the run's requests are too large in total.
        nearest: The position of the nearest recording in the cassette, from 1. None if there is none, or if the
            search for it was skipped.
        is_only_wording: Whether the wording is the only difference between the request and that recording, so that
            ``multitrack rebind`` can keep the answer.
        pseudonyms: The pseudonyms in the request.
        moved_from: The arguments for ``multitrack mv``: the earlier and the new name of the test. None unless the
            cassette with the earlier name contains the request.
    """

    test: str
    cassette: str
    message: str = ""
    request: StoredRequest | None = None
    nearest: int | None = None
    is_only_wording: bool = False
    pseudonyms: Sequence[str] = ()
    moved_from: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class ChangedSnapshot:
    """A snapshot whose calls differ from the calls that the test received.

    Args:
        test: The node id of the test.
        file: The snapshot file.
        name: The name of the entry in that file.
        stored: The text of the entry when the test compared it. Empty if there was no entry.
        received: The entry that an update would write, without its note.
        message: The lines that show the difference.
        note: The comment that an update would write below the entry.
    """

    test: str
    file: str
    name: str
    stored: str
    received: str
    message: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class DriftedCassette:
    """A cassette whose recordings are no longer valid, according to ``--calls-drift``.

    Args:
        test: The node id of the test, or the name of the fixture.
        cassette: The cassette.
        verdict: The kinds of drift, such as "arguments changed".
        details: The lines that show the differences.
    """

    test: str
    cassette: str
    verdict: str
    details: Sequence[str]


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """A cause of differences between requests and their recordings, reported by ``--calls-audit``.

    Args:
        title: What changed, in one line.
        section: The title of the section of the report.
        tests: The node ids of the tests whose requests changed.
        lines: The lines that describe the change.
        command: The command that fixes the difference, to run in the folder where the run was started. Empty if there
            is none.
    """

    title: str
    section: str
    tests: Sequence[str]
    lines: Sequence[str]
    command: str


@dataclass(frozen=True, slots=True)
class RunFacts:
    """The facts about one run.

    Args:
        root: pytest's root folder. All paths and node ids are relative to it.
        is_full: Whether the run included all of the project's tests.
        limit: Why the run does not show which recordings are unused: the end of a sentence that begins with "this
            run", such as "was limited to the given paths". None if all tests ran, replayed and passed.
        cassettes: The cassettes that the run used, by their path.
        collected: The cassettes of all collected tests.
        misses: The requests without a recording, in the order of their tests.
        audited: If the run was an audit, the requests that were answered although their wording differs from the
            recording.
        snapshots: The snapshots whose calls differ from the received calls.
        drift: The cassettes whose recordings are no longer valid, if the run compared them with live responses.
        findings: The findings of the audit, if the run was an audit.
        folder: The folder where the run was started.
        options: The run's options that a command for a single test must repeat.
    """

    root: Path = Path()
    is_full: bool = False
    limit: str | None = None
    cassettes: Mapping[str, UsedCassette] = field(default_factory=dict)
    collected: Sequence[str] = ()
    misses: Sequence[ChangedRequest] = ()
    audited: Sequence[ChangedRequest] = ()
    snapshots: Sequence[ChangedSnapshot] = ()
    drift: Sequence[DriftedCassette] = ()
    findings: Sequence[AuditFinding] = ()
    folder: str = "."
    options: RunOptions = RunOptions()  # noqa: RUF009 - it is frozen

    @property
    def commands(self) -> ShellCommands:
        """The builder of commands for the current folder."""
        return ShellCommands(self.root, Path.cwd(), self.options)

    def to_plain(self) -> dict[str, Any]:
        """Return the facts as a dictionary that can be represented as JSON."""
        plain = asdict(replace(self, misses=limit_bodies(self.misses), audited=limit_bodies(self.audited)))
        del plain["root"]
        return {"version": VERSION, **plain}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], root: Path) -> RunFacts:
        """Return the facts from the result of ``to_plain``.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: The facts are damaged.
        """
        return cls(
            root,
            plain["is_full"],
            plain["limit"],
            {name: UsedCassette(**used) for name, used in plain["cassettes"].items()},
            plain["collected"],
            [read_request(one) for one in plain["misses"]],
            [read_request(one) for one in plain["audited"]],
            [ChangedSnapshot(**one) for one in plain["snapshots"]],
            [DriftedCassette(**one) for one in plain["drift"]],
            [AuditFinding(**one) for one in plain["findings"]],
            plain["folder"],
            RunOptions(**plain["options"]),
        )

    def relative(self, path: Path) -> str:
        """Return ``path`` relative to ``root``, with forward slashes."""
        return Path(os.path.relpath(path, self.root)).as_posix()

    def find_problem(self, path: Path) -> str | None:
        """Return why the facts do not fit the cassette at ``path``. None if they fit it."""
        used = self.cassettes.get(self.relative(path))
        if used is None:
            return f"the last run did not use this cassette\n  {_AGAIN}"
        return None if used.fits(path) else f"changed since the last run\n  {_AGAIN}"


def read_request(plain: Mapping[str, Any]) -> ChangedRequest:
    """Return the request that ``plain`` represents. ``plain`` can contain lists instead of tuples."""
    request, moved = plain["request"], plain["moved_from"]
    if request is not None:
        request = StoredRequest(**{**request, "headers": [(name, value) for name, value in request["headers"]]})
    return ChangedRequest(
        **{**plain, "request": request, "moved_from": None if moved is None else (str(moved[0]), str(moved[1]))}
    )


def limit_bodies(requests: Iterable[ChangedRequest]) -> list[ChangedRequest]:
    """Return ``requests``, but drop each body that would make the file larger than ``MAX_BODIES``."""
    found, size = [], 0
    for one in requests:
        size += 0 if one.request is None else len(one.request.text)
        found.append(one if size <= MAX_BODIES else replace(one, request=None))
    return found


def digest_file(path: Path) -> str | None:
    """Return a digest of the file at ``path``. None if it does not exist."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def find_root(folder: Path) -> Path | None:
    """Return the nearest folder with facts about a run. None if there is none.

    The search starts in ``folder`` and goes upwards within the repository.
    """
    for parent in (folder, *folder.parents):
        if (parent / _FILE).is_file():
            return parent
        if (parent / ".git").exists():
            return None
    return None


def read_facts(folder: Path) -> RunFacts:
    """Return the facts about the last run, from pytest's cache in ``folder`` or above it in the same repository.

    Raises:
        MultitrackError: There are no facts, the facts are damaged, or another version of Multitrack wrote the facts.
    """
    if (root := find_root(folder)) is None:
        raise MultitrackError(f"{folder}: there are no stored results of a pytest run that used a cassette\n  {_AGAIN}")
    path = root / _FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document.pop("version") != VERSION:
            raise MultitrackError(f"another version of Multitrack wrote the results of the last run\n  {_AGAIN}")
        return RunFacts.from_plain(document, root)
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise MultitrackError(f"{path}: the results of the last run are damaged: {error}\n  {_AGAIN}") from error
