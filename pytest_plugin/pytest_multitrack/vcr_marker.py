"""``@pytest.mark.vcr`` where no plugin of its own is there to understand it: names, folders and options as
pytest-recording has them, for tests that come from it.

https://github.com/kiwicom/pytest-recording#usage
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest

from multitrack.errors import BadOption
from multitrack.tape.settings import MATCHED, Settings
from pytest_multitrack import places
from pytest_multitrack.options import Options

_NO_FILE_NAME = str.maketrans(dict.fromkeys("<>?%*:|\"'/\\", "-"))
_MATCHED_BY_DEFAULT = ("method", "scheme", "host", "port", "path", "query")
_SAME_PART = {"url": "uri", "raw_body": "body"}
_FILTERS = {
    "before_record",
    "before_record_request",
    "before_record_response",
    "filter_headers",
    "filter_query_parameters",
    "filter_post_data_parameters",
    "filter_nested_post_data_parameters",
    "filter_sensitive_data",
    "ignore_hosts",
    "ignore_localhost",
}
# pytest's flags say when to record; a tape is always one file of YAML, its bodies decoded
_WITHOUT_MEANING = {
    "allowed_hosts",
    "custom_patches",
    "decode_compressed_response",
    "drop_unused_requests",
    "inject_cassette",
    "path_transformer",
    "record_mode",
    "record_on_exception",
    "serializer",
    "skip_patchers",
}


@dataclass(frozen=True, slots=True)
class Fixtures:
    """What a project says by fixtures of pytest-recording's names."""

    vcr_config: Mapping[str, Any] | None = None
    vcr_cassette_dir: str | None = None
    default_cassette_name: str | None = None

    @classmethod
    def of(cls, request: pytest.FixtureRequest) -> Fixtures | None:
        """Those that the test which makes ``request`` has; None where it has none."""
        found = {field.name: _fixture(request, field.name) for field in fields(cls)}
        return cls(**found) if any(value is not None for value in found.values()) else None


_NO_FIXTURES = Fixtures()


def options(node: pytest.Item | pytest.Collector, settings: Settings, given: Fixtures = _NO_FIXTURES) -> Options:
    """The options of the tape of ``node``, on top of ``settings``, by its markers ``vcr`` and what is ``given`` by
    fixtures. Raises `BadOption`."""
    markers = list(node.iter_markers("vcr"))
    config = dict(given.vcr_config or {})
    for marker in reversed(markers):
        config |= marker.kwargs
    filters = {name: config.pop(name) for name in list(config) if name in _FILTERS}
    library = config.pop("cassette_library_dir", None)
    folder = Path(library or given.vcr_cassette_dir or _folder(node))
    named = node.get_closest_marker("default_cassette")
    default = named.args[0] if named else given.default_cassette_name or _name(node)
    path = folder / _with_ending(default)
    beside = [folder / name for marker in markers for name in marker.args]
    if len(beside) == 1 and not path.exists():
        path, beside = beside[0], []
    return Options(
        _settings(config, settings, f"@pytest.mark.vcr of {node.nodeid}"),
        path,
        beside,
        _built(filters) if filters else None,
    )


def _settings(config: dict[str, Any], settings: Settings, source: str) -> Settings:
    match_on = [*config.pop("match_on", _MATCHED_BY_DEFAULT), *config.pop("additional_matchers", ())]
    parts = [_SAME_PART.get(part, part) for part in match_on]
    for part in parts:
        if part not in MATCHED:
            raise BadOption(f"{source}: match_on takes {', '.join(MATCHED)} here, and no matcher {part!r}")
    repeats = bool(config.pop("allow_playback_repeats", False))
    for name in config:
        if name not in _WITHOUT_MEANING:
            raise BadOption(f"{source}: {name!r} is no option of vcrpy's that is understood here")
    return settings.with_options({"match_on": parts, "allow_repeats": repeats or settings.allow_repeats}, source)


def _built(filters: dict[str, Any]) -> Any:
    from multitrack.tape.redaction import vcr_filters  # vcrpy imports every HTTP library that is installed

    return vcr_filters.VcrFilters(filters)


def _folder(node: pytest.Item | pytest.Collector) -> Path:
    return places.folder_beside(node.path.parent, node.config) / node.path.stem


def _name(node: pytest.Item | pytest.Collector) -> str:
    cls = getattr(node, "cls", None)
    return (f"{cls.__name__}.{node.name}" if cls else node.name).translate(_NO_FILE_NAME)


def _with_ending(name: str) -> str:
    return name if name.endswith(".yaml") else f"{name}.yaml"


def _fixture(request: pytest.FixtureRequest, name: str) -> Any:
    try:
        return request.getfixturevalue(name)
    except pytest.FixtureLookupError as error:
        if error.argname != name:
            raise
        return None
