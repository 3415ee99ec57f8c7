"""The marker of the plugin, the tests that use this marker or the marker ``vcr``, and mistyped markers."""

from __future__ import annotations

from functools import cache

import pytest

from pytest_multitrack import recording_plugins

_CASSETTE_MARKER = (
    "cassette(name=None, **options): use a cassette for the requests of this test; tests that pass the same name= "
    "share a cassette"
)
_CASSETTE = "cassette"
# the likeness of "casete" is 0.86, that of "asset" is 0.77
_MINIMAL_LIKENESS = 0.8


def register(config: pytest.Config) -> None:
    """Register the marker, so that pytest knows and lists it."""
    config.addinivalue_line("markers", _CASSETTE_MARKER)


def uses_cassette(item: pytest.Item) -> bool:
    """Return whether ``item`` uses a cassette, because of a marker or of the fixture ``tape``."""
    if item.get_closest_marker(_CASSETTE) is not None or "tape" in getattr(item, "fixturenames", ()):
        return True
    return item.get_closest_marker("vcr") is not None and not recording_plugins.has_other(item.config)


def uses_vcr_marker(node: pytest.Item | pytest.Collector) -> bool:
    """Return whether ``node`` uses a cassette only because of ``@pytest.mark.vcr``."""
    if node.get_closest_marker("vcr") is None or "tape" in getattr(node, "fixturenames", ()):
        return False
    return node.get_closest_marker(_CASSETTE) is None


def find_mistyped(item: pytest.Item) -> str | None:
    """Return the name of a marker of ``item`` that resembles ``cassette`` and is not registered.

    Without this check, pytest would only warn about the marker.
    """
    names = {marker.name for marker in item.iter_markers() if _resembles_cassette(marker.name)}
    return min(names - _registered_names(item.config), default=None) if names else None


@cache
def _resembles_cassette(name: str) -> bool:
    from difflib import SequenceMatcher

    return name != _CASSETTE and SequenceMatcher(None, name.lower(), _CASSETTE).ratio() >= _MINIMAL_LIKENESS


def _registered_names(config: pytest.Config) -> set[str]:
    return {line.partition(":")[0].partition("(")[0].strip() for line in config.getini("markers")}


def describe_mistyped(test: str, name: str) -> str:
    """Return the message for a ``test`` with the mistyped marker ``name``."""
    return (
        f"{test}: @pytest.mark.{name} is an unknown marker, so the test has no cassette: "
        f"write @pytest.mark.{_CASSETTE}; or, if {name} is a marker of your own, list it under markers in the "
        f"configuration of pytest"
    )
