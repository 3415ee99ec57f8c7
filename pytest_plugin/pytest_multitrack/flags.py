"""The flags of the command line: what they ask of the tapes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from multitrack.tape.settings import Mode

_record = pytest.StashKey[str]()
# https://15r10nk.github.io/inline-snapshot/latest/pytest/: the others only report
_INLINE_WRITES = frozenset({"create", "fix", "trim", "update", "review"})


@dataclass(frozen=True, slots=True)
class Drift:
    """What ``--calls-drift`` asks for: how often to run each test with a tape, and whether drift fails the run."""

    samples: int
    fails: bool


def add_drift(group: pytest.OptionGroup) -> None:
    """Register the flags of a run that compares live answers with tapes."""
    group.addoption(
        "--calls-drift",
        action="store_true",
        dest="multitrack_drift",
        help="go live, compare every answer with its tape as calls, write nothing, and end with a table",
    )
    group.addoption(
        "--calls-drift-fail",
        action="store_true",
        dest="multitrack_drift_fail",
        help="with --calls-drift: exit code 1 if an answer is not as on its tape (the order of calls plays no part)",
    )
    group.addoption(
        "--calls-drift-samples",
        type=int,
        metavar="N",
        dest="multitrack_drift_samples",
        help="with --calls-drift: run each test with a tape N times, and show how often each field agrees",
    )


def add_report(group: pytest.OptionGroup) -> None:
    """Register the flag of the report of a run."""
    group.addoption(
        "--calls-report",
        action="append",
        default=[],
        metavar="PATH",
        dest="multitrack_reports",
        help="write what the tape of each test did to PATH, by its ending .md, .json or .html; 'github' adds it to the "
        "summary of a step; may be given more than once",
    )


def drift(config: pytest.Config) -> Drift | None:
    """What ``--calls-drift`` asks for; None where it is not given. Raises UsageError where its companions stand
    alone, or where a flag would write what came."""
    option = config.option
    samples: int | None = option.multitrack_drift_samples
    companions = {
        "--calls-drift-fail": option.multitrack_drift_fail,
        "--calls-drift-samples": samples is not None,
    }
    if not option.multitrack_drift:
        for flag, given in companions.items():
            if given:
                raise pytest.UsageError(f"{flag} says how to compare, and needs --calls-drift")
        return None
    if samples is not None and samples < 1:
        raise pytest.UsageError(f"--calls-drift-samples takes a number from 1 on, not {samples}")
    updates = {
        "--snapshot-update": getattr(option, "update_snapshots", False),
        "--snapshot-update-new-only": getattr(option, "update_new_snapshots_only", False),
        "--inline-snapshot": not _INLINE_WRITES.isdisjoint((getattr(option, "inline_snapshot", "") or "").split(",")),
    }
    for flag, given in updates.items():
        if given:
            raise pytest.UsageError(f"{flag} and --calls-drift exclude each other: drift writes nothing")
    return Drift(samples or 1, bool(option.multitrack_drift_fail))


def add_record(config: pytest.Config, parser: pytest.Parser) -> None:
    """Register ``--record``, where no other plugin or conftest has taken that name."""
    if not _is_free("--record", parser):
        return
    parser.getgroup("multitrack").addoption(
        "--record", action="store_true", dest="multitrack_record", help="the same as --multitrack-record"
    )
    config.stash[_record] = "--record"


def _is_free(flag: str, parser: pytest.Parser) -> bool:
    # asked and not tried: releases of pytest differ in when, and by what error, they tell of a conflict
    try:
        _, unknown = parser.parse_known_and_unknown_args([flag])
    except pytest.UsageError:
        return False  # it is an option with an argument
    return flag in unknown


def record(config: pytest.Config) -> str:
    """The flag that records."""
    return config.stash.get(_record, "--multitrack-record")


def given(config: pytest.Config) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The settings of the command line, each with the flag that it came by. Raises UsageError for one without a
    value."""
    for text in config.option.multitrack_options:
        name, equals, value = text.partition("=")
        if not equals:
            raise pytest.UsageError(f"--cassettes-option takes NAME=VALUE, not {text!r}")
        yield f"--cassettes-option={text}", {name.strip(): _value(value.strip())}
    if config.option.multitrack_strict:
        yield "--cassettes-strict", {"strict": True}


def _value(text: str) -> Any:
    import tomllib

    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def mode(config: pytest.Config) -> Mode:
    """What the flags ask for. Raises UsageError where they contradict each other."""
    option = config.option
    flags: dict[Mode, bool] = {
        "record": option.multitrack_record,
        "record-missing": option.multitrack_record_missing,
        "live": option.multitrack_live,
        "drift": option.multitrack_drift,
    }
    asked = [mode for mode, given in flags.items() if given]
    if len(asked) > 1:
        names = " and ".join("--calls-drift" if mode == "drift" else f"--{mode}" for mode in asked)
        raise pytest.UsageError(f"{names} exclude each other")
    return asked[0] if asked else "replay"
