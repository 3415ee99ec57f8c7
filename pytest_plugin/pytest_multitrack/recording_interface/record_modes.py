"""Map vcrpy's record modes to the modes of a tape.

vcrpy's modes are described at https://vcrpy.readthedocs.io/en/latest/usage.html#record-modes. pytest-recording adds
the ``rewrite`` mode.
"""

from __future__ import annotations

from typing import Any

import pytest

from multitrack.errors import BadOption
from multitrack.tape.settings import Mode
from pytest_multitrack import flags
from pytest_multitrack.recording_interface.command_line import RECORD_MODES


def read_record_mode(value: Any, source: str) -> str:
    """Return the name of a record mode.

    Args:
        value: The name, or a member of vcrpy's enum.
        source: The place where the record mode was set. The message of an error begins with it.

    Raises:
        BadOption: ``value`` is not a record mode.
    """
    mode = getattr(value, "value", value)
    if mode not in RECORD_MODES:
        raise BadOption(f"{source}: record_mode must be one of {', '.join(RECORD_MODES)}, not {mode!r}")
    return str(mode)


def resolve_mode(record_mode: str, config: pytest.Config, *, has_cassette: bool) -> Mode:
    """Return the tape mode for a test with the ``vcr`` marker.

    Multitrack's own flags take precedence. In CI, recording requires ``allow_ci_writes``.
    """
    if (mode := flags.mode(config)) != "replay":
        return mode
    if record_mode == "none" or (record_mode == "once" and has_cassette) or not flags.may_write(config):
        return "replay"
    return "record-missing" if record_mode == "new_episodes" else "record"
