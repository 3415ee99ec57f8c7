"""``@pytest.mark.vcr`` for tests written for pytest-recording, if no plugin that defines the marker is installed.

Names, folders and options are the same as in pytest-recording: https://github.com/kiwicom/pytest-recording#usage
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest

from multitrack.errors import BadOption
from multitrack.repetitions import get_unrepeated_name
from multitrack.tape.file import paths
from multitrack.tape.settings import MATCHED, Settings
from pytest_multitrack import cassette_paths, commands, flags
from pytest_multitrack.resolved_options import ResolvedOptions

_TO_FILE_NAME = str.maketrans(dict.fromkeys("<>?%*:|\"'/\\", "-"))
_DEFAULT_MATCH_ON = ("method", "scheme", "host", "port", "path", "query")
_SYNONYMS = {"url": "uri", "raw_body": "body"}
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
# ignored: the flags of pytest set the record mode, and what we record is always YAML with decoded bodies
_IGNORED = {
    "allowed_hosts",
    "custom_patches",
    "decode_compressed_response",
    "drop_unused_requests",
    "inject_cassette",
    "record_mode",
    "record_on_exception",
    "skip_patchers",
}


@dataclass(frozen=True, slots=True)
class VcrFixtures:
    """The values of the fixtures with which a project configures pytest-recording."""

    vcr_config: Mapping[str, Any] | None = None
    vcr_cassette_dir: str | None = None
    default_cassette_name: str | None = None

    @classmethod
    def read(cls, request: pytest.FixtureRequest) -> VcrFixtures | None:
        """Return the fixtures of the requesting test, or None if it has none of them."""
        values = {field.name: _fixture_value(request, field.name) for field in fields(cls)}
        return cls(**values) if any(value is not None for value in values.values()) else None


_NO_FIXTURES = VcrFixtures()


def resolve_vcr_options(
    node: pytest.Item | pytest.Collector, settings: Settings, fixtures: VcrFixtures = _NO_FIXTURES
) -> ResolvedOptions:
    """Return the options of the cassette of ``node`` from its ``vcr`` markers and from fixtures.

    Args:
        settings: The settings of the run, on which the options are applied.

    Raises:
        BadOption: An option is invalid.
    """
    markers = list(node.iter_markers("vcr"))
    config = dict(fixtures.vcr_config or {})
    for marker in reversed(markers):
        config |= marker.kwargs
    filters = {name: config.pop(name) for name in list(config) if name in _FILTERS}
    library = config.pop("cassette_library_dir", None)
    folder = Path(library or fixtures.vcr_cassette_dir or _default_folder(node))
    name_marker = node.get_closest_marker("default_cassette")
    name = name_marker.args[0] if name_marker else fixtures.default_cassette_name or _default_name(node)
    path, other_path = _locate(folder / name, config.pop("serializer", "yaml"), config.pop("path_transformer", None))
    additional_paths = [folder / name for marker in markers for name in marker.args]
    # as soon as our own cassette exists, the other recorder's cassette is not replayed: it would still answer requests
    # that the new recording no longer contains
    if other_path is not None and not path.exists():
        if flags.mode(node.config) == "record-missing":
            command = commands.record_command(node) if isinstance(node, pytest.Item) else "pytest --record"
            raise BadOption(
                f"{paths.relative_to_cwd(other_path)}: --record-missing cannot add to a cassette in this format\n"
                f"  to record all requests of the test again: {command}"
            )
        additional_paths.insert(0, other_path)
    records = flags.mode(node.config) in ("record", "record-missing")
    # a replay without a default cassette only uses the named one; a recording leaves the named one alone
    if len(additional_paths) == 1 and not path.exists() and not records:
        path, additional_paths = additional_paths[0], []
    return ResolvedOptions(
        _apply_config(config, settings, f"@pytest.mark.vcr of {node.nodeid}"),
        path,
        additional_paths,
        _build_filters(filters) if filters else None,
    )


def _apply_config(config: dict[str, Any], settings: Settings, source: str) -> Settings:
    match_on = [*config.pop("match_on", _DEFAULT_MATCH_ON), *config.pop("additional_matchers", ())]
    parts = [_SYNONYMS.get(part, part) for part in match_on]
    for part in parts:
        if part not in MATCHED:
            raise BadOption(f"{source}: match_on accepts {', '.join(MATCHED)}, not the matcher {part!r}")
    allow_repeats = bool(config.pop("allow_playback_repeats", False))
    for name in config:
        if name not in _IGNORED:
            raise BadOption(f"{source}: {name!r} is not an option of vcrpy that Multitrack supports")
    options = {"match_on": parts, "allow_repeats": allow_repeats or settings.allow_repeats}
    return settings.with_options(options, source)


def _build_filters(filters: dict[str, Any]) -> Any:
    from multitrack.tape.redaction import vcr_filters  # vcrpy imports every HTTP library that is installed

    return vcr_filters.VcrFilters(filters)


def _default_folder(node: pytest.Item | pytest.Collector) -> Path:
    return cassette_paths.cassettes_folder(node.path.parent, node.config) / node.path.stem


def _default_name(node: pytest.Item | pytest.Collector) -> str:
    cls = getattr(node, "cls", None)
    name = get_unrepeated_name(node)
    return (f"{cls.__name__}.{name}" if cls else name).translate(_TO_FILE_NAME)


def _locate(path: Path, serializer: str, path_transformer: Callable[[str], str] | None) -> tuple[Path, Path | None]:
    """Return the cassette that we write for ``path`` and, if there is one, the cassette in another format to replay.

    pytest-recording uses the name of a serializer as suffix (``json``, ``yaml.gz``), unless a ``path_transformer``
    decides otherwise.
    """
    suffix = f".{serializer}"
    stem = next((path.name.removesuffix(end) for end in (suffix, ".yaml") if path.name.endswith(end)), path.name)
    written = path.with_name(f"{stem}.yaml")
    candidates = [path, path.with_name(f"{stem}{suffix}")]
    if path_transformer is not None:
        candidates += [Path(path_transformer(str(path.with_name(name)))) for name in (stem, f"{stem}{suffix}")]
    return written, next((one for one in candidates if one != written and one.is_file()), None)


def _fixture_value(request: pytest.FixtureRequest, name: str) -> Any:
    try:
        return request.getfixturevalue(name)
    except pytest.FixtureLookupError as error:
        if error.argname != name:
            raise
        return None
