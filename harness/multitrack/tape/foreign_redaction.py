"""Redact other recorders' cassettes, which contain everything that was sent and received.

Everything that is matched, written or shown is redacted. But clients receive the responses unchanged, because a test
can depend on any part of them. This includes all headers: the list of kept headers is only for Multitrack's own
recordings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from typing import Any

from multitrack.tape.canonicalization import create_canonicalizer
from multitrack.tape.exchange import Response
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.normalize.request_normalizer import RequestNormalizer
from multitrack.tape.settings import Settings


class DeferredResponse(Response):
    """A redacted response that is computed when one of its parts is read for the first time.

    A replay sends the response as it was stored, so most redacted responses are never read. Redacting all responses
    would take most of the time needed to open a cassette.
    """

    __slots__ = ("_compute",)

    _compute: Callable[[], Response]

    @classmethod
    def create(cls, compute: Callable[[], Response]) -> Response:
        """Return a response that calls ``compute`` when one of its parts is read for the first time."""
        response = object.__new__(cls)
        object.__setattr__(response, "_compute", compute)
        return response

    def __getattr__(self, name: str) -> Any:
        # only called for an attribute without a value
        if name not in _FIELDS:
            raise AttributeError(name)
        response = self._compute()
        for field in _FIELDS:
            object.__setattr__(self, field, getattr(response, field))
        return getattr(response, name)

    def __eq__(self, other: object) -> bool:
        """Return whether ``other`` is an equal response. Each of the two responses can be deferred."""
        return Response(**{field: getattr(self, field) for field in _FIELDS}) == other

    def __hash__(self) -> int:
        """Return the hash of an equal `Response`."""
        return hash(Response(**{field: getattr(self, field) for field in _FIELDS}))


_FIELDS = tuple(field.name for field in fields(Response))


def redact_foreign(cassette: Cassette, normalizer: RequestNormalizer, *, defers_responses: bool = False) -> Cassette:
    """Redact ``cassette`` if another recorder wrote it. Return other cassettes unchanged.

    Args:
        cassette: The cassette.
        normalizer: Normalizes requests, and knows the secrets.
        defers_responses: Whether to redact each response when it is first read. The metadata then lacks the
            pseudonyms that appear only in responses.
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
    """Return ``redact_foreign`` with the ``settings`` of a project, for use without a tape."""
    return lambda cassette: redact_foreign(cassette, create_canonicalizer(settings).normalizer)
