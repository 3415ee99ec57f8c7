"""Markers that look like a mistyped ``@pytest.mark.cassette``.

Without this check, pytest would only warn about them.
"""

from __future__ import annotations

from functools import cache

import pytest

CASSETTE = "cassette"
# "casete" is at 0.86, "asset" at 0.77
_MINIMAL_LIKENESS = 0.8


def find_mistyped(item: pytest.Item) -> str | None:
    """Return the name of a marker of ``item`` that resembles ``cassette`` and is not registered."""
    names = {marker.name for marker in item.iter_markers() if _resembles_cassette(marker.name)}
    return min(names - _registered_names(item.config), default=None) if names else None


@cache
def _resembles_cassette(name: str) -> bool:
    from difflib import SequenceMatcher

    return name != CASSETTE and SequenceMatcher(None, name.lower(), CASSETTE).ratio() >= _MINIMAL_LIKENESS


def _registered_names(config: pytest.Config) -> set[str]:
    return {line.partition(":")[0].partition("(")[0].strip() for line in config.getini("markers")}


def describe_mistyped(test: str, name: str) -> str:
    """Return the message for a ``test`` with the mistyped marker ``name``."""
    return (
        f"{test}: @pytest.mark.{name} is an unknown marker, so the test has no cassette: "
        f"write @pytest.mark.{CASSETTE}; or, if {name} is a marker of your own, list it under markers in the "
        f"configuration of pytest"
    )
