"""Redact other recorders' cassettes, which contain everything that was sent and received.

Everything that is matched, written or shown is redacted. But clients receive the responses unchanged, because a test
can depend on any part of them. Clients also receive all headers, because the list of kept headers applies only to
Multitrack's own recordings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from multitrack.tape.canonicalization import create_canonicalizer
from multitrack.tape.deferred_response import DeferredResponse
from multitrack.tape.exchange import Response
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.normalize.request_normalizer import RequestNormalizer
from multitrack.tape.settings import Settings


def redact_foreign(cassette: Cassette, normalizer: RequestNormalizer, *, defers_responses: bool = False) -> Cassette:
    """Redact ``cassette`` if another recorder wrote it. Return Multitrack's own cassettes unchanged.

    Args:
        cassette: The cassette.
        normalizer: Normalizes requests, and knows the secrets.
        defers_responses: Whether to redact each response when it is first read. A replay sends the response as it was
            stored, so most redacted responses are never read, and redacting all of them would take most of the time
            needed to open a cassette. The metadata then lacks the pseudonyms that appear only in responses.
    """
    if not cassette.is_foreign:
        return cassette
    redactor = normalizer.redactor

    def redact_response(response: Response) -> Response:
        redact = partial(redactor.redact_response, response, keep_all_headers=True)
        return DeferredResponse.create(redact) if defers_responses else redact()

    for interaction in cassette.interactions:
        redactor.learn_request(interaction.request)
        redactor.learn_response(interaction.response.headers, interaction.response.body)
    interactions = tuple(
        replace(
            interaction,
            request=normalizer.redact(interaction.request),
            response=redact_response(interaction.response),
            stored_response=interaction.response,
            stored_request=interaction.request,
        )
        for interaction in cassette.interactions
    )
    return Cassette(interactions, {**cassette.metadata, "placeholders": sorted(redactor.pseudonyms)})


def make_foreign_redactor(settings: Settings) -> Callable[[Cassette], Cassette]:
    """Return a function that calls ``redact_foreign`` with a project's ``settings``, for use without a tape."""
    return lambda cassette: redact_foreign(cassette, create_canonicalizer(settings).normalizer)
