"""The ``vcr.VCR`` of a test: create it, and configure it with the project's ``pytest_recording_configure`` hook."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import vcr
from vcr.persisters.filesystem import CassetteDecodeError, CassetteNotFoundError, FilesystemPersister

from multitrack.errors import CassetteCorrupt
from multitrack.tape.file import foreign
from pytest_multitrack.recording_interface.vcr_filters import VcrFilters
from pytest_multitrack.recording_interface.vcr_matchers import VcrMatcher

if TYPE_CHECKING:
    import pytest

    from multitrack.tape.file.cassette import Cassette

_ATTRIBUTES = (
    "before_record_request",
    "before_record_response",
    "cassette_library_dir",
    "decode_compressed_response",
    "filter_headers",
    "filter_post_data_parameters",
    "filter_query_parameters",
    "ignore_hosts",
    "ignore_localhost",
    "match_on",
    "path_transformer",
    "record_mode",
    "serializer",
)
"""The attributes of ``vcr.VCR`` that are also options of a cassette."""


class ConfiguredVcr:
    """The ``vcr.VCR`` of one test, and the settings that the ``pytest_recording_configure`` hook changed."""

    def __init__(self, *, folder: str, record_mode: str, suffix: str) -> None:
        """Create the object with the arguments that pytest-recording passes.

        Args:
            folder: The cassette's folder.
            record_mode: A vcrpy record mode.
            suffix: The cassette's suffix.
        """
        self.vcr = vcr.VCR(
            cassette_library_dir=folder,
            record_mode=vcr.mode(record_mode),
            path_transformer=vcr.VCR.ensure_suffix(suffix),
        )
        self._initial = {name: getattr(self.vcr, name) for name in _ATTRIBUTES}
        self._initial_matchers = dict(self.vcr.matchers)
        self._initial_serializers = dict(self.vcr.serializers)

    def call_hook(self, config: pytest.Config) -> None:
        """Call the project's ``pytest_recording_configure`` hook, which can change vcrpy's settings."""
        config.hook.pytest_recording_configure(config=config, vcr=self.vcr)

    @property
    def changed_options(self) -> Mapping[str, Any]:
        """The options that the ``pytest_recording_configure`` hook set."""
        values = {name: getattr(self.vcr, name) for name in _ATTRIBUTES}
        return {name: value for name, value in values.items() if value is not self._initial[name]}

    def find_matcher(self, name: str, *, builtin: bool) -> VcrMatcher | None:
        """Return the matcher that the project registered as ``name``. None if Multitrack's own matcher is used.

        Args:
            name: The name of the matcher.
            builtin: Whether vcrpy and Multitrack both have a matcher with this name. Multitrack's matcher is then
                used if the project did not replace vcrpy's.
        """
        function = self.vcr.matchers.get(name)
        if function is None or (builtin and function is self._initial_matchers.get(name)):
            return None
        return VcrMatcher(name, function)

    def list_functions(self, options: Mapping[str, Any]) -> Sequence[Callable[[Any, Any], Any]]:
        """Return the functions whose names are in the ``match_on`` and ``additional_matchers`` options."""
        names = [*options.get("match_on", self.vcr.match_on), *options.get("additional_matchers", ())]
        return [self.vcr.matchers[name] for name in names if name in self.vcr.matchers]

    def build_filters(self, options: Mapping[str, Any]) -> VcrFilters:
        """Return the filters that vcrpy builds from ``options`` and from the project's configuration."""
        known = {name: value for name, value in options.items() if name in _ATTRIBUTES}
        merged = self.vcr.get_merged_config(**{**known, "match_on": (), "serializer": "yaml"})
        changing = ("before_record_response", "decode_compressed_response")
        changes_responses = any(options.get(name, getattr(self.vcr, name)) for name in changing)
        return VcrFilters(merged["before_record_request"], merged["before_record_response"], changes_responses)

    def reads_itself(self, serializer: str) -> bool:
        """Return whether the project's hook registered a persister, or a serializer named ``serializer``."""
        if self.vcr.persister is not FilesystemPersister:
            return True
        return self.vcr.serializers.get(serializer) is not self._initial_serializers.get(serializer)

    def load_cassette(self, path: str, serializer: str) -> Cassette | None:
        """Return the cassette that the project's persister loads. None if there is none.

        Raises:
            CassetteCorrupt: The persister returned something that is not a cassette.
        """
        module = self.vcr.serializers.get(serializer)
        try:
            requests, responses = self.vcr.persister.load_cassette(path, serializer=module)
        except (CassetteNotFoundError, CassetteDecodeError, FileNotFoundError):
            return None
        pairs = zip(requests, responses, strict=True)
        interactions = [{"request": request._to_dict(), "response": response} for request, response in pairs]
        try:
            return foreign.read({"interactions": interactions})
        except foreign.BadInteraction as error:
            raise CassetteCorrupt(Path(path), f"interaction {error.position + 1}: {error.reason}") from error
