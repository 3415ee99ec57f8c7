"""Provide the command line options of pytest-recording, with their names and values unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from pytest_multitrack import flags

RECORD_MODES = ("none", "once", "new_episodes", "all", "rewrite")


def add_options(parser: pytest.Parser) -> None:
    """Add the options of pytest-recording. An option is left out if another plugin already has an option with that
    name.
    """
    group = parser.getgroup("multitrack")
    for name in flags.find_free(_OPTIONS, parser):
        group.addoption(name, **_OPTIONS[name])


_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "--record-mode": {
        "choices": RECORD_MODES,
        "default": None,
        "help": "Set the record mode of vcrpy for tests with the vcr marker: none (replay only), once (record if there "
        "is no cassette), new_episodes (record what is missing), all (record everything, keep the old recordings) or "
        "rewrite (record everything, replace the old recordings) (default: the record_mode of the marker or of "
        "vcr_config, otherwise none)",
    },
    "--block-network": {
        "action": "store_true",
        "default": False,
        "help": "Short for --multitrack-block-network",
    },
    "--allowed-hosts": {
        "default": None,
        "metavar": "REGEXES",
        "help": "Allow connections to the hosts that match one of these regular expressions, separated by commas, "
        "even if the network is blocked (default: the allowed_hosts of vcr_config)",
    },
    "--disable-recording": {
        "action": "store_true",
        "default": False,
        "help": "Ignore the vcr marker: send requests to the network, and do not read or write cassettes",
    },
}
