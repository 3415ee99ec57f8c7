"""What a call from a tape takes beside the same call on loopback, over gRPC and HTTP."""

from __future__ import annotations

import sys

from benchmarks.page import Section, measured, ratio, table, time
from benchmarks.race import run
from benchmarks.tape_race import CASES, QUESTION, WALL, WITH_TAPE, live, replayed
from multitrack.standin import Rule, ScriptedCall, StandIn

_TEXT = """
What a call takes that a tape answers, beside the same call to a provider on this machine, which is as quick as a live
call gets. The provider is the stand-in, in a process of its own, over TLS, with its connection open already; it answers
three tool calls. The SDKs are called as they are, without extraction. Time is that on the wall, since a live call waits
for its answer; the second ratio is of CPU time in the process that asks, which leaves out the waiting and the
provider's own work.

{measured}

{races}

Each call is the first from a tape that was opened for it, as in a test. The last column is with opening and closing it,
which a test pays once, however many calls it makes: reading the file, and swapping the seams of all clients in and out.

That a replayed call takes less time than a live one is the target: {verdict}, the highest ratio is {highest}.
"""

_RULE = Rule(
    prompt=QUESTION,
    calls=[
        ScriptedCall("Weather", {"location": "Toronto", "units": "metric"}),
        ScriptedCall("Weather", {"location": "Dallas", "units": "imperial"}),
        ScriptedCall("GoogleSearch", {"query": "who won the super bowl"}),
    ],
)


def section(*, quick: bool) -> Section:
    """Measure; ``quick`` is one process with a few rounds."""
    rounds, processes = (10, 1) if quick else (200, 5)
    with StandIn([_RULE]) as standin:
        command = [sys.executable, "-m", "benchmarks.tape_race", f"--rounds={rounds}"]
        results = run(command, processes, standin.environment)
    ratios = {case: results.ratio(replayed(case), to=live(case), figure=WALL) for case in CASES}
    rows = [
        [
            case,
            time(results.quartiles(live(case), WALL)),
            time(results.quartiles(replayed(case), WALL)),
            ratio(ratios[case]),
            ratio(results.ratio(replayed(case), to=live(case))),
            time(results.quartiles(replayed(case), WITH_TAPE)),
        ]
        for case in CASES
    ]
    highest = max(ratios.values(), key=lambda spread: spread.high)
    return Section(
        "A call from a tape",
        _TEXT.format(
            measured=measured(results),
            races=table(["", "live", "replayed", "ratio", "ratio of CPU time", "replayed, with its tape"], rows),
            verdict="met" if highest.high < 1 else "missed",
            highest=ratio(highest),
        ),
    )
