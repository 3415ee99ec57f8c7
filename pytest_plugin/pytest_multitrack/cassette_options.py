"""The options of a test's cassette, which are merged from four sources. Each source overrides those before it:

1. pyproject.toml
2. the ``cassette_options`` fixture
3. markers
4. the command line
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from multitrack.errors import BadOption
from multitrack.tape.settings import Settings
from pytest_multitrack import cassette_paths, flags, markers, pytest_internals
from pytest_multitrack.resolved_options import ResolvedOptions

_Overrides = Iterator[tuple[str, Mapping[str, Any]]]

_run_settings = pytest.StashKey[Settings]()


def resolve_run_settings(config: pytest.Config) -> Settings:
    """Return the settings that apply to every cassette of the run. The result is cached.

    Raises:
        BadOption: A setting in pyproject.toml or on the command line is invalid.
    """
    if _run_settings not in config.stash:
        project = cassette_paths.load_project(config).settings
        config.stash[_run_settings] = _override(project, flags.cassette_options(config))
    return config.stash[_run_settings]


def resolve_marker_options(node: pytest.Item | pytest.Collector) -> ResolvedOptions:
    """Return the options for the cassette of ``node``. Options from fixtures are not included.

    Raises:
        BadOption: An option is invalid.
    """
    if markers.uses_vcr_marker(node):
        from pytest_multitrack.recording_interface import vcr_options

        return vcr_options.resolve_before_fixtures(node, resolve_run_settings(node.config))
    if not any(marker.args or marker.kwargs for marker in node.iter_markers("cassette")):
        return ResolvedOptions(resolve_run_settings(node.config))
    return ResolvedOptions(_apply_markers(node, cassette_paths.load_project(node.config).settings))


def resolve_fixture_options(request: pytest.FixtureRequest) -> ResolvedOptions | None:
    """Return the options for the requesting test's cassette, including options from fixtures.

    Returns None if no fixture sets an option.

    Raises:
        BadOption: An option is invalid.
    """
    if markers.uses_vcr_marker(request.node):
        from pytest_multitrack.recording_interface import vcr_options

        return vcr_options.resolve(
            request.node, resolve_run_settings(request.config), vcr_options.VcrFixtures.read(request)
        )
    options = request.getfixturevalue("cassette_options")
    if not isinstance(options, Mapping):
        raise BadOption(f"the cassette_options fixture must return a mapping, not {options!r}")
    if not options:
        return None
    settings = cassette_paths.load_project(request.config).settings
    return ResolvedOptions(_apply_markers(request.node, settings.with_options(options, "the cassette_options fixture")))


def may_come_from_fixtures(item: pytest.Item) -> bool:
    """Return whether one of the fixtures available to ``item`` can set options."""
    # the plugin's own definition of cassette_options returns no options
    return markers.uses_vcr_marker(item) or len(pytest_internals.list_fixture_definitions("cassette_options", item)) > 1


def find_cassette_path(item: pytest.Item) -> Path:
    """Return the cassette path of ``item``, ignoring the options that fixtures set.

    Raises:
        BadOption: An option is invalid.
    """
    return resolve_marker_options(item).path or cassette_paths.cassette_path(item)


def _apply_markers(node: pytest.Item | pytest.Collector, settings: Settings) -> Settings:
    def overrides() -> _Overrides:
        for marker in reversed(list(node.iter_markers("cassette"))):
            source = f"@pytest.mark.cassette on {node.nodeid}"
            if marker.args:
                raise BadOption(f"{source}: pass keyword arguments such as name=..., not {marker.args!r}")
            yield source, {name: value for name, value in marker.kwargs.items() if name != "name"}
        yield from flags.cassette_options(node.config)

    return _override(settings, overrides())


def _override(settings: Settings, overrides: _Overrides) -> Settings:
    for source, options in overrides:
        settings = settings.with_options(options, source)
    return settings
