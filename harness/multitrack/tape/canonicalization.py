"""Create the objects that normalize and compare requests, from the settings of a tape."""

from __future__ import annotations

import os

from multitrack.tape.interaction_filter import InteractionFilter
from multitrack.tape.matching.canonical_request import Canonicalizer
from multitrack.tape.matching.rules import MatchingRules
from multitrack.tape.normalize.placeholders import Placeholders
from multitrack.tape.normalize.request_normalizer import RequestNormalizer
from multitrack.tape.redaction.project_function import load_function
from multitrack.tape.redaction.redactor import Redactor
from multitrack.tape.settings import Settings


def create_matching_rules(settings: Settings) -> MatchingRules:
    """Return the rules that ``settings`` contain."""
    return MatchingRules(settings.match_on, settings.ignore, Placeholders(settings.placeholders))


def create_canonicalizer(settings: Settings, filters: InteractionFilter | None = None) -> Canonicalizer:
    """Return the canonicalizer for ``settings``, which knows the secrets in the environment.

    Args:
        settings: The settings.
        filters: The functions of the project. None if there are none.
    """
    redactor = Redactor(
        os.environ,
        keep_headers=settings.keep_headers,
        allow_secrets=settings.allow_secrets,
        project_function=load_function(settings.redact) if settings.redact else None,
    )
    normalizer = RequestNormalizer(redactor, Placeholders(settings.placeholders), filters)
    return Canonicalizer(normalizer, create_matching_rules(settings))
