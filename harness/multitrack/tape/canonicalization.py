"""Create the objects that normalize and compare requests, from the settings of a tape."""

from __future__ import annotations

import os
from collections.abc import Sequence

from multitrack.tape.interaction_filter import InteractionFilter
from multitrack.tape.matching.canonical_request import Canonicalizer
from multitrack.tape.matching.request_matcher import RequestMatcher
from multitrack.tape.matching.rules import MatchingRules
from multitrack.tape.normalize.placeholders import Placeholders
from multitrack.tape.normalize.request_normalizer import RequestNormalizer
from multitrack.tape.redaction.redactor import Redactor
from multitrack.tape.settings import MATCHED_BY_VCRPY, Settings


def create_matching_rules(settings: Settings, matchers: Sequence[RequestMatcher] = ()) -> MatchingRules:
    """Return the rules that ``settings`` contain, with the project's ``matchers``."""
    match_on = settings.match_on
    if not match_on and not matchers and settings.vcr_compatible_matching:
        match_on = MATCHED_BY_VCRPY
    return MatchingRules(match_on, settings.ignore, Placeholders(settings.placeholders), tuple(matchers))


def create_canonicalizer(
    settings: Settings, filters: InteractionFilter | None = None, matchers: Sequence[RequestMatcher] = ()
) -> Canonicalizer:
    """Return a canonicalizer for ``settings`` that knows the secrets in the environment.

    Args:
        settings: The settings.
        filters: The project's functions that change requests and responses, or ``None`` if there are none.
        matchers: The project's own comparisons of requests.
    """
    function = None
    if settings.redact:
        from multitrack.tape.redaction.project_function import load_function

        function = load_function(settings.redact)
    redactor = Redactor(
        os.environ,
        keep_headers=settings.keep_headers,
        allow_secrets=settings.allow_secrets,
        project_function=function,
    )
    normalizer = RequestNormalizer(redactor, Placeholders(settings.placeholders), filters)
    return Canonicalizer(normalizer, create_matching_rules(settings, matchers))
