"""Register pytest-recording's hook, fixtures, markers and options if no other plugin provides them."""

from __future__ import annotations

from types import ModuleType

import pytest

from pytest_multitrack import recording_plugins

_HOLDER = "multitrack-recording"
_MARKERS = (
    "vcr(*names, **options): use a cassette for the requests of this test, as pytest-recording does",
    "default_cassette(name): the name of the cassette that the vcr marker uses",
    "block_network(allowed_hosts=None): refuse all connections of this test, except to hosts that match one of "
    "these regular expressions",
)


def reserve_place(pluginmanager: pytest.PytestPluginManager) -> None:
    """Register an empty plugin, to which ``register`` adds the fixtures.

    A plugin's fixtures override those of plugins that were registered earlier. Therefore, the empty plugin must be
    registered before the project's plugins. At that time, it is unknown whether the fixtures are needed.
    """
    pluginmanager.register(ModuleType("pytest_multitrack_recording"), _HOLDER)


def register(config: pytest.Config, parser: pytest.Parser) -> None:
    """Register fixtures and options if no other plugin provides them. Called after the initial conftests are loaded."""
    if recording_plugins.detect(config):
        return
    from pytest_multitrack.recording_interface import command_line, fixtures, hookspecs

    command_line.add_options(parser)
    config.pluginmanager.add_hookspecs(hookspecs)
    if (holder := config.pluginmanager.get_plugin(_HOLDER)) is not None:
        vars(holder).update({name: getattr(fixtures, name) for name in fixtures.__all__})


def register_markers(config: pytest.Config) -> None:
    """Register the markers, so that pytest knows and lists them."""
    if not recording_plugins.has_other(config):
        for line in _MARKERS:
            config.addinivalue_line("markers", line)
