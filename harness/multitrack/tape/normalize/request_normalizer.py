"""The steps that turn an intercepted request into the request that is recorded and compared.

The order matters. The response may repeat the request's secrets, so they are learned before the project's functions can
remove them from the request. The user's placeholders are inserted after redaction, because users base their patterns on
the text in the cassette.
"""

from __future__ import annotations

from dataclasses import replace

from multitrack.tape.exchange import Request
from multitrack.tape.interaction_filter import InteractionFilter
from multitrack.tape.normalize import endpoint_defaults
from multitrack.tape.normalize.placeholders import Placeholders
from multitrack.tape.normalize.request_body import decode_request
from multitrack.tape.redaction.redactor import Redactor


class RequestNormalizer:
    """A converter from intercepted requests to the form that is recorded and compared. Each tape has its own.
    Thread-safe.
    """

    def __init__(
        self, redactor: Redactor, placeholders: Placeholders | None = None, filters: InteractionFilter | None = None
    ) -> None:
        """Create the normalizer.

        Args:
            redactor: Removes secrets and private names.
            placeholders: The user's placeholders. Default: none.
            filters: The project's functions that change requests. None if there are none.
        """
        self.redactor = redactor
        self._placeholders = placeholders or Placeholders()
        self._filters = filters

    @property
    def has_filters(self) -> bool:
        """True if the project's functions change requests."""
        return self._filters is not None

    @property
    def pseudonyms(self) -> frozenset[str]:
        """The pseudonyms that stand for private names."""
        return self.redactor.pseudonyms

    def receive(self, request: Request) -> Request:
        """Return ``request`` with its body decoded, and learn its secrets and private names."""
        request = decode_request(request)
        self.learn(request)
        return request

    def learn(self, request: Request) -> None:
        """Learn the secrets and the private names in ``request``."""
        self.redactor.learn_request(request)

    def filter(self, request: Request) -> Request | None:
        """Apply the project's filter functions. Return None if they exclude ``request`` from recording."""
        return request if self._filters is None else self._filters.filter_request(request)

    def filter_recorded(self, request: Request) -> Request:
        """Apply the project's filter functions to a recorded ``request``."""
        # a function may be newer than the cassette; what it would exclude today was recorded nevertheless
        return self.filter(request) or request

    def redact(self, request: Request) -> Request:
        """Redact a ``request`` that is already filtered. The result is recorded and compared with recordings."""
        redacted = self._placeholders.insert_into(self.redactor.redact_request(request))
        unknown = endpoint_defaults.find_unknown_parts(redacted.url)
        return replace(redacted, unknown_parts=unknown) if unknown else redacted
