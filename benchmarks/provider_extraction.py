"""Compare Multitrack's ``create`` for one provider with the SDK's own, for a short response."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel

from benchmarks.measurement import (
    Results,
    format_results,
    measure_in_turns,
    run_processes,
    time_async_call,
    time_call,
)
from benchmarks.page import Section, describe_conditions, format_ratio, format_table, format_time

RAW, RAW_AGAIN, MULTITRACK = "raw client", "raw client, again", "multitrack"

# the largest acceptable ratio of Multitrack's time to the raw client's, for three calls
_TARGET = 1.08

_TEXT = """
This benchmark measures the time that a `response_model` adds to {method}. The response has three calls. {provider}

The *raw client* is code written by hand. {raw_client} It is measured twice to show the noise. All candidates send the
same body and return the same models.

{conditions}

{figures}

Multitrack should take at most {target} times as long as the raw client. This target is {verdict} ({reached}).

{difference} {reason}
"""

_REASON = """
This time hardly depends on the provider, so the ratio is higher for a faster SDK. Multitrack does two things that the
raw client does not do. It converts the tool calls in the response into `ToolCall` objects with JSON arguments, and it
keeps the data that an `Extraction` reports. The validation itself is not slower: validating JSON takes no longer than
validating the SDK's dictionaries.

A loop that repeats only Multitrack's own steps measures a shorter time. In a real call, the SDK's code first fills the
caches of the CPU, so Multitrack's steps are slower. On a busy machine, they take even longer.
"""


async def compare_candidates(
    make_extraction: Callable[[str], Callable[[], Any]],
    find_last_body: Callable[[], bytes],
    *,
    expected: Sequence[BaseModel],
    packages: Sequence[str],
    rounds: int,
) -> str:
    """Measure the three candidates in turns, and return the figures of this process.

    Args:
        make_extraction: Returns the function that extracts the models as the candidate with a name does. It returns the
            models, or an awaitable.
        find_last_body: Returns the body of the last request.
        expected: The models that each candidate must return.
        packages: The packages whose versions the page shows, besides multitrack and pydantic.
        rounds: The number of rounds.
    """
    extractions = {name: make_extraction(name) for name in (RAW, RAW_AGAIN, MULTITRACK)}
    sent = []
    is_async = False
    for name, extract in extractions.items():
        models = extract()
        if is_async := inspect.isawaitable(models):
            models = await models
        if models != [*expected]:
            raise SystemExit(f"{name} returns something different")
        sent.append(json.loads(find_last_body()))
    if any(body != sent[0] for body in sent):
        raise SystemExit("the candidates send different requests")
    make_candidate: Callable[[Callable[[], Any]], Any] = time_async_call if is_async else time_call
    candidates = {name: make_candidate(extract) for name, extract in extractions.items()}
    versions = {package: version(package) for package in ("multitrack", *packages, "pydantic")}
    return format_results(versions, await measure_in_turns(candidates, rounds))


def measure_extraction(
    heading: str,
    module: str,
    kinds: Mapping[str, Sequence[str]],
    *,
    quick: bool,
    reason: str = _REASON,
    **texts: str,
) -> Section:
    """Run the processes of ``module`` and return the section.

    Args:
        heading: The heading of the section.
        module: The module of ``benchmarks`` to run, which measures the three candidates.
        kinds: The options of the process, by the name of the column.
        quick: Whether to run one process with a tenth of the rounds.
        reason: Why Multitrack takes longer than the raw client. Default: the reason for most SDKs.
        **texts: ``method``, ``provider`` and ``raw_client``, for the text.
    """
    results = {kind: _run(module, options, quick=quick) for kind, options in kinds.items()}
    ratios = {kind: one.ratio(MULTITRACK, to=RAW).middle for kind, one in results.items()}
    rows = [
        [name, *(cell for one in results.values() for cell in _format_cells(one, name))]
        for name in (RAW, RAW_AGAIN, MULTITRACK)
    ]
    text = _TEXT.format(
        conditions=describe_conditions(next(iter(results.values()))),
        figures=format_table(["", *(cell for kind in results for cell in (kind, "ratio"))], rows),
        target=_TARGET,
        verdict="met" if max(ratios.values()) <= _TARGET else "missed",
        reached=", ".join(f"{kind} {value:.3f}" for kind, value in ratios.items()),
        difference=_describe_difference(results),
        reason=reason.strip(),
        **texts,
    )
    return Section(heading, text)


def _run(module: str, options: Sequence[str], *, quick: bool) -> Results:
    rounds, processes = (50, 1) if quick else (500, 7)
    return run_processes([sys.executable, "-m", f"benchmarks.{module}", f"--rounds={rounds}", *options], processes)


def _describe_difference(results: Mapping[str, Results]) -> str:
    added = {
        kind: (one.quartiles(MULTITRACK).median - one.quartiles(RAW).median) * 1e6 for kind, one in results.items()
    }
    if all(time < 0 for time in added.values()):
        saved = " and ".join(f"{-time:.0f} µs ({kind})" for kind, time in added.items())
        return f"With Multitrack, a call takes {saved} less than with the raw client."
    return f"Multitrack adds {' and '.join(f'{time:.0f} µs ({kind})' for kind, time in added.items())} to a call."


def _format_cells(results: Results, name: str) -> list[str]:
    ratio = "1" if name == RAW else format_ratio(results.ratio(name, to=RAW))
    return [format_time(results.quartiles(name)), ratio]
