"""Translate the options of ``@pytest.mark.vcr`` and of pytest-recording's fixtures into the options of a tape.

Cassettes have the same names and folders as with pytest-recording, and each option means the same:
https://github.com/kiwicom/pytest-recording#usage
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from multitrack.errors import BadOption
from multitrack.repetitions import get_unrepeated_name
from multitrack.tape.file import paths, yaml_layout
from multitrack.tape.matching.request_matcher import RequestMatcher
from multitrack.tape.settings import MATCHED, MATCHED_BY_VCRPY, Mode, Settings
from pytest_multitrack import cassette_paths, commands, flags
from pytest_multitrack.recording_interface import record_modes
from pytest_multitrack.resolved_options import ResolvedOptions

if TYPE_CHECKING:
    from pytest_multitrack.recording_interface.configured_vcr import ConfiguredVcr

_TO_FILE_NAME = str.maketrans(dict.fromkeys("<>?%*:|\"'/\\", "-"))
_SYNONYMS = {"url": "uri", "raw_body": "body"}
_FILTERS = frozenset(
    {
        "before_record",
        "before_record_request",
        "before_record_response",
        "decode_compressed_response",
        "filter_headers",
        "filter_post_data_parameters",
        "filter_query_parameters",
        "ignore_hosts",
        "ignore_localhost",
    }
)
_HASH_SEPARATOR = "..."

OPTIONS = pytest.StashKey["VcrOptions"]()
"""The options of a test with the ``vcr`` marker, once its fixtures are known."""


@dataclass(frozen=True, slots=True)
class VcrFixtures:
    """The values of the fixtures that projects use to configure pytest-recording."""

    vcr_config: Mapping[str, Any]
    vcr_cassette_dir: str
    default_cassette_name: str
    record_mode: str
    disable_recording: bool

    @classmethod
    def read(cls, request: pytest.FixtureRequest) -> VcrFixtures:
        """Return the values that pytest-recording's fixtures have for the requesting test."""
        return cls(**{field.name: request.getfixturevalue(field.name) for field in fields(cls)})

    @classmethod
    def from_defaults(cls, node: pytest.Item | pytest.Collector) -> VcrFixtures:
        """Return the values that the plugin's own fixtures have for ``node``."""
        config = node.config
        return cls(
            {},
            find_default_folder(node.path, config),
            find_default_name(node),
            getattr(config.option, "record_mode", None) or "none",
            getattr(config.option, "disable_recording", False),
        )


@dataclass(frozen=True, slots=True)
class VcrOptions:
    """The options of one test with the ``vcr`` marker.

    Args:
        config: vcrpy's options, from the ``vcr_config`` fixture, the markers and the hook.
        path: The path of the cassette that vcrpy would use.
        record_mode: vcrpy's record mode.
        configured: The test's ``vcr.VCR``. None if no conftest configures vcrpy.
    """

    config: Mapping[str, Any]
    path: str
    record_mode: str
    configured: ConfiguredVcr | None


def find_default_folder(path: Path, config: pytest.Config) -> str:
    """Return the folder with the cassettes of the test module at ``path``."""
    return str(cassette_paths.cassettes_folder(path.parent, config) / path.stem)


def find_default_name(node: pytest.Item | pytest.Collector) -> str:
    """Return the name of the default cassette of ``node``.

    Raises:
        BadOption: The ``default_cassette`` marker has no name.
    """
    if (marker := node.get_closest_marker("default_cassette")) is not None:
        if not marker.args:
            raise BadOption(f"@pytest.mark.default_cassette on {node.nodeid}: pass the name of the cassette")
        return str(marker.args[0])
    cls, name = getattr(node, "cls", None), get_unrepeated_name(node)
    return (f"{cls.__name__}.{name}" if cls else name).translate(_TO_FILE_NAME)


def resolve_before_fixtures(node: pytest.Item | pytest.Collector, settings: Settings) -> ResolvedOptions:
    """Return the options for the cassette of ``node``. Options that depend on fixtures are not resolved yet.

    Until the test's options are complete, its requests are sent to the network. The same is true of pytest-recording,
    which opens its cassettes in a fixture. Only fixtures that ``vcr_config`` depends on can send requests this early.

    Args:
        node: The test, or the module or class of a fixture.
        settings: The settings of the run.

    Raises:
        BadOption: An option is invalid.
    """
    markers = list(node.iter_markers("vcr"))
    fixtures = VcrFixtures.from_defaults(node)
    options = _merge_options(node, markers, fixtures)
    path, _ = _locate(options, fixtures)
    extra = _list_additional_paths(markers, fixtures)
    if len(extra) == 1 and not path.exists() and flags.mode(node.config) == "replay":
        path = extra[0]
    return ResolvedOptions(settings, path, mode="live")


def resolve(item: pytest.Item, settings: Settings, fixtures: VcrFixtures) -> ResolvedOptions:
    """Return the options for ``item``'s cassette, and store its ``VcrOptions`` in its stash.

    Args:
        item: The test.
        settings: The settings of the run, which the options override.
        fixtures: The values of the fixtures.

    Raises:
        BadOption: An option is invalid.
    """
    source = f"@pytest.mark.vcr on {item.nodeid}"
    markers = list(item.iter_markers("vcr"))
    options = _configure(_merge_options(item, markers, fixtures), fixtures, item.config, source)
    item.stash[OPTIONS] = options
    path, other_path = _locate(options, fixtures)
    load = _find_loader(options, path)
    additional_paths = _list_additional_paths(markers, fixtures)
    has_cassette = path.exists() or other_path is not None or any(one.exists() for one in additional_paths)
    mode = _resolve_mode(options, fixtures, item.config, has_cassette=has_cassette)
    # as soon as our own cassette exists, the other recorder's cassette is not replayed: it would still answer requests
    # that the new recording no longer contains
    if other_path is not None and not path.exists() and load is None:
        if mode == "record-missing":
            raise BadOption(
                f"{paths.relative_to_cwd(other_path)}: --record-missing cannot add to a cassette in this format\n"
                f"  to record all requests of the test again: {commands.record_command(item)}"
            )
        additional_paths = [other_path, *additional_paths]
    # if there is no default cassette, a replay uses only the named cassette; a recording does not change the named
    # cassette
    if len(additional_paths) == 1 and not path.exists() and mode == "replay" and load is None:
        path, additional_paths = additional_paths[0], []
    settings, matchers = _build_matching(options, settings, source)
    return ResolvedOptions(
        settings,
        path,
        additional_paths,
        _build_filters(options),
        mode=mode,
        matchers=matchers,
        appends=options.record_mode == "all" and flags.mode(item.config) == "replay",
        load=load,
    )


def _merge_options(
    node: pytest.Item | pytest.Collector, markers: Sequence[pytest.Mark], fixtures: VcrFixtures
) -> VcrOptions:
    config = dict(fixtures.vcr_config)
    for marker in reversed(markers):
        config |= marker.kwargs
    source = f"@pytest.mark.vcr on {node.nodeid}"
    mode = record_modes.read_record_mode(config.get("record_mode", fixtures.record_mode), source)
    return VcrOptions(config, "", mode, None)


def _configure(options: VcrOptions, fixtures: VcrFixtures, config: pytest.Config, source: str) -> VcrOptions:
    """Return ``options`` together with the options that the project's hook sets."""
    if not config.hook.pytest_recording_configure.get_hookimpls():
        return VcrOptions(options.config, _find_vcr_path(options, fixtures), options.record_mode, None)
    from pytest_multitrack.recording_interface.configured_vcr import ConfiguredVcr

    suffix = f".{options.config.get('serializer', 'yaml')}"
    configured = ConfiguredVcr(
        folder=fixtures.vcr_cassette_dir,
        record_mode="new_episodes" if options.record_mode == "rewrite" else options.record_mode,
        suffix=suffix,
    )
    configured.call_hook(config)
    changed = configured.changed_options
    merged = {**changed, **options.config}
    mode = options.record_mode
    if "record_mode" in changed and "record_mode" not in options.config:
        mode = record_modes.read_record_mode(changed["record_mode"], source)
    found = VcrOptions(merged, "", mode, configured)
    return VcrOptions(merged, _find_vcr_path(found, fixtures), mode, configured)


def _resolve_mode(options: VcrOptions, fixtures: VcrFixtures, config: pytest.Config, *, has_cassette: bool) -> Mode:
    if fixtures.disable_recording:
        return "live"
    return record_modes.resolve_mode(options.record_mode, config, has_cassette=has_cassette)


def _list_additional_paths(markers: Sequence[pytest.Mark], fixtures: VcrFixtures) -> list[Path]:
    names = dict.fromkeys(name for marker in markers for name in marker.args)
    return [Path(fixtures.vcr_cassette_dir) / name for name in names]


def _locate(options: VcrOptions, fixtures: VcrFixtures) -> tuple[Path, Path | None]:
    """Return the path to write to, and the path of an existing cassette with another file name. None if there is no
    such cassette.

    The other file name comes from pytest-recording, which uses the name of a serializer as the suffix (``json``,
    ``yaml.gz``), or from a ``path_transformer``.
    """
    serializer = options.config.get("serializer", "yaml")
    path_transformer: Callable[[str], str] | None = options.config.get("path_transformer")
    folder = Path(options.config.get("cassette_library_dir") or fixtures.vcr_cassette_dir)
    path, suffix = folder / shorten_name(fixtures.default_cassette_name, serializer), f".{serializer}"
    stem = next((path.name.removesuffix(end) for end in (suffix, ".yaml") if path.name.endswith(end)), path.name)
    written = path.with_name(f"{stem}.yaml")
    candidates = [path, path.with_name(f"{stem}{suffix}")]
    if path_transformer is not None:
        candidates += [Path(path_transformer(str(path.with_name(name)))) for name in (stem, f"{stem}{suffix}")]
    return written, next((one for one in candidates if one != written and one.is_file()), None)


def _find_vcr_path(options: VcrOptions, fixtures: VcrFixtures) -> str:
    serializer = options.config.get("serializer", "yaml")
    transform: Callable[[str], str] | None = options.config.get("path_transformer")
    folder = Path(options.config.get("cassette_library_dir") or fixtures.vcr_cassette_dir)
    path = str(folder / shorten_name(fixtures.default_cassette_name, serializer))
    if transform is not None:
        return str(transform(path))
    return path if path.endswith(f".{serializer}") else f"{path}.{serializer}"


def shorten_name(name: str, serializer: str) -> str:
    """Shorten the name of a cassette in the same way as pytest-recording, so that the file system accepts the name."""
    suffix = ".yaml" if serializer == "yaml" else serializer
    limit = _find_longest_name() - len(suffix)
    if len(name) <= limit:
        return name
    digest = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
    return name[: limit - len(digest) - len(_HASH_SEPARATOR)] + _HASH_SEPARATOR + digest


def _find_longest_name() -> int:
    try:
        return os.pathconf(".", "PC_NAME_MAX")
    except (AttributeError, ValueError, OSError):  # Windows
        return 255


def _find_loader(options: VcrOptions, path: Path) -> Callable[[], Any] | None:
    """Return a function that loads the cassette with the project's own vcrpy serializer or persister.

    None if the project has neither. Also None if Multitrack wrote the cassette, because the project's serializer does
    not know Multitrack's keys.
    """
    serializer = options.config.get("serializer", "yaml")
    if options.configured is None or not options.configured.reads_itself(serializer) or _is_own(path):
        return None
    return partial(options.configured.load_cassette, options.path, serializer)


def _is_own(path: Path) -> bool:
    """Return whether Multitrack wrote the cassette at ``path``."""
    try:
        return "format" in yaml_layout.read_metadata(path.read_bytes())
    except (OSError, ValueError, TypeError):
        return False


def _build_matching(options: VcrOptions, settings: Settings, source: str) -> tuple[Settings, Sequence[RequestMatcher]]:
    """Return the settings for vcrpy's matching options, and the project's own matchers.

    If neither ``match_on`` nor ``vcr_compatible_matching`` is set, every part of a request is compared.
    """
    config = options.config
    chosen: Sequence[str] | None = config.get("match_on")
    additional: Sequence[str] = config.get("additional_matchers", ())
    is_default = chosen is None and not additional
    names = [*(MATCHED_BY_VCRPY if chosen is None else chosen), *additional]
    matchers = {name: matcher for name in names if (matcher := _find_matcher(options.configured, name)) is not None}
    parts = [_SYNONYMS.get(name, name) for name in names if name not in matchers]
    for name in parts:
        if name not in MATCHED:
            raise BadOption(
                f"{source}: the matcher {name!r} in match_on is neither part of vcrpy nor registered\n"
                f"  to register it in a conftest: def pytest_recording_configure(config, vcr): "
                f"vcr.register_matcher({name!r}, function)"
            )
    if is_default and not settings.vcr_compatible_matching:
        # by default, all parts are compared, including the body; if one of the project's matchers replaces a part, name
        # the others
        parts = [*parts, "body"] if matchers else []
    changes = {
        **({"match_on": parts} if parts else {}),
        "allow_repeats": bool(config.get("allow_playback_repeats", False)) or settings.allow_repeats,
    }
    return settings.with_options(changes, source), tuple(matchers.values())


def _find_matcher(configured: ConfiguredVcr | None, name: str) -> RequestMatcher | None:
    """Return the matcher function for ``name``. None if Multitrack has its own comparison with this name."""
    is_builtin = _SYNONYMS.get(name, name) in MATCHED
    if configured is not None:
        return configured.find_matcher(name, builtin=is_builtin)
    if is_builtin or name != "headers":
        return None
    from vcr import matchers

    from pytest_multitrack.recording_interface.vcr_matchers import VcrMatcher

    return VcrMatcher(name, matchers.headers)


def _build_filters(options: VcrOptions) -> Any:
    names: Collection[str] = [name for name in options.config if name in _FILTERS]
    if not names:
        return None
    configured = options.configured
    if configured is None:
        # vcrpy imports every HTTP library that is installed
        from pytest_multitrack.recording_interface.configured_vcr import ConfiguredVcr

        configured = ConfiguredVcr(folder="", record_mode="none", suffix=".yaml")
    return configured.build_filters({name: options.config[name] for name in names})
