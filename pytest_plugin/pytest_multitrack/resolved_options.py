"""The options of a test's cassette, after all their sources were merged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from multitrack.tape.interaction_filter import InteractionFilter
from multitrack.tape.settings import Settings


@dataclass(frozen=True, slots=True)
class ResolvedOptions:
    """The options with which a test opens its cassette.

    Args:
        settings: The merged settings.
        path: The path of the cassette; None if it follows from the name of the test.
        additional_paths: More cassettes to replay. They are never written.
        filters: The request and response filters of vcrpy, if the test configures any.
    """

    settings: Settings
    path: Path | None = None
    additional_paths: Sequence[Path] = ()
    filters: InteractionFilter | None = None
