"""Compare a replayed call with the same call to a local provider, over gRPC and HTTP."""

from __future__ import annotations

import sys

from benchmarks.measurement import run_processes
from benchmarks.page import Section, describe_conditions, format_ratio, format_table, format_time
from benchmarks.replay_process import CASES, QUESTION, WALL_TIME, WITH_CASSETTE, name_live, name_replayed
from multitrack.standin import Rule, ScriptedCall, StandIn

_TEXT = """
This benchmark compares a replayed call with the fastest possible live call. The live call goes to the stand-in
provider, which runs in another process on the same machine. It uses an open TLS connection. The response has three tool
calls, and the SDKs are used without extraction.

Times are wall-clock times, because a live call waits for its response. The "ratio of CPU time" column only
compares the CPU times of the calling process.

{conditions}

{figures}

Each replayed call opens a cassette of its own. Only the last column includes the time to open and close this cassette.
This is the time to read the file, and to install and remove the interceptors of all clients. A real test opens its
cassette only once, even if it sends several requests.

A replayed call should take less time than a live one. This target is {verdict}: the highest ratio is {highest}.
"""

_RULE = Rule(
    prompt=QUESTION,
    calls=[
        ScriptedCall("Weather", {"location": "Toronto", "units": "metric"}),
        ScriptedCall("Weather", {"location": "Dallas", "units": "imperial"}),
        ScriptedCall("GoogleSearch", {"query": "who won the super bowl"}),
    ],
)


def run_benchmark(*, quick: bool) -> Section:
    """Run the benchmark; ``quick`` runs one process with a few rounds."""
    rounds, processes = (10, 1) if quick else (200, 5)
    with StandIn([_RULE]) as standin:
        command = [sys.executable, "-m", "benchmarks.replay_process", f"--rounds={rounds}"]
        results = run_processes(command, processes, standin.environment)
    ratios = {case: results.ratio(name_replayed(case), to=name_live(case), figure=WALL_TIME) for case in CASES}
    rows = [
        [
            case,
            format_time(results.quartiles(name_live(case), WALL_TIME)),
            format_time(results.quartiles(name_replayed(case), WALL_TIME)),
            format_ratio(ratios[case]),
            format_ratio(results.ratio(name_replayed(case), to=name_live(case))),
            format_time(results.quartiles(name_replayed(case), WITH_CASSETTE)),
        ]
        for case in CASES
    ]
    highest = max(ratios.values(), key=lambda spread: spread.high)
    return Section(
        "A replayed call",
        _TEXT.format(
            conditions=describe_conditions(results),
            figures=format_table(
                ["", "live", "replayed", "ratio", "ratio of CPU time", "replayed, with its cassette"], rows
            ),
            verdict="met" if highest.high < 1 else "missed",
            highest=format_ratio(highest),
        ),
    )
