"""Redact cassettes of other recorders, which contain everything that was sent and received.

Clients receive the responses unchanged, with all headers, because tests may depend on any part of them. The list of
kept headers applies only to Multitrack's own recordings. Everything that is matched, written or shown is redacted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from multitrack.tape.canonicalization import create_canonicalizer
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.normalize.request_normalizer import RequestNormalizer
from multitrack.tape.settings import Settings


def redact_foreign(cassette: Cassette, normalizer: RequestNormalizer) -> Cassette:
    """Return ``cassette`` redacted if another recorder wrote it, and unchanged otherwise."""
    if not cassette.is_foreign:
        return cassette
    redactor = normalizer.redactor
    for interaction in cassette.interactions:
        redactor.learn_request(interaction.request)
        redactor.learn_response(interaction.response.headers, interaction.response.body)
    interactions = tuple(
        replace(
            interaction,
            request=normalizer.redact(interaction.request),
            response=redactor.redact_response(interaction.response, keep_all_headers=True),
            stored_response=interaction.response,
            stored_request=interaction.request,
        )
        for interaction in cassette.interactions
    )
    return Cassette(interactions, {**cassette.metadata, "placeholders": sorted(redactor.pseudonyms)})


def make_foreign_redactor(settings: Settings) -> Callable[[Cassette], Cassette]:
    """Return ``redact_foreign`` with the ``settings`` of a project, for use without a tape."""
    return lambda cassette: redact_foreign(cassette, create_canonicalizer(settings).normalizer)
