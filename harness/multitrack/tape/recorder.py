"""The recorder: listens to what comes back from the network and makes an interaction of it."""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata as distributions
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from multitrack.tape import body
from multitrack.tape.exchange import Ending, Headers, Request, Response
from multitrack.tape.interaction import STANDIN_HEADER, Interaction, Provenance
from multitrack.tape.matching import Key
from multitrack.tape.redaction import Scrubber

Clock = Callable[[], datetime]

_SDKS = {"openai": "openai", "vertexai": "google-cloud-aiplatform", "google.genai": "google-genai"}
# statuses of https://grpc.io/docs/guides/status-codes/ that say nothing about the request's own sense
_PASSING_GRPC = {"2", "4", "7", "8", "13", "14", "16"}
_DONE = b"data: [DONE]"


class LiveExchange:
    """One request gone live: what a seam tells of its answer (see `exchange.Recording`)."""

    def __init__(self, request: Request, scrubber: Scrubber) -> None:
        self.request = request
        self._scrubber = scrubber
        self._status, self._reason = 0, ""
        self._headers: Headers = ()
        self._chunks: list[bytes] = []
        self._ending: Ending | None = None
        self._failure: BaseException | None = None
        self._lock = Lock()

    def began(self, status: int, reason: str, headers: Headers) -> None:
        """The head of the answer arrived."""
        self._status, self._reason = status, reason
        self._headers = tuple((name.lower(), value) for name, value in headers)
        self._scrubber.learn_response(self._headers)

    def received(self, chunk: bytes) -> None:
        """A part of the body arrived."""
        self._chunks.append(chunk)

    def ended(self, ending: Ending = "complete", *, trailers: Headers = ()) -> None:
        """The body is over."""
        with self._lock:
            if self._ending is None:
                self._headers += tuple((name.lower(), value) for name, value in trailers)
                self._ending = ending

    def failed(self, error: BaseException) -> None:
        """No answer came."""
        self._failure = error

    @property
    def failure(self) -> str | None:
        """Why no answer came; None where one did, or is still awaited."""
        return None if self._status or self._failure is None else type(self._failure).__name__

    def response(self) -> Response | None:
        """The answer as far as it came, decoded; None where none began. An exchange still open was left.

        What cannot be decoded is kept as it came, with the header that tells its encoding.
        """
        if not self._status:
            return None
        received = b"".join(self._chunks)
        ending = self._ending or "left"
        encoding = next((value for name, value in self._headers if name == "content-encoding"), None)
        headers = tuple(header for header in self._headers if header[0] != "content-encoding")
        try:
            content = body.decoded(received, encoding, whole=ending == "complete")
        except ValueError:
            content, headers = received, self._headers
        # clients leave a stream at its last event, without reading the end behind it
        if ending == "left" and content.rstrip().endswith(_DONE):
            ending = "complete"
        return Response(self._status, self._reason, headers, content, ending)


class Recorder:
    """The live exchanges of one tape, in the order in which they were sent."""

    def __init__(self, scrubber: Scrubber, clock: Clock) -> None:
        self._scrubber = scrubber
        self._clock = clock
        self._exchanges: list[LiveExchange] = []

    def __bool__(self) -> bool:
        """Whether any answer began."""
        return any(exchange.response() is not None for exchange in self._exchanges)

    def exchange(self, request: Request) -> LiveExchange:
        """Begin to record what answers ``request``."""
        exchange = LiveExchange(request, self._scrubber)
        self._exchanges.append(exchange)
        return exchange

    def interactions(self, test: str | None) -> list[Interaction]:
        """What was recorded so far, scrubbed, as the recording of ``test``."""
        answered = [(exchange.request, exchange.response()) for exchange in self._exchanges]
        # everything is learnt before anything is scrubbed: an early answer may repeat a late secret
        for _, response in answered:
            if response is not None:
                self._scrubber.learn_response(response.headers, response.body)
        return [
            Interaction(
                self._scrubber.request(request),
                self._scrubber.response(response),
                () if test is None else (test,),
                _provenance(request, response),
            )
            for request, response in answered
            if response is not None
        ]

    def unanswered(self) -> str | None:
        """Which request got no answer, nor did an equal one after it. None if there is none."""
        for position, exchange in enumerate(self._exchanges):
            if exchange.failure is None:
                continue
            request = self._scrubber.request(exchange.request)
            later = (other for other in self._exchanges[position + 1 :] if other.failure is None)
            if not any(Key.of(self._scrubber.request(other.request)) == Key.of(request) for other in later):
                return f"{request.method} {request.url} got no answer ({exchange.failure})"
        return None

    def metadata(self) -> Mapping[str, Any]:
        """What is to be known of the making of this recording."""
        return {
            "format": 1,
            "recorder": f"multitrack {distributions.version('multitrack')}",
            "sdks": {name: distributions.version(name) for module, name in _SDKS.items() if module in sys.modules},
            "recorded_at": self._clock().astimezone(UTC).isoformat(timespec="seconds"),
            **({"placeholders": sorted(words)} if (words := self._scrubber.placeholders) else {}),
        }


def unkept_error(interactions: Sequence[Interaction]) -> str | None:
    """Why a recording is not one to be kept: an answer that speaks of the moment (401, 403, 429, 5xx) and that no
    later answer to an equal request made good. None if there is none."""
    keys = [Key.of(interaction.request) for interaction in interactions]
    for position, interaction in enumerate(interactions):
        if not (status := _passing(interaction.response)):
            continue
        later = range(position + 1, len(interactions))
        if not any(keys[other] == keys[position] and not _passing(interactions[other].response) for other in later):
            request = interaction.request
            return f"{request.method} {request.url} was answered with {status} (keep_errors=True keeps it)"
    return None


def _passing(response: Response) -> str | None:
    if response.status in (401, 403, 429) or response.status >= 500:
        return str(response.status)
    status = response.header("grpc-status")
    return f"gRPC status {status}" if status in _PASSING_GRPC else None


def _provenance(request: Request, response: Response) -> Provenance:
    if response.header(STANDIN_HEADER) is not None:
        return "standin"
    host = urlsplit(request.url).hostname or ""
    try:
        return "local" if ipaddress.ip_address(host).is_loopback else "live"
    except ValueError:
        return "local" if host == "localhost" or host.endswith(".localhost") else "live"
