"""The options of a test's tape, out of every place where they may stand, the weakest first: pyproject.toml, the
fixture ``cassette_options``, the markers, the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from multitrack.errors import BadOption
from multitrack.tape.settings import Settings
from multitrack.tape.tape import InteractionFilter
from pytest_multitrack import flags, places


@dataclass(frozen=True, slots=True)
class Options:
    """``path`` is where the tape lies, None for where it does by its name; ``beside`` are tapes that are played, too,
    and never written; ``filters`` are those of vcrpy."""

    settings: Settings
    path: Path | None = None
    beside: Sequence[Path] = ()
    filters: InteractionFilter | None = None


_Stronger = Iterator[tuple[str, Mapping[str, Any]]]


def of_run(config: pytest.Config) -> Settings:
    """What holds for every tape that says nothing else. Raises `BadOption`."""
    return _resolved(places.project_of(config).settings, flags.given(config))


def of_markers(node: pytest.Item | pytest.Collector) -> Options:
    """The options of the tape of ``node`` by its markers. Raises `BadOption`."""
    if is_of_vcr(node):
        from pytest_multitrack import vcr_marker

        return vcr_marker.options(node, of_run(node.config))
    return Options(_with_markers(node, places.project_of(node.config).settings))


def of_fixtures(request: pytest.FixtureRequest) -> Options | None:
    """The options of the tape of the test that makes ``request`` by its fixtures, too; None where no fixture has any.
    Raises `BadOption`."""
    if is_of_vcr(request.node):
        from pytest_multitrack import vcr_marker

        found = vcr_marker.Fixtures.of(request)
        return vcr_marker.options(request.node, of_run(request.config), found) if found else None
    given = request.getfixturevalue("cassette_options")
    if not isinstance(given, Mapping):
        raise BadOption(f"the fixture cassette_options gives a mapping, not {given!r}")
    if not given:
        return None
    settings = places.project_of(request.config).settings
    return Options(_with_markers(request.node, settings.with_options(given, "the fixture cassette_options")))


def path_of(item: pytest.Item) -> Path:
    """Where the tape of ``item`` lies, as far as its markers tell. Raises `BadOption`."""
    return of_markers(item).path or places.tape_path(item)


def is_of_vcr(node: pytest.Item | pytest.Collector) -> bool:
    """Whether the tape of ``node`` is asked for by ``@pytest.mark.vcr`` alone."""
    if node.get_closest_marker("vcr") is None or "tape" in getattr(node, "fixturenames", ()):
        return False
    return node.get_closest_marker("cassette") is None


def _with_markers(node: pytest.Item | pytest.Collector, settings: Settings) -> Settings:
    def stronger() -> _Stronger:
        for marker in reversed(list(node.iter_markers("cassette"))):
            if marker.args:
                raise BadOption(f"@pytest.mark.cassette takes keywords, not {marker.args!r}")
            yield (
                f"@pytest.mark.cassette of {node.nodeid}",
                {name: value for name, value in marker.kwargs.items() if name != "name"},
            )
        yield from flags.given(node.config)

    return _resolved(settings, stronger())


def _resolved(settings: Settings, stronger: _Stronger) -> Settings:
    for source, options in stronger:
        settings = settings.with_options(options, source)
    return settings
