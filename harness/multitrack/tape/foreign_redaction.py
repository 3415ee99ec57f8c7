"""Redact cassettes of other recorders: they contain everything that was sent and received.

Clients receive the responses unchanged, with all headers, because tests may depend on any part of them. The list of
headers to keep only applies to what we record. Everything that is matched, written or shown is redacted.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

from multitrack.tape.file.cassette import Cassette
from multitrack.tape.matching.rules import MatchingRules
from multitrack.tape.redaction.redactor import Redactor
from multitrack.tape.settings import Settings


def redact_foreign(cassette: Cassette, redactor: Redactor) -> Cassette:
    """Return ``cassette`` redacted if another recorder wrote it, and unchanged otherwise."""
    if not cassette.is_foreign:
        return cassette
    for interaction in cassette.interactions:
        redactor.learn_request(interaction.request)
        redactor.learn_response(interaction.response.headers, interaction.response.body)
    interactions = tuple(
        replace(
            interaction,
            request=redactor.redact_request(interaction.request),
            response=redactor.redact_response(interaction.response, keep_all_headers=True),
            stored_response=interaction.response,
        )
        for interaction in cassette.interactions
    )
    return Cassette(interactions, {**cassette.metadata, "placeholders": sorted(redactor.pseudonyms)})


def make_foreign_redactor(settings: Settings) -> Callable[[Cassette], Cassette]:
    """Return `redact_foreign` with the ``settings`` of a project, for use without a tape."""
    rules = MatchingRules(settings.match_on, settings.ignore, settings.placeholders)

    def redact(cassette: Cassette) -> Cassette:
        kept, allowed = settings.keep_headers, settings.allow_secrets
        redactor = Redactor(
            os.environ, keep_headers=kept, allow_secrets=allowed, apply_placeholders=rules.apply_placeholders
        )
        return redact_foreign(cassette, redactor)

    return redact
