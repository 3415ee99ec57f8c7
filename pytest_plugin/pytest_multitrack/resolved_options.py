"""The options of a test's cassette, merged from pyproject.toml, the command line, fixtures and markers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from multitrack.tape.interaction_filter import InteractionFilter
from multitrack.tape.matching.request_matcher import RequestMatcher
from multitrack.tape.open_cassette import CassetteLoader
from multitrack.tape.settings import Mode, Settings


@dataclass(frozen=True, slots=True)
class ResolvedOptions:
    """The options that a test's cassette is opened with.

    Args:
        settings: The merged settings.
        path: The path of the cassette; None if it follows from the test's name.
        additional_paths: More cassettes, which are replayed but never written.
        filters: vcrpy's request and response filters, if the test configures any.
        mode: The tape's mode; None if the run's flags decide.
        matchers: The project's own comparisons of requests.
        appends: Whether a recording is appended to the cassette instead of replacing the earlier one.
        load: A function that reads a cassette in the project's own format. None for the usual formats.
    """

    settings: Settings
    path: Path | None = None
    additional_paths: Sequence[Path] = ()
    filters: InteractionFilter | None = None
    mode: Mode | None = None
    matchers: Sequence[RequestMatcher] = ()
    appends: bool = False
    load: CassetteLoader | None = None
