"""Find the collected tests that use a cassette or ``calls_snapshot``, and stop the run if these tests cannot work."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

import pytest

from pytest_multitrack import flags, markers, network_blocking
from pytest_multitrack.run_state import RunState

OPTIONS_FIXTURE = "_cassette_options_applied"
"""The fixture that is set up before all others in tests that use a cassette."""


def process_items(config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    """Add the cassettes of ``items`` to the run summary, and make the tests apply the options that fixtures set.

    Raises:
        pytest.UsageError: The run would update snapshots in CI, a required package is not installed, or the cassette
            paths are ambiguous.
    """
    users = [item for item in items if "calls_snapshot" in getattr(item, "fixturenames", ())]
    # a pytest-xdist worker cannot report a usage error; there, the fixture fails each test
    if users and not hasattr(config, "workerinput") and (refused := flags.find_refused_write(config, updates=True)):
        raise pytest.UsageError(f"{refused} ({users[0].nodeid} uses calls_snapshot)")
    network_blocking.add_fixtures(config, items)
    with_cassette = [item for item in items if markers.uses_cassette(item)]
    if with_cassette or any(map(markers.uses_behaviour, items)):
        _require_packages()
        from pytest_multitrack import item_tape

        RunState.of(config).summary.cassettes.update(item_tape.find_cassettes(with_cassette))
        from pytest_multitrack import cassette_options

        for item in with_cassette:
            if cassette_options.may_come_from_fixtures(item):
                getattr(item, "fixturenames", []).insert(0, OPTIONS_FIXTURE)


def _require_packages() -> None:
    try:
        from pytest_multitrack import item_tape  # noqa: F401
    except ImportError as error:
        missing = error.name
    else:
        # only imported for a cassette with unusual values, but it would then be too late to ask for it
        missing = None if find_spec("yaml") is not None else "yaml"
    if missing is not None:
        from multitrack.installation import find_install_command

        raise pytest.UsageError(
            f"using a cassette requires {missing}, which is not installed; run: {find_install_command('test')}"
        )
