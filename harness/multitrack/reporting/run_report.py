"""The data for a run's report in all its formats: Markdown, HTML, JSON and JUnit properties.

In the process that runs the tests, the plugin collects plain data, which pytest-xdist can transfer.
``report.schema.json`` is the JSON Schema of these classes; ``tests/reporting/test_report_formats.py`` writes it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from multitrack.reporting.diagnoses import TITLES, DiagnosisId

VERSION: Literal[1] = 1


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class ReportedCall(_Part):
    """A tool call."""

    tool: str
    arguments: dict[str, JsonValue] | None
    """The arguments by name. A value that JSON does not have, such as a date, is the text of a Python expression. Null
    if the arguments are not an object."""
    text: str | None = None
    """The arguments as they were received, if they are not an object."""


class ReportedChange(_Part):
    """A field in which a received call differs from the expected one."""

    part: Literal["argument", "tool", "id", "arguments"]
    """What differs: one argument, the name of the tool, the id of the call, or all arguments together."""
    path: str
    """The path of the argument, such as ``stops[1].city``. Empty if something else differs."""
    change: Literal["changed", "added", "removed"]
    old: JsonValue = None
    """The expected value. Null also if the field was added."""
    new: JsonValue = None
    """The received value. Null also if the field was removed."""


class ReportedPair(_Part):
    """An expected call and the received call that it was compared with."""

    status: Literal["unchanged", "changed", "moved", "added", "removed", "forbidden", "accepted"]
    """``forbidden``: the tool must not be called. ``accepted``: an additional call that the test allows."""
    expected: ReportedCall | None = None
    received: ReportedCall | None = None
    changes: list[ReportedChange] = []
    restriction: str | None = None
    """The option that forbids the call."""


class ReportedComparison(_Part):
    """A comparison of the expected calls with the calls that the test received."""

    expected_in: Literal["snapshot", "test", "cassette"]
    """Where the expected calls are from."""
    calls: list[ReportedPair]

    @property
    def differing(self) -> Sequence[ReportedPair]:
        """The pairs of calls that differ. Accepted pairs are not included."""
        return [pair for pair in self.calls if pair.status not in ("unchanged", "accepted")]


class ReportedMessage(_Part):
    """A message of a request."""

    role: str
    text: str


class ReportedRequest(_Part):
    """A request, without secrets."""

    method: str
    url: str
    model: str | None
    tools: list[str]
    messages: list[ReportedMessage]
    """The instructions and the messages. Empty if it is not a request to a model."""
    body: str | None = None
    """The body, if it is not a request to a model and not empty."""


class ReportedAnswer(_Part):
    """The answer to a request."""

    status: int
    """The HTTP status. 599 if no answer arrived."""
    ending: Literal["complete", "left", "broken", "unanswered"]
    """``left``: the client stopped reading. ``broken``: the connection broke. ``unanswered``: no answer arrived."""
    wire: str | None
    """The wire format. Null if the answer is not one of a model."""
    calls: list[ReportedCall] = []
    text: str | None = None
    """The text next to the calls, or instead of them."""
    refusal: str | None = None
    error: str | None = None
    finish_reason: str | None = None
    tokens: int | None = None
    """The tokens of the request and the answer, as the provider counted them."""
    seconds: float | None = None
    """How long the caller waited for the answer, if the cassette tells. Only streams have waits of less than 0.5 s."""


class ReportedExchange(_Part):
    """A request and its answer."""

    origin: Literal["replayed", "recorded", "live"]
    """``live``: the answer was only compared with the recorded one."""
    request: ReportedRequest
    answer: ReportedAnswer
    rebound: bool = False
    """True if the request was replaced after the recording, because its wording changed. The answer was kept."""


class ReportedCassette(_Part):
    """A cassette that a test used."""

    path: str
    mode: str
    recorded_at: datetime | None
    """The time of the last recording. Null if it is unknown."""
    age_days: int | None
    provenance: Literal["live", "local", "standin", "corpus"] | None
    """Where the answers are from: a provider, a server on the same machine, Multitrack's stand-in provider, or the
    recorded behaviours that Multitrack contains. Null if there are no answers."""
    pending: str | None = None
    """The file with the pending recording of this run."""
    exchanges: list[ReportedExchange] = []

    def count(self, origin: str) -> int:
        """Return the number of exchanges that have this ``origin``."""
        return sum(exchange.origin == origin for exchange in self.exchanges)

    @property
    def calls(self) -> int:
        """The number of tool calls in the answers."""
        return sum(len(exchange.answer.calls) for exchange in self.exchanges)


class ReportedDifference(_Part):
    """A place where a request differs from the nearest recording."""

    path: str
    """A JSON path such as ``$.messages[0].content``, ``url``, or the name of a field, a part or a line of the body."""
    change: Literal["changed", "added", "removed"]
    recorded: JsonValue = None
    """The recorded value. Null also if the recording does not have it."""
    sent: JsonValue = None
    """The value that was sent. Null also if the request does not have it."""
    meaning: str | None = None
    """What it means for a tool, such as "`Weather.city` is new"."""


class ReportedMiss(_Part):
    """A request that no recording matches."""

    kind: str
    """Why no recording matches: the id of the diagnosis without ``miss-``."""
    cassette: str
    nearest: int | None
    """The position of the nearest recording in the cassette, from 1. Null if there is none."""
    sent_from: str | None
    """The line of the code under test that sent the request."""
    request: ReportedRequest
    differences: list[ReportedDifference]


class ReportedProperty(_Part):
    """A property of an answer, such as the finish reason."""

    name: str
    recorded: str
    live: str


class ReportedDriftRequest(_Part):
    """A comparison of a live answer with the recorded answer."""

    run: int
    """The number of the run, from 1. There are several with ``--calls-drift-samples``."""
    position: int
    """The position of the request in the run, from 1."""
    recording: int | None
    """The position of the recording in the cassette, from 1. Null if no recording matches."""
    verdict: str
    comparison: ReportedComparison | None
    properties: list[ReportedProperty]
    """The properties that differ."""
    lines: list[str]
    """The differences as text."""


class ReportedDrift(_Part):
    """The drift of one cassette."""

    cassette: str
    verdict: str
    holds: bool
    """Whether the recording is still valid."""
    remarks: list[str]
    requests: list[ReportedDriftRequest]


class ReportedDiagnosis(_Part):
    """Why a test failed."""

    id: DiagnosisId
    text: str


class ReportedError(_Part):
    """The error of a failed test as pytest prints it."""

    line: str
    """The first line."""
    text: str


class NextStep(_Part):
    """A command that a user may want to run next."""

    action: Literal["record", "accept", "update-snapshot", "use-other-file"]
    command: str


Outcome = Literal["passed", "failed", "error", "skipped", "xfailed", "xpassed"]
Severity = Literal["failed", "drifted", "pending", "passed"]


class ReportedTest(_Part):
    """A test that used a cassette, or a fixture of wider scope that did."""

    test: str
    """The node id of the test, or the name of the fixture."""
    is_fixture: bool = False
    outcome: Outcome | None = None
    """Null for a fixture."""
    seconds: float = 0
    diagnosis: ReportedDiagnosis | None = None
    cause: str | None = None
    """The cause in words that are the same for all tests with the same cause."""
    error: ReportedError | None = None
    comparison: ReportedComparison | None = None
    """The calls that the failed assertion compared."""
    misses: list[ReportedMiss] = []
    cassettes: list[ReportedCassette] = []
    drift: list[ReportedDrift] = []
    next_steps: list[NextStep] = []

    @property
    def severity(self) -> Severity:
        """How urgently the test needs attention."""
        if self.outcome in ("failed", "error"):
            return "failed"
        if not all(row.holds for row in self.drift):
            return "drifted"
        return "pending" if any(cassette.pending for cassette in self.cassettes) else "passed"

    @property
    def group(self) -> str:
        """The title under which a report lists all tests with the same kind of problem."""
        match self.severity:
            case "failed" if self.diagnosis is not None:
                return TITLES[self.diagnosis.id]
            case "failed":
                return "Other failures"
            case "drifted":
                verdicts = dict.fromkeys(row.verdict for row in self.drift if not row.holds)
                return f"Drift: {', '.join(verdicts)}"
            case "pending":
                return "Pending recordings"
        return "No problems"

    @property
    def requests(self) -> Iterator[ReportedRequest]:
        """The requests of the test: those that were answered, and then the misses."""
        for cassette in self.cassettes:
            yield from (exchange.request for exchange in cassette.exchanges)
        yield from (miss.request for miss in self.misses)

    @property
    def models(self) -> Sequence[str]:
        """The models that the test used."""
        return list(dict.fromkeys(request.model for request in self.requests if request.model))

    @property
    def tools(self) -> Sequence[str]:
        """The names of the tools that the test offered or that the model called."""
        names = [name for request in self.requests for name in request.tools]
        for cassette in self.cassettes:
            names += [call.tool for exchange in cassette.exchanges for call in exchange.answer.calls]
        return list(dict.fromkeys(names))

    @property
    def calls(self) -> int:
        """The number of tool calls that the test received."""
        return sum(cassette.calls for cassette in self.cassettes)


class RunTotals(_Part):
    """The totals of all tests with cassettes."""

    tests: int
    outcomes: dict[str, int]
    drifted: int
    """The number of tests and fixtures with drift."""
    replayed: int
    recorded: int
    live: int
    calls: int
    tokens_saved: int
    """The tokens of the replayed requests and answers, as far as the recorded answers name them."""
    seconds_saved: float
    """The sum of ``seconds`` of all replayed answers."""


class RunReport(_Part):
    """The report of a run of pytest with ``--calls-report``."""

    version: Literal[1] = VERSION
    created_at: datetime
    multitrack: str
    """The version of Multitrack."""
    totals: RunTotals
    tests: list[ReportedTest]
    """Sorted by name."""

    @property
    def worst_first(self) -> Sequence[ReportedTest]:
        """The tests: failures first, then drift, with tests that have the same cause next to each other."""
        groups = [*TITLES.values()]
        ranks: tuple[Severity, ...] = ("failed", "drifted", "pending", "passed")

        def rank(test: ReportedTest) -> tuple[int, int, str, str, str]:
            order = groups.index(test.group) if test.group in groups else len(groups)
            return ranks.index(test.severity), order, test.group, test.cause or "", test.test

        return sorted(self.tests, key=rank)


def make_report(tests: Sequence[ReportedTest], created_at: datetime, multitrack: str) -> RunReport:
    """Return the report of a run.

    Args:
        tests: The tests of the run, with their cassettes.
        created_at: The time of the report.
        multitrack: Multitrack's version.
    """
    exchanges = [exchange for test in tests for cassette in test.cassettes for exchange in cassette.exchanges]
    origins = Counter(exchange.origin for exchange in exchanges)
    replayed = [exchange.answer for exchange in exchanges if exchange.origin == "replayed"]
    outcomes = Counter(test.outcome for test in tests if test.outcome)
    totals = RunTotals(
        tests=outcomes.total(),
        outcomes={str(outcome): count for outcome, count in sorted(outcomes.items())},
        drifted=sum(not all(row.holds for row in test.drift) for test in tests),
        replayed=origins["replayed"],
        recorded=origins["recorded"],
        live=origins["live"],
        calls=sum(test.calls for test in tests),
        tokens_saved=sum(answer.tokens or 0 for answer in replayed),
        seconds_saved=round(sum(answer.seconds or 0 for answer in replayed), 2),
    )
    return RunReport(
        created_at=created_at,
        multitrack=multitrack,
        totals=totals,
        tests=sorted(tests, key=lambda test: test.test),
    )
