"""The flags of the command line: what they ask of the tapes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from multitrack.tape.settings import Mode

_record = pytest.StashKey[str]()


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
    }
    asked = [mode for mode, given in flags.items() if given]
    if len(asked) > 1:
        raise pytest.UsageError(f"--{' and --'.join(asked)} exclude each other")
    return asked[0] if asked else "replay"
