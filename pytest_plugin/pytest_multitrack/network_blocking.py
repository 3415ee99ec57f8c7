"""Block the network in tests: for the whole run, or with the ``block_network`` marker.

Every run imports this module. To keep the import fast, modules that only a blocked network needs are imported inside
the functions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from pytest_multitrack import recording_plugins
from pytest_multitrack.run_state import ItemState

if TYPE_CHECKING:
    from multitrack.tape.settings import Settings

BLOCK_FIXTURE = "_network_block"
"""The fixture that blocks the network until the test's fixtures are torn down."""
_VCR_FIXTURE = "block_network"
"""The fixture with pytest-recording's name. It requests ``BLOCK_FIXTURE``, and a project may override it."""


def add_fixtures(config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    """For each item that must not use the network, add the fixture that blocks it."""
    has_other, option = recording_plugins.has_other(config), config.option
    fixture = BLOCK_FIXTURE if has_other else _VCR_FIXTURE
    blocks_all = option.multitrack_block_network or (not has_other and getattr(option, "block_network", False))
    blocks_all = blocks_all or _project_blocks(config)
    blocked = [item for item in items if blocks_all or (not has_other and item.get_closest_marker(_VCR_FIXTURE))]
    if blocked:
        from pytest_multitrack import pytest_internals

        for item in blocked:
            pytest_internals.add_function_fixture(item, fixture)


def _project_blocks(config: pytest.Config) -> bool:
    try:
        content = (config.rootpath / "pyproject.toml").read_bytes()
    except OSError:
        return False
    if _VCR_FIXTURE.encode() not in content:
        return False  # without the cost of reading all settings
    from multitrack.errors import BadOption
    from pytest_multitrack import cassette_paths

    try:
        return cassette_paths.load_project(config).block_network
    except BadOption as error:
        raise pytest.UsageError(str(error)) from error


@contextmanager
def block(request: pytest.FixtureRequest) -> Iterator[None]:
    """Block the network inside the ``with`` statement, unless the cassette of the test in ``request`` is being
    recorded.

    Raises:
        BadOption: The ``block_network`` marker has an unknown argument.
    """
    from multitrack.tape import active
    from multitrack.tape.network_block import NetworkBlock
    from pytest_multitrack import cassette_options, pytest_internals

    item: pytest.Item = request.node
    item_tape = ItemState.of(item).tape
    tape = item_tape.tape if item_tape is not None else None
    allowed = _find_allowed_hosts(request)
    if tape is not None and tape.mode in ("record", "record-missing", "drift"):
        yield
        return
    settings: Settings = tape.settings if tape is not None else cassette_options.resolve_run_settings(item.config)
    name = pytest_internals.get_test_name(item)
    has_marker = not recording_plugins.has_other(item.config)
    with active.block_network(NetworkBlock(name, allowed, settings.allows_connection, has_marker=has_marker)):
        yield


def _find_allowed_hosts(request: pytest.FixtureRequest) -> Sequence[str]:
    if recording_plugins.has_other(request.config):
        return ()
    marker = request.node.get_closest_marker(_VCR_FIXTURE)
    if marker is not None and (marker.args or not set(marker.kwargs) <= {"allowed_hosts"}):
        from multitrack.errors import BadOption

        arguments = [*map(repr, marker.args), *(f"{name}=..." for name in marker.kwargs)]
        raise BadOption(
            f"@pytest.mark.block_network on {request.node.nodeid}: pass only allowed_hosts=[...], "
            f"not {', '.join(arguments)}"
        )
    return request.getfixturevalue("allowed_hosts") or ()
