"""The data that is collected during a run for an audit: live requests, and the recordings that answered them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from multitrack.tape.exchange import Request


@dataclass(slots=True)
class ObservedCassette:
    """A cassette that was opened in the run.

    Args:
        path: The path of the cassette, as shown in reports.
        recordings: The recorded requests, in order.
        tests: The tests that opened the cassette.
        asked: The tests that sent a request while the cassette was open.
        played: The positions, from 0, of the recordings that answered a request.
        records: The record mode if this run could record into the cassette. Empty otherwise.
        recorded: The number of requests that this run recorded.
        ignore: The JSON paths that are not compared in this cassette, besides those of the project.
        recorder: The program that replays the cassette: ``vcrpy`` or ``multitrack``.
    """

    path: str
    recordings: Sequence[Request]
    tests: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    played: set[int] = field(default_factory=set)
    records: str = ""
    recorded: int = 0
    ignore: tuple[str, ...] = ()
    recorder: str = "vcrpy"


@dataclass(frozen=True, slots=True)
class ObservedPair:
    """A live request, and the recording that answered it.

    Args:
        test: The node id of the test that sent the request.
        cassette: The cassette that contains the recording.
        position: The position of the recording in the cassette, from 0.
        sent: The live request, after the recorder's filters were applied.
        recorded: The recorded request.
        answer: The body of the recorded response.
    """

    test: str
    cassette: ObservedCassette
    position: int
    sent: Request
    recorded: Request
    answer: bytes = b""


@dataclass(frozen=True, slots=True)
class DifferingRequest:
    """A live request that differs from the recording that answered it. All values are redacted plain data.

    Args:
        test: The node id of the test that sent it.
        number: The position of the request among all requests of the test, from 0.
        cassette: The path of the cassette that answered it, as shown in reports.
        position: The position of the recording in the cassette, from 0.
        url: The URL of the live request.
        recorded_url: The URL of the recorded request.
        recorded: The recorded body as a document.
        sent: The live body as a document.
        formats: The formats of the recorded and of the live body, such as "JSON" and "text".
        headers: Maps the name of each header that selects a feature of an API to its recorded and its live value.
        clients: Maps the name of the client library to its recorded and its live version.
        answer_ids: The ids in the live request that come from earlier responses of the test.
        history: The number of messages in the longest earlier conversation that this request continues. Only
            differing requests of the same test count as earlier conversations. None if this request continues none.
    """

    test: str
    number: int
    cassette: str
    position: int
    url: str
    recorded_url: str
    recorded: Any
    sent: Any
    formats: tuple[str, str]
    headers: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    clients: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    answer_ids: Sequence[str] = ()
    history: int | None = None

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> DifferingRequest:
        """Return the request from plain data, in which tuples may have become lists."""
        headers, clients = (
            {name: (pair[0], pair[1]) for name, pair in plain[key].items()} for key in ("headers", "clients")
        )
        formats = plain["formats"]
        return cls(**{**plain, "headers": headers, "clients": clients, "formats": (formats[0], formats[1])})

    def to_plain(self) -> dict[str, Any]:
        """Return the attributes as a dictionary of plain data, which pytest-xdist can transfer."""
        return asdict(self)


@dataclass(slots=True)
class CassetteUse:
    """The use of one cassette in a run, as plain data.

    Args:
        path: The path of the cassette, as shown in reports.
        recordings: The number of recordings.
        tests: The tests that opened the cassette.
        silent_tests: The tests that opened the cassette and sent no request while it was open.
        played: The positions, from 0, of the recordings that answered a request.
        unused: Maps the position of each unused recording, from 0, to the reason: ``repetition`` if it repeats a used
            recording, ``host`` if no test called its host, ``rest`` otherwise.
        hosts: Maps the positions of recordings to their hosts, for hosts that no test called.
        records: The record mode if this run could record into the cassette. Empty otherwise.
        recorded: The number of requests that this run recorded.
        recorder: The program that replays the cassette: ``vcrpy`` or ``multitrack``.
    """

    path: str
    recordings: int
    tests: list[str] = field(default_factory=list)
    silent_tests: list[str] = field(default_factory=list)
    played: set[int] = field(default_factory=set)
    unused: dict[int, str] = field(default_factory=dict)
    hosts: dict[int, str] = field(default_factory=dict)
    records: str = ""
    recorded: int = 0
    recorder: str = "vcrpy"

    def merge(self, other: CassetteUse) -> None:
        """Add what another process observed about the same cassette."""
        self.tests = sorted({*self.tests, *other.tests})
        self.silent_tests = sorted({*self.silent_tests, *other.silent_tests})
        self.played |= other.played
        # "rest" is the fallback: the other process may know that a recording is a repetition
        self.unused = {**other.unused, **{at: why for at, why in self.unused.items() if why != "rest"}} | {
            at: why for at, why in other.unused.items() if why != "rest"
        }
        self.hosts |= other.hosts
        self.records = self.records or other.records
        self.recorded += other.recorded


@dataclass(slots=True)
class Observations:
    """The observations of one process or of the whole run, as plain data.

    Args:
        requests: The number of replayed requests of each test.
        equal: The number of requests that equal their recordings.
        differing: The requests that differ.
        superseded: The requests that equal an unused recording, but were answered by a different one. Each entry is a
            test and its cassette.
        swapped: The requests that equal a recording, although this recording answered a different request of
            the same test. Each entry is a test and its cassette.
        addresses: Maps a part of the URL to the tests in which that part differs from the recorded URLs.
        cassettes: The cassettes.
        secrets: The problems with secrets in each cassette.
        header_names: The names of the headers in any of the recordings.
        sources: The state of each imported source file of the project.
        errors: The errors of the audit itself.
    """

    requests: dict[str, int] = field(default_factory=dict)
    equal: int = 0
    differing: list[DifferingRequest] = field(default_factory=list)
    superseded: list[tuple[str, str]] = field(default_factory=list)
    swapped: list[tuple[str, str]] = field(default_factory=list)
    addresses: dict[str, list[str]] = field(default_factory=dict)
    cassettes: dict[str, CassetteUse] = field(default_factory=dict)
    secrets: dict[str, list[str]] = field(default_factory=dict)
    header_names: set[str] = field(default_factory=set)
    sources: dict[str, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def to_plain(self) -> dict[str, Any]:
        """Return the observations as plain data, which pytest-xdist can transfer."""
        plain = asdict(self)
        plain["header_names"] = sorted(self.header_names)
        for use in plain["cassettes"].values():
            use["played"] = sorted(use["played"])
            use["unused"] = list(use["unused"].items())
            use["hosts"] = list(use["hosts"].items())
        return plain

    def merge_plain(self, plain: Mapping[str, Any]) -> None:
        """Add the observations of another process, as returned by ``to_plain``."""
        for test, count in plain["requests"].items():
            self.requests[test] = self.requests.get(test, 0) + count
        self.equal += plain["equal"]
        self.differing += map(DifferingRequest.from_plain, plain["differing"])
        self.superseded += ((test, cassette) for test, cassette in plain["superseded"])
        self.swapped += ((test, cassette) for test, cassette in plain["swapped"])
        for part, tests in plain["addresses"].items():
            self.addresses.setdefault(part, []).extend(tests)
        for path, use in plain["cassettes"].items():
            values = {
                **use,
                "played": set(use["played"]),
                "unused": {int(at): why for at, why in use["unused"]},
                "hosts": {int(at): host for at, host in use["hosts"]},
            }
            found = CassetteUse(**values)
            if path in self.cassettes:
                self.cassettes[path].merge(found)
            else:
                self.cassettes[path] = found
        self.secrets.update(plain["secrets"])
        self.header_names.update(plain["header_names"])
        self.sources.update(plain["sources"])
        self.errors += plain["errors"]
