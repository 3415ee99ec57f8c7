"""A report of a run with all kinds of problems."""

from datetime import UTC, datetime, timedelta

from multitrack.reporting.run_report import (
    NextStep,
    ReportedAnswer,
    ReportedCall,
    ReportedCassette,
    ReportedChange,
    ReportedComparison,
    ReportedDiagnosis,
    ReportedDifference,
    ReportedDrift,
    ReportedDriftRequest,
    ReportedError,
    ReportedExchange,
    ReportedMessage,
    ReportedMiss,
    ReportedPair,
    ReportedRequest,
    ReportedTest,
    make_report,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOSTILE = "</script><img src=x onerror=alert(1)>&\"'`|*"


def call(tool, **arguments):
    return ReportedCall(tool=tool, arguments=arguments)


TORONTO = call("Weather", location="Toronto", units="metric")
DALLAS = call("Weather", location="Dallas", units="imperial")
SYSTEM = "You are a travel planner. Answer only with tool calls.\nNever ask the user for anything."


def request(prompt="What is the weather in Toronto and Dallas?", model="gpt-4o-mini", tools=("Weather",)):
    return ReportedRequest(
        method="POST",
        url="https://api.openai.com/v1/chat/completions",
        model=model,
        tools=list(tools),
        messages=[ReportedMessage(role="system", text=SYSTEM), ReportedMessage(role="user", text=prompt)],
    )


def cassette(name, *calls, days=41, origin="replayed", sent=None, pending=None, provenance="live"):
    answer = ReportedAnswer(
        status=200,
        ending="complete",
        wire="openai.chat",
        calls=list(calls),
        finish_reason="tool_calls",
        tokens=214,
        seconds=1.25,
    )
    return ReportedCassette(
        path=f"cassettes/test_trip/{name}.yaml",
        mode="replay",
        recorded_at=NOW - timedelta(days=days),
        age_days=days,
        provenance=provenance,
        pending=pending,
        exchanges=[ReportedExchange(origin=origin, request=sent or request(), answer=answer)] if calls else [],
    )


def changed_calls():
    """A test whose calls differ from its snapshot in one argument."""
    received = call("Weather", location="Paris", units="metric")
    test = "tests/test_trip.py::test_plan"
    text = "the reply changed: it was recorded again after the snapshot was taken: 1 call changed (Weather)"
    pairs = [
        ReportedPair(
            status="changed",
            expected=TORONTO,
            received=received,
            changes=[
                ReportedChange(part="argument", path="location", change="changed", old="Toronto", new="Paris"),
            ],
        ),
        ReportedPair(status="unchanged", expected=DALLAS, received=DALLAS),
    ]
    error = (
        f"{text}\n\n    def test_plan(calls_snapshot):\n>       assert plan() == calls_snapshot\nE       AssertionError"
    )
    return ReportedTest(
        test=test,
        outcome="failed",
        seconds=0.041,
        diagnosis=ReportedDiagnosis(id="reply-changed", text=text),
        cause=text,
        error=ReportedError(line=text, text=error),
        comparison=ReportedComparison(expected_in="snapshot", calls=pairs),
        cassettes=[cassette("test_plan", received, DALLAS)],
        next_steps=[NextStep(action="update-snapshot", command=f"pytest --snapshot-update {test}")],
    )


def missed_request(name="test_prompt", city="Paris"):
    """A test whose prompt changed, so that no recording matches."""
    test = f"tests/test_trip.py::{name}"
    line = "CassetteMiss: POST https://api.openai.com/v1/chat/completions (gpt-4o-mini; tools Weather) has no recording"
    recorded = "What is the weather in Toronto and Dallas?"
    sent = f"What is the weather in {city} and Dallas, in degrees Celsius?"
    differences = [
        ReportedDifference(path="$.messages[1].content", change="changed", recorded=recorded, sent=sent),
        ReportedDifference(
            path="$.tools[0].function.parameters.properties.city",
            change="added",
            sent={"type": "string"},
            meaning="`Weather.city` is new",
        ),
    ]
    return ReportedTest(
        test=test,
        outcome="failed",
        seconds=0.012,
        diagnosis=ReportedDiagnosis(id="miss-changed", text=line),
        cause=f"reason: changed: the nearest recording differs in 2 places: {city}",
        error=ReportedError(line=line, text=f"{line}\n  cassette: cassettes/test_trip/{name}.yaml"),
        misses=[
            ReportedMiss(
                kind="changed",
                cassette=f"cassettes/test_trip/{name}.yaml",
                nearest=1,
                sent_from="test_trip.py:13 (in plan)",
                request=request(sent),
                differences=differences,
            )
        ],
        cassettes=[cassette(name)],
        next_steps=[NextStep(action="record", command=f"pytest --record {test}")],
    )


def hostile_test():
    """A test in which every text contains markup."""
    hostile = call(HOSTILE, **{HOSTILE: HOSTILE})
    sent = request(HOSTILE, HOSTILE, [HOSTILE])
    return ReportedTest(
        test=f"tests/test_trip.py::test_hostile[{HOSTILE}]",
        outcome="error",
        cause=HOSTILE,
        error=ReportedError(line=HOSTILE, text=HOSTILE),
        comparison=ReportedComparison(
            expected_in="test",
            calls=[
                ReportedPair(
                    status="changed",
                    expected=hostile,
                    received=hostile,
                    changes=[
                        ReportedChange(part="argument", path=HOSTILE, change="changed", old=HOSTILE, new=HOSTILE * 2)
                    ],
                ),
                ReportedPair(status="forbidden", received=hostile, restriction=HOSTILE),
                ReportedPair(status="added", received=ReportedCall(tool="Broken", arguments=None, text=HOSTILE)),
            ],
        ),
        cassettes=[cassette(HOSTILE, hostile, sent=sent, pending=HOSTILE)],
        next_steps=[NextStep(action="accept", command=f"multitrack accept {HOSTILE}")],
    )


def drifted_test():
    """A test whose live response differs from the recorded one."""
    test = "tests/test_trip.py::test_search"
    now = call("GoogleSearch", query="flights from Dallas to Toronto")
    then = call("GoogleSearch", query="flights to Toronto")
    sent = request("Find a flight", "gemini-2.5-flash", ["GoogleSearch"])
    change = ReportedChange(
        part="argument",
        path="query",
        change="changed",
        old="flights to Toronto",
        new="flights from Dallas to Toronto",
    )
    pair = ReportedPair(status="changed", expected=then, received=now, changes=[change])
    return ReportedTest(
        test=test,
        outcome="passed",
        seconds=1.2,
        cassettes=[cassette("test_search", now, origin="live", sent=sent)],
        drift=[
            ReportedDrift(
                cassette="cassettes/test_trip/test_search.yaml",
                verdict="arguments changed",
                holds=False,
                remarks=[],
                requests=[
                    ReportedDriftRequest(
                        run=1,
                        position=1,
                        recording=1,
                        verdict="arguments changed",
                        comparison=ReportedComparison(expected_in="cassette", calls=[pair]),
                        properties=[],
                        lines=["changed: GoogleSearch(query='flights to Toronto')"],
                    )
                ],
            )
        ],
        next_steps=[NextStep(action="record", command=f"pytest --record {test}")],
    )


def passed_test(number=0):
    model, tool = ("claude-sonnet-4-5", "BookHotel") if number % 3 else ("gpt-4o-mini", "Weather")
    city = ("Toronto", "Dallas", "Lima", "Oslo", "Kyoto")[number % 5]
    return ReportedTest(
        test=f"tests/test_all.py::test_passed[{number}]",
        outcome="skipped" if number % 50 == 49 else "passed",
        seconds=0.004,
        cassettes=[
            cassette(
                f"test_passed[{number}]",
                call(tool, location=city),
                days=number % 90,
                sent=request(f"Plan day {number} in {city}", model, [tool]),
                provenance="standin" if number % 7 == 0 else "live",
            )
        ],
    )


def sample_report(passed=6):
    tests = [changed_calls(), missed_request(), missed_request("test_second", "Rome"), drifted_test(), hostile_test()]
    tests.append(
        ReportedTest(test="fixture planned of test_trip", is_fixture=True, cassettes=[cassette("planned", DALLAS)])
    )
    tests += [passed_test(number) for number in range(passed)]
    return make_report(tests, NOW, "0.1.0")
