"""Compare Multitrack's ``create`` for Anthropic's client with the SDK's own, for a short response."""

from __future__ import annotations

import sys

from benchmarks.anthropic_process import MULTITRACK, RAW, RAW_AGAIN
from benchmarks.measurement import Results, run_processes
from benchmarks.page import Section, describe_conditions, format_ratio, format_table, format_time

# the largest acceptable ratio of Multitrack's time to the raw client's, for three calls
_TARGET = 1.08

_TEXT = """
This benchmark measures the time that a `response_model` adds to the SDK's `messages.create`, for a response with
three calls. The provider is a `MockTransport` in the same process. The *raw client* is code written by hand: it
calls `create(tools=..., tool_choice={{"type": "auto"}})` with the same schemas, and then
`Model.model_validate(block.input)` with the model of each tool. All candidates send the same body and return the same
models. The raw client is measured twice to show the noise.

{conditions}

{figures}

The target is at most {target} times the time of the raw client. It is {verdict} ({reached}).
"""


def run_benchmark(*, quick: bool) -> Section:
    """Run the benchmark; ``quick`` runs one process with a tenth of the rounds."""
    results = {kind: _run(*options, quick=quick) for kind, options in {"sync": (), "async": ("--async",)}.items()}
    ratios = {kind: one.ratio(MULTITRACK, to=RAW).middle for kind, one in results.items()}
    rows = [
        [name, *(cell for one in results.values() for cell in _format_cells(one, name))]
        for name in (RAW, RAW_AGAIN, MULTITRACK)
    ]
    text = _TEXT.format(
        conditions=describe_conditions(results["sync"]),
        figures=format_table(["", *(cell for kind in results for cell in (kind, "ratio"))], rows),
        target=_TARGET,
        verdict="met" if max(ratios.values()) <= _TARGET else "missed",
        reached=", ".join(f"{kind} {value:.3f}" for kind, value in ratios.items()),
    )
    return Section("Extraction with Anthropic", text)


def _run(*options: str, quick: bool) -> Results:
    rounds, processes = (50, 1) if quick else (500, 7)
    return run_processes(
        [sys.executable, "-m", "benchmarks.anthropic_process", f"--rounds={rounds}", *options], processes
    )


def _format_cells(results: Results, name: str) -> list[str]:
    ratio = "1" if name == RAW else format_ratio(results.ratio(name, to=RAW))
    return [format_time(results.quartiles(name)), ratio]
