"""Tapes of other recorders, as this one would have written them: nothing on them was scrubbed."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

from multitrack.tape.file.cassette import Cassette
from multitrack.tape.matching.rules import Rules
from multitrack.tape.redaction.redactor import Redactor
from multitrack.tape.settings import Settings


def redact_foreign(cassette: Cassette, redactor: Redactor) -> Cassette:
    """``cassette`` scrubbed, if another recorder wrote it."""
    if not cassette.is_foreign:
        return cassette
    for interaction in cassette.interactions:
        redactor.learn_request(interaction.request)
        redactor.learn_response(interaction.response.headers, interaction.response.body)
    interactions = tuple(
        replace(
            interaction,
            request=redactor.request(interaction.request),
            response=redactor.response(interaction.response),
        )
        for interaction in cassette.interactions
    )
    return Cassette(interactions, {**cassette.metadata, "placeholders": sorted(redactor.placeholders)})


def make_foreign_redactor(settings: Settings) -> Callable[[Cassette], Cassette]:
    """`redact_foreign` where no tape plays, by the ``settings`` of a project."""
    rules = Rules(settings.match_on, settings.ignore, settings.placeholders)

    def adopt(cassette: Cassette) -> Cassette:
        kept, allowed = settings.keep_headers, settings.allow_secrets
        redactor = Redactor(os.environ, keep_headers=kept, allow_secrets=allowed, worded=rules.worded)
        return redact_foreign(cassette, redactor)

    return adopt
