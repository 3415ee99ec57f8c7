"""Collect the live exchanges of one tape, and convert them to interactions."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC
from functools import cache
from importlib import metadata as distributions
from typing import Any
from urllib.parse import urlsplit

from multitrack.errors import BadOption
from multitrack.hosts import is_loopback
from multitrack.tape.exchange import Request, Response
from multitrack.tape.interaction import STANDIN_HEADER, Interaction, Provenance
from multitrack.tape.interaction_filter import InteractionFilter
from multitrack.tape.live_exchange import Clock, LiveExchange
from multitrack.tape.matching.matching_key import MatchingKey
from multitrack.tape.model_paths import find_import_paths
from multitrack.tape.normalize.request_normalizer import RequestNormalizer
from multitrack.tape.redaction.redactor import Redactor
from multitrack.wires import registry


class Recorder:
    """A collection of the live exchanges of one tape, in the order in which the requests were sent."""

    def __init__(
        self,
        normalizer: RequestNormalizer,
        clock: Clock,
        *,
        test: str | None = None,
        filters: InteractionFilter | None = None,
    ) -> None:
        """Create the recorder.

        Args:
            normalizer: Redacts requests.
            clock: Returns the current time.
            test: The test that records. ``None`` outside of any test.
            filters: The project's functions that change responses. ``None`` if there are none.
        """
        self._normalizer = normalizer
        self._redactor = normalizer.redactor
        self._clock = clock
        self._test = test
        self._filters = filters
        self._exchanges: list[LiveExchange] = []

    @property
    def redactor(self) -> Redactor:
        """The tape's redactor. It removes every secret that a request or a response of the tape contained."""
        return self._redactor

    @property
    def pseudonyms(self) -> frozenset[str]:
        """The pseudonyms that were assigned while recording."""
        return self._normalizer.pseudonyms

    @property
    def has_responses(self) -> bool:
        """True if the head of any response arrived."""
        return any(exchange.has_response for exchange in self._exchanges)

    def record(self, request: Request) -> LiveExchange:
        """Start to record the response to ``request``."""
        exchange = LiveExchange(request, self._redactor, self._clock)
        self._exchanges.append(exchange)
        return exchange

    def close(self) -> None:
        """End all exchanges that are still open, because no caller is waiting for them any more."""
        for exchange in self._exchanges:
            exchange.record_end("left")

    def interactions(self, *, include_unanswered: bool = False) -> list[Interaction]:
        """Return the interactions recorded so far: redacted, and filtered by the project's functions.

        Empty if the project's redaction function fails, because diagnoses and advice must not raise its error. Saving
        the recording raises the error (see ``interactions_to_save``).

        Args:
            include_unanswered: Whether to include requests that have no response to store.
        """
        try:
            return self.interactions_to_save(include_unanswered=include_unanswered)
        except BadOption:
            return []

    def interactions_to_save(self, *, include_unanswered: bool = False) -> list[Interaction]:
        """Return the interactions as ``interactions`` does, but raise the error of the project's redaction function.

        Raises:
            BadOption: The project's redaction function fails.
        """
        recorded = self._build_interactions(include_unanswered=include_unanswered)
        if self._filters is None:
            return recorded
        pairs = [(interaction, self._filters.filter_response(interaction.response)) for interaction in recorded]
        return [replace(interaction, response=response) for interaction, response in pairs if response is not None]

    def _build_interactions(self, *, include_unanswered: bool) -> list[Interaction]:
        exchanges = []
        for exchange in self._exchanges:
            response = exchange.build_response() or (exchange.empty_response if include_unanswered else None)
            exchanges.append((exchange.request, response, exchange.offered_models))
        # learn everything before redacting anything: an early response may repeat a later secret
        for request, response, _ in exchanges:
            # the messages of a stream arrived after the redactor had learned the request
            self._normalizer.learn(request)
            if response is not None:
                self._redactor.learn_response(response.headers, response.body)
        return [
            Interaction(
                self._normalizer.redact(request),
                self._redactor.redact_response(response),
                () if self._test is None else (self._test,),
                _find_provenance(request, response),
                find_import_paths(models),
                offered_models=models,
            )
            for request, response, models in exchanges
            if response is not None
        ]

    def find_unanswered(self) -> str | None:
        """Describe the first request that never got a response, not even when it was sent again.

        Returns None if every request got a response.
        """
        for position, exchange in enumerate(self._exchanges):
            if exchange.unreplayable_error is None:
                continue
            request = self._normalizer.redact(exchange.request)
            key = MatchingKey.from_request(request)
            later = (other for other in self._exchanges[position + 1 :] if other.unreplayable_error is None)
            if not any(MatchingKey.from_request(self._normalizer.redact(other.request)) == key for other in later):
                return f"{request.method} {request.url} got no response: {exchange.unreplayable_error}"
        return None

    def metadata(self) -> Mapping[str, Any]:
        """Return the metadata of a cassette: format, recorder, SDK versions, time and pseudonyms."""
        return {
            "format": 1,
            "recorder": f"multitrack {_find_version('multitrack')}",
            "sdks": _find_sdk_versions(),
            "recorded_at": self._clock().astimezone(UTC).isoformat(timespec="seconds"),
            **({"placeholders": sorted(words)} if (words := self._redactor.pseudonyms) else {}),
        }


# cached, because each test that records needs the versions, and finding one takes a millisecond
@cache
def _find_version(distribution: str) -> str:
    return distributions.version(distribution)


def _find_sdk_versions() -> dict[str, str]:
    """Return the versions of the imported SDKs, as a dictionary from distribution to version."""
    versions = {}
    for module, name in registry.sdks().items():
        # a project may have its own fake of an SDK, which is not a distribution
        with suppress(distributions.PackageNotFoundError):
            if module in sys.modules:
                versions[name] = _find_version(name)
    return versions


def _find_provenance(request: Request, response: Response) -> Provenance:
    if response.header(STANDIN_HEADER) is not None:
        return "standin"
    return "local" if is_loopback(urlsplit(request.url).hostname or "") else "live"
