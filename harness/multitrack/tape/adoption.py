"""Tapes of other recorders, as this one would have written them: nothing on them was scrubbed."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

from multitrack.tape.file.cassette import Cassette
from multitrack.tape.matching.rules import Rules
from multitrack.tape.redaction.scrubber import Scrubber
from multitrack.tape.settings import Settings


def adopted(cassette: Cassette, scrubber: Scrubber) -> Cassette:
    """``cassette`` scrubbed, if another recorder wrote it."""
    if not cassette.is_foreign:
        return cassette
    for interaction in cassette.interactions:
        scrubber.learn_request(interaction.request)
        scrubber.learn_response(interaction.response.headers, interaction.response.body)
    interactions = tuple(
        replace(
            interaction,
            request=scrubber.request(interaction.request),
            response=scrubber.response(interaction.response),
        )
        for interaction in cassette.interactions
    )
    return Cassette(interactions, {**cassette.metadata, "placeholders": sorted(scrubber.placeholders)})


def adopting(settings: Settings) -> Callable[[Cassette], Cassette]:
    """`adopted` where no tape plays, by the ``settings`` of a project."""
    rules = Rules(settings.match_on, settings.ignore, settings.placeholders)

    def adopt(cassette: Cassette) -> Cassette:
        kept, allowed = settings.keep_headers, settings.allow_secrets
        scrubber = Scrubber(os.environ, keep_headers=kept, allow_secrets=allowed, worded=rules.worded)
        return adopted(cassette, scrubber)

    return adopt
