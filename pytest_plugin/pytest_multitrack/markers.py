"""Register the plugin's markers, find the tests that use them or the ``vcr`` marker, and detect mistyped markers."""

from __future__ import annotations

from functools import cache

import pytest

from pytest_multitrack import recording_plugins

_CASSETTE_MARKER = (
    "cassette(name=None, **options): use a cassette for the requests of this test; tests that pass the same name= "
    "share a cassette"
)
_BEHAVIOUR_MARKER = (
    "behaviour(wire, name): answer the requests of this test with a recorded behaviour of a provider; without "
    "arguments, use the behaviour that is a parameter of the test"
)
_CASSETTE = "cassette"
_BEHAVIOUR = "behaviour"
# the likeness of "casete" is 0.86, that of "asset" is 0.77
_MINIMAL_LIKENESS = 0.8


def register(config: pytest.Config) -> None:
    """Register the markers, so that pytest knows and lists them."""
    config.addinivalue_line("markers", _CASSETTE_MARKER)
    config.addinivalue_line("markers", _BEHAVIOUR_MARKER)


def uses_behaviour(item: pytest.Item) -> bool:
    """Return whether a recorded behaviour answers the requests of ``item``.

    A test that uses a behaviour does not use a cassette.
    """
    return item.get_closest_marker(_BEHAVIOUR) is not None


def find_behaviour(item: pytest.Item) -> tuple[str, str]:
    """Return the wire format and the name of the behaviour that ``item``'s marker selects.

    Raises:
        BadOption: The marker has the wrong arguments. A marker without arguments is only valid if a parameter of the
            test is a behaviour.
    """
    from multitrack.errors import BadOption
    from multitrack.library import Behaviour

    marker = item.get_closest_marker(_BEHAVIOUR)
    assert marker is not None
    call_spec = getattr(item, "callspec", None)
    parameters = [one for one in getattr(call_spec, "params", {}).values() if isinstance(one, Behaviour)]
    match marker.args, dict(marker.kwargs), parameters:
        case (str(wire), str(name)), {}, _ if not marker.kwargs:
            return wire, name
        case (), {"wire": str(wire), "name": str(name)}, _ if len(marker.kwargs) == 2:
            return wire, name
        case (), {}, [behaviour] if not marker.kwargs:
            return behaviour.wire, behaviour.name
    raise BadOption(
        f"@pytest.mark.behaviour on {item.nodeid}: pass the wire format and the name, such as "
        f'behaviour("anthropic", "one_call"); or pass nothing, and parametrize the test with '
        f"multitrack.library.behaviours()"
    )


def uses_cassette(item: pytest.Item) -> bool:
    """Return whether ``item`` uses a cassette, because of a marker or of the ``tape`` fixture."""
    if uses_behaviour(item):
        return False
    if item.get_closest_marker(_CASSETTE) is not None or "tape" in getattr(item, "fixturenames", ()):
        return True
    return item.get_closest_marker("vcr") is not None and not recording_plugins.has_other(item.config)


def uses_vcr_marker(node: pytest.Item | pytest.Collector) -> bool:
    """Return whether ``node`` uses a cassette only because of ``@pytest.mark.vcr``."""
    if node.get_closest_marker("vcr") is None or "tape" in getattr(node, "fixturenames", ()):
        return False
    return node.get_closest_marker(_CASSETTE) is None


def find_mistyped(item: pytest.Item) -> str | None:
    """Return the name of an unregistered marker on ``item`` that resembles one of the plugin's markers.

    Without this check, pytest would only warn about the marker.
    """
    names = {marker.name for marker in item.iter_markers() if _find_intended(marker.name)}
    return min(names - _registered_names(item.config), default=None) if names else None


@cache
def _find_intended(name: str) -> str | None:
    """Return the plugin's marker that ``name`` resembles. None if there is none, or if ``name`` is itself a marker."""
    from difflib import SequenceMatcher

    if name in (_CASSETTE, _BEHAVIOUR):
        return None
    likeness = {own: SequenceMatcher(None, name.lower(), own).ratio() for own in (_CASSETTE, _BEHAVIOUR)}
    return next((own for own, ratio in likeness.items() if ratio >= _MINIMAL_LIKENESS), None)


def _registered_names(config: pytest.Config) -> set[str]:
    return {line.partition(":")[0].partition("(")[0].strip() for line in config.getini("markers")}


def describe_mistyped(test: str, name: str) -> str:
    """Return the message for a ``test`` whose marker is mistyped as ``name``."""
    intended = _find_intended(name)
    return (
        f"{test}: @pytest.mark.{name} is an unknown marker, so the test has no {intended}: "
        f"write @pytest.mark.{intended}; or, if {name} is a marker of your own, list it under markers in "
        f"pytest's configuration"
    )
