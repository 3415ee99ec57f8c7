"""Block the network in tests: for the whole run, or with the marker ``block_network``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from multitrack.errors import BadOption
from multitrack.tape import active
from multitrack.tape.network_block import NetworkBlock
from multitrack.tape.settings import Settings
from pytest_multitrack import cassette_options, cassette_paths, pytest_internals, recording_plugins
from pytest_multitrack.run_state import ItemState

BLOCK_FIXTURE = "_network_block"
"""The fixture that blocks the network until the fixtures of the test are torn down."""
_VCR_FIXTURE = "block_network"
"""The fixture of pytest-recording that requests ours, and that a project may override."""


def find_fixture(item: pytest.Item) -> str | None:
    """Return the fixture that blocks the network in ``item``. None if its network is not blocked."""
    if not _is_blocked(item):
        return None
    return BLOCK_FIXTURE if recording_plugins.has_other(item.config) else _VCR_FIXTURE


def _is_blocked(item: pytest.Item) -> bool:
    option = item.config.option
    if option.multitrack_block_network or cassette_paths.load_project(item.config).block_network:
        return True
    if recording_plugins.has_other(item.config):
        return False
    return getattr(option, "block_network", False) or item.get_closest_marker("block_network") is not None


@contextmanager
def block(request: pytest.FixtureRequest) -> Iterator[None]:
    """Block the network within the block, unless the cassette of the requesting test is being recorded.

    Raises:
        BadOption: The marker ``block_network`` has an unknown argument.
    """
    item: pytest.Item = request.node
    item_tape = ItemState.of(item).tape
    tape = item_tape.tape if item_tape is not None else None
    allowed = _find_allowed_hosts(request)
    if tape is not None and tape.mode in ("record", "record-missing", "drift"):
        yield
        return
    settings: Settings = tape.settings if tape is not None else cassette_options.resolve_run_settings(item.config)
    name = pytest_internals.get_test_name(item)
    with active.block_network(NetworkBlock(name, allowed, settings.allows_connection)):
        yield


def _find_allowed_hosts(request: pytest.FixtureRequest) -> Sequence[str]:
    if recording_plugins.has_other(request.config):
        return ()
    marker = request.node.get_closest_marker(_VCR_FIXTURE)
    if marker is not None and (marker.args or not set(marker.kwargs) <= {"allowed_hosts"}):
        arguments = [*map(repr, marker.args), *(f"{name}=..." for name in marker.kwargs)]
        raise BadOption(
            f"@pytest.mark.block_network of {request.node.nodeid}: pass only allowed_hosts=[...], "
            f"not {', '.join(arguments)}"
        )
    return request.getfixturevalue("allowed_hosts") or ()
