"""The result of an audit: the findings, and other facts about the cassettes of the run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from multitrack.audit.classified_change import ChangeContext, Kind
from multitrack.audit.findings import Finding, find_findings
from multitrack.audit.observed import CassetteUse, Observations

RECORDING_MODES = frozenset({"new_episodes", "all", "any"})
"""vcrpy's record modes that may record even if a cassette exists."""


@dataclass(frozen=True, slots=True)
class UnusedRecordings:
    """The unused recordings in a cassette, grouped by the reason why no request used them.

    Args:
        cassette: The path of the cassette, in the form to show in reports.
        repetition: The positions, from 1, of recordings whose request is equal to that of a used recording.
        host: The positions of recordings for hosts that no test called.
        rest: The positions of all other unused recordings.
        hosts: The hosts that no test called.
    """

    cassette: str
    repetition: Sequence[int] = ()
    host: Sequence[int] = ()
    rest: Sequence[int] = ()
    hosts: Sequence[str] = ()


@dataclass(slots=True)
class AuditReport:
    """Everything that a run's report contains.

    Args:
        findings: The findings, in the order of the report.
        commands: For each finding, the command that records its tests again. An empty string if there is none.
        requests: The number of replayed requests.
        tests: The number of tests that sent them.
        different: The number of requests that differ from their recordings.
        different_tests: The tests that sent these requests.
        passed_tests: The number of ``different_tests`` that passed.
        superseded: For each cassette, the tests that sent a request equal to an unused recording, but received the
            response of a different recording.
        swapped: The tests in which requests received each other's recordings.
        addresses: For each part of a URL, the number of requests in which this part differs from the recorded URL.
        unused: The unused recordings.
        silent: The tests that passed without sending a request, each with its cassette.
        secrets: For each cassette, the problems with secrets.
        recording: For each cassette into which the run could record, the record mode.
        recorded: The number of requests that this run recorded.
        previous: A comparison of this run with the previous run. Empty if there was none.
        costs: For each test, the number of requests that it sends when it is recorded again.
        errors: The errors of the audit itself.
    """

    findings: Sequence[Finding] = ()
    commands: Sequence[str] = ()
    requests: int = 0
    tests: int = 0
    different: int = 0
    different_tests: Sequence[str] = ()
    passed_tests: int = 0
    superseded: Mapping[str, Sequence[str]] = field(default_factory=dict)
    swapped: Sequence[str] = ()
    addresses: Mapping[str, int] = field(default_factory=dict)
    unused: Sequence[UnusedRecordings] = ()
    silent: Sequence[tuple[str, str]] = ()
    secrets: Mapping[str, Sequence[str]] = field(default_factory=dict)
    recording: Mapping[str, str] = field(default_factory=dict)
    recorded: int = 0
    previous: str = ""
    costs: Mapping[str, int] = field(default_factory=dict)
    errors: Sequence[str] = ()

    def count_cost(self, finding: Finding) -> int:
        """Return the number of requests that are sent if a finding's tests are recorded again."""
        return sum(self.costs.get(test, 0) for test in finding.tests)


ASKED, UPGRADE, FORM, NOISE = "asked", "upgrade", "form", "noise"


def find_section(finding: Finding) -> str:
    """Return the section of the report that contains ``finding``."""
    if finding.kind is Kind.NOISE:
        return NOISE
    if finding.clients:
        return UPGRADE
    return FORM if finding.kind.is_formal else ASKED


def build_report(
    observations: Observations,
    outcomes: Mapping[str, str],
    context: ChangeContext,
    *,
    has_whole_cassette: Callable[[CassetteUse], bool],
    describe_fix: Callable[[Finding], str],
    previous: str = "",
) -> AuditReport:
    """Return the report of a run.

    Args:
        observations: The observations from all processes.
        outcomes: The outcome of each test that ran: "passed", or another word.
        context: The facts that help to classify changes.
        has_whole_cassette: Returns whether the run included every test that can use the cassette.
        describe_fix: Returns the command that records a finding's tests again. Empty if there is none.
        previous: A comparison of this run with the previous run. Empty if there was none.
    """
    findings, unchanged = find_findings(observations.differing, context)
    different = {(one.test, one.number) for one in observations.differing}
    tests = sorted({test for test, _ in different})
    # a recording that should have answered a request is reported as superseding, and not as unused
    superseded = {cassette for _, cassette in observations.superseded}
    return AuditReport(
        findings=findings,
        commands=[describe_fix(finding) for finding in findings],
        requests=sum(observations.requests.values()),
        tests=len(observations.requests),
        different=len(different) - unchanged,
        different_tests=tests,
        passed_tests=sum(outcomes.get(test) == "passed" for test in tests),
        superseded=_group(observations.superseded),
        swapped=sorted({test for test, _ in observations.swapped}),
        addresses={part: len(requests) for part, requests in sorted(observations.addresses.items())},
        unused=[
            unused
            for use in _sort(observations.cassettes)
            if use.played
            and (unused := _list_unused(use, superseded)) is not None
            and _passed(use.tests, outcomes)
            and has_whole_cassette(use)
        ],
        silent=[
            (test, use.path)
            for use in _sort(observations.cassettes)
            if use.recordings
            for test in use.silent_tests
            if outcomes.get(test) == "passed"
        ],
        secrets=dict(sorted(observations.secrets.items())),
        recording={use.path: use.records for use in _sort(observations.cassettes) if use.records in RECORDING_MODES},
        recorded=sum(use.recorded for use in observations.cassettes.values()),
        previous=previous,
        costs=observations.requests,
        errors=observations.errors,
    )


def _list_unused(use: CassetteUse, superseded: Collection[str]) -> UnusedRecordings | None:
    reasons: dict[str, list[int]] = {"repetition": [], "host": [], "rest": []}
    for position, reason in sorted(use.unused.items()):
        is_superseding = reason == "rest" and use.path in superseded
        if position not in use.played and not is_superseding:
            reasons[reason].append(position + 1)
    if not any(reasons.values()):
        return None
    hosts = sorted({host for position, host in use.hosts.items() if position + 1 in reasons["host"]})
    return UnusedRecordings(use.path, reasons["repetition"], reasons["host"], reasons["rest"], hosts)


def _sort(cassettes: Mapping[str, CassetteUse]) -> Sequence[CassetteUse]:
    return [cassettes[path] for path in sorted(cassettes)]


def _passed(tests: Collection[str], outcomes: Mapping[str, str]) -> bool:
    return bool(tests) and all(outcomes.get(test) == "passed" for test in tests)


def _group(pairs: Sequence[tuple[str, str]]) -> Mapping[str, Sequence[str]]:
    groups: dict[str, list[str]] = {}
    for test, cassette in pairs:
        groups.setdefault(cassette, []).append(test)
    return dict(sorted(groups.items()))
