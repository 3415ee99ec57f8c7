"""pytest-recording's fixtures, with the same names and scopes. Projects override some of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_multitrack import markers

if TYPE_CHECKING:
    from pytest_multitrack.recording_interface.tape_cassette import TapeCassette

__all__ = (
    "allowed_hosts",
    "block_network",
    "default_cassette_name",
    "disable_recording",
    "record_mode",
    "vcr",
    "vcr_cassette_dir",
    "vcr_config",
    "vcr_markers",
)


@pytest.fixture(scope="session")
def record_mode(request: pytest.FixtureRequest) -> str:
    """The record mode that ``--record-mode`` sets (default: none)."""
    return request.config.option.record_mode or "none"


@pytest.fixture(scope="session")
def disable_recording(request: pytest.FixtureRequest) -> bool:
    """Whether ``--disable-recording`` is set."""
    return bool(request.config.option.disable_recording)


@pytest.fixture
def vcr_config() -> dict[str, Any]:
    """The vcrpy options of all tests that can see this fixture. Override this fixture, with any scope."""
    return {}


@pytest.fixture
def vcr_markers(request: pytest.FixtureRequest) -> list[pytest.Mark]:
    """The ``vcr`` markers of this test. The marker closest to the test comes first."""
    return list(request.node.iter_markers("vcr"))


@pytest.fixture(scope="module")
def vcr_cassette_dir(request: pytest.FixtureRequest) -> str:
    """The folder with the cassettes of this module. Override this fixture to choose another folder."""
    from pytest_multitrack.recording_interface import vcr_options

    return vcr_options.find_default_folder(request.path, request.config)


@pytest.fixture
def default_cassette_name(request: pytest.FixtureRequest) -> str:
    """The name of the cassette of this test, without a suffix. Override this fixture to choose another name."""
    from pytest_multitrack.recording_interface import vcr_options

    return vcr_options.find_default_name(request.node)


@pytest.fixture
def allowed_hosts(request: pytest.FixtureRequest) -> list[str] | None:
    """Regular expressions for the hosts to which a test can connect even if the network is blocked."""
    marker = request.node.get_closest_marker("block_network")
    found = (
        (marker.kwargs.get("allowed_hosts") if marker is not None else None)
        or request.config.option.allowed_hosts
        or request.getfixturevalue("vcr_config").get("allowed_hosts")
    )
    return found.split(",") if isinstance(found, str) else found


@pytest.fixture
def block_network(_network_block: None) -> None:
    """Block the network in this test if the ``block_network`` marker or an option says so."""


@pytest.fixture
def vcr(request: pytest.FixtureRequest) -> TapeCassette | None:
    """The cassette of this test, with the interface of vcrpy. None if the test has no ``vcr`` marker."""
    from pytest_multitrack.recording_interface import vcr_options

    options = request.node.stash.get(vcr_options.OPTIONS, None)
    if options is None or not markers.uses_vcr_marker(request.node) or request.getfixturevalue("disable_recording"):
        return None
    from pytest_multitrack.recording_interface.tape_cassette import TapeCassette

    return TapeCassette.from_options(request.getfixturevalue("tape"), options)
