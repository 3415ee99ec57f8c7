"""Detect other plugins that record HTTP traffic and handle the ``vcr`` marker themselves."""

from __future__ import annotations

import pytest

_NAMES = frozenset({"recording", "vcr", "cassetter"})
"""The names that the plugins have if pytest loads them itself."""
_PACKAGES = frozenset({"pytest_recording", "pytest_vcr", "cassetter"})
"""The packages of these plugins, because ``-p`` and ``pytest_plugins`` register a plugin by the name of its module."""
_has_other = pytest.StashKey[bool]()


def detect(config: pytest.Config) -> bool:
    """Return whether the run uses another plugin that handles ``@pytest.mark.vcr``, and remember the answer.

    A plugin that is disabled with ``-p no:recording`` is ignored. Call this function after the initial conftests have
    been loaded, because an initial conftest can load such a plugin. Later conftests cannot load plugins.
    """
    found = any(
        plugin is not None and _is_other(name, plugin) for name, plugin in config.pluginmanager.list_name_plugin()
    )
    config.stash[_has_other] = found
    return found


def has_other(config: pytest.Config) -> bool:
    """Return whether another plugin in this run handles ``@pytest.mark.vcr``. Call ``detect`` first."""
    return config.stash.get(_has_other, False)


def _is_other(name: str, plugin: object) -> bool:
    module = getattr(plugin, "__name__", None) or type(plugin).__module__
    return name in _NAMES or module.partition(".")[0] in _PACKAGES
