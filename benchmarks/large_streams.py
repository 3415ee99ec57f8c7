"""Record and replay a stream of many events, and large bodies."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.large_streams_process import (
    EMBEDDINGS,
    IMAGE,
    LIVE,
    MEMORY,
    MOCK,
    RECORDED,
    REPLAYED,
    STREAM,
    TEXT,
)
from benchmarks.measurement import CPU_TIME, Results, run_processes
from benchmarks.page import Section, describe_conditions, format_table

# the largest acceptable times for a stream of a million events, in seconds, and the largest acceptable memory
_REPLAY_TARGET, _RECORD_TARGET = 10, 30
_MEMORY_TARGET = 3
_MILLION = 1_000_000

_CLIENTS = {"httpx": (), "the OpenAI SDK": ("--sdk",)}
_SDK_SHARE = 20
"""The SDK takes 50 times as long as httpx for an event, so its streams have this many times fewer events."""
_BODIES = {
    TEXT: "a text with many lines",
    IMAGE: "JSON with an image in base64",
    EMBEDDINGS: "JSON with many small objects",
}

_TEXT = """
This benchmark measures a stream of chat completions with one event in each chunk. The time to replay it
is compared with the time to read the same stream from a `MockTransport`, and the time to record it with the time to
read it live, from a server in another process. The time includes opening and closing the cassette. Each figure is from
one process, which reads only this stream or body.

{conditions}

{streams}

For a million events, the targets are at most {replay_target} s more for replay, and at most {record_target} s more for
recording. They are {verdict}: with httpx, replay takes {replayed:.1f} s more, and recording {recorded:.1f} s more.

Most of the time for recording is spent when the cassette is closed. The events are parsed twice: to find secrets that
are spread over several events, and to write the answer's calls into the heading. Then the whole body is searched for
secrets.

The next table shows the peak memory of the whole process, as a multiple of the size of the body ({megabytes:,} MB). The
client reads the body piece by piece. A process that reads the body live, without a cassette, needs {process:.0f} MB.

{bodies}

The target is three times the size. It is {memory_verdict}. A recording needs the body as bytes and as text, because
secrets are searched in the text. If the body has characters outside ASCII, or is binary, the text alone needs two or
four times the memory of the bytes. A replay reads the whole file before it copies the body.
"""


def run_benchmark(*, quick: bool) -> Section:
    """Run the benchmark; ``quick`` uses small streams and bodies.

    Each figure is from one process. Most figures are seconds, so they vary little, and recording takes minutes.
    """
    events, size = (20_000, 20_000_000) if quick else (_MILLION, 200_000_000)
    sizes = {client: events // (_SDK_SHARE if options else 1) for client, options in _CLIENTS.items()}
    with TemporaryDirectory() as scratch:
        streams = {
            client: _run(STREAM, sizes[client], (MOCK, REPLAYED, LIVE, RECORDED), options, Path(scratch))
            for client, options in _CLIENTS.items()
        }
        bodies = {kind: _run(kind, size, (LIVE, RECORDED, REPLAYED), (), Path(scratch)) for kind in _BODIES}
    scale = _MILLION / events
    replayed = scale * _subtract(streams["httpx"], REPLAYED, MOCK)
    recorded = scale * _subtract(streams["httpx"], RECORDED, LIVE)
    multiples = {
        kind: [_find_figure(steps[step], MEMORY) / size for step in (RECORDED, REPLAYED)]
        for kind, steps in bodies.items()
    }
    return Section(
        "Large streams and bodies",
        _TEXT.format(
            conditions=describe_conditions(streams["httpx"][MOCK]),
            streams=format_table(
                ["client", "events", "`MockTransport`", "replayed", "more", "live", "recorded", "more"],
                [_make_row(client, sizes[client], steps) for client, steps in streams.items()],
            ),
            replay_target=_REPLAY_TARGET,
            record_target=_RECORD_TARGET,
            verdict="met" if replayed <= _REPLAY_TARGET and recorded <= _RECORD_TARGET else "missed",
            replayed=replayed,
            recorded=recorded,
            megabytes=size // 1_000_000,
            process=_find_figure(bodies[TEXT][LIVE], MEMORY) / 1e6,
            bodies=format_table(
                ["body", "recorded", "replayed"],
                [[_BODIES[kind], *(f"{multiple:.1f}" for multiple in multiples[kind])] for kind in _BODIES],
            ),
            memory_verdict="met" if max(map(max, multiples.values())) <= _MEMORY_TARGET else "missed",
        ),
    )


def _run(kind: str, size: int, steps: tuple[str, ...], options: tuple[str, ...], scratch: Path) -> dict[str, Results]:
    """Return the results of each step. A replay needs a recording, so the recording is made first."""
    cassette = scratch / f"{kind}{''.join(options)}.yaml"
    command = [sys.executable, "-m", "benchmarks.large_streams_process", kind, f"--size={size}", *options]
    in_order = sorted(steps, key=lambda step: step != RECORDED)
    found = {step: run_processes([*command, f"--step={step}", f"--cassette={cassette}"], 1) for step in in_order}
    return {step: found[step] for step in steps}


def _make_row(client: str, events: int, steps: dict[str, Results]) -> list[str]:
    mock, replayed, live, recorded = (f"{_find_figure(steps[step], CPU_TIME):.1f} s" for step in steps)
    return [
        client,
        f"{events:,}",
        mock,
        replayed,
        f"{_subtract(steps, REPLAYED, MOCK):.1f} s",
        live,
        recorded,
        f"{_subtract(steps, RECORDED, LIVE):.1f} s",
    ]


def _subtract(steps: dict[str, Results], step: str, baseline: str) -> float:
    return _find_figure(steps[step], CPU_TIME) - _find_figure(steps[baseline], CPU_TIME)


def _find_figure(results: Results, name: str) -> float:
    [process] = results.processes
    [[run]] = process.values()
    return run[name]
