"""The recorder: listens to what comes back from the network and makes an interaction of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import metadata as distributions
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from multitrack.hosts import is_loopback
from multitrack.tape import chunks
from multitrack.tape.chunks import Chunks
from multitrack.tape.exchange import Ending, Headers, Request, Response
from multitrack.tape.failure import During, Failure
from multitrack.tape.interaction import STANDIN_HEADER, Interaction, Provenance
from multitrack.tape.matching import body
from multitrack.tape.matching.index import Key
from multitrack.tape.model_paths import find_import_paths, models_offered_by
from multitrack.tape.redaction.redactor import Redactor

Clock = Callable[[], datetime]

_SDKS = {"openai": "openai", "vertexai": "google-cloud-aiplatform", "google.genai": "google-genai"}
# statuses of https://grpc.io/docs/guides/status-codes/ that say nothing about the request's own sense
_PASSING_GRPC = {"2", "4", "7", "8", "13", "14", "16"}
_DONE = b"data: [DONE]"
# no status of HTTP: a server error to whoever reads the tape and knows nothing of failures
_NO_ANSWER = 599


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a body: when it arrived, and whether it continues the chunk of the part before."""

    arrived: datetime
    content: bytes
    continued: bool


class LiveExchange:
    """One request gone live: what a seam tells of its answer (see `exchange.Recording`)."""

    def __init__(self, request: Request, redactor: Redactor, clock: Clock) -> None:
        self._request = request
        self.offered_models = models_offered_by(request)
        self._redactor = redactor
        self._clock = clock
        self._sent = clock()
        self._status, self._reason = 0, ""
        self._headers: Headers = ()
        self._parts: list[_Part] = []
        self._ending: Ending | None = None
        self._failure: Failure | None = None
        self._error: BaseException | None = None
        self._over: datetime | None = None
        self._lock = Lock()

    @property
    def request(self) -> Request:
        """What was asked, with all that it streamed so far."""
        return self._request.with_sent_messages

    def record_head(self, status: int, reason: str, headers: Headers) -> None:
        """The head of the answer arrived."""
        self._headers = tuple((name.lower(), value) for name, value in headers)
        self._redactor.learn_response(self._headers)
        self._status, self._reason = status, reason

    def record_chunk(self, chunk: bytes, *, continued: bool = False) -> None:
        """A part of the body arrived."""
        if self._over is None:
            self._parts.append(_Part(self._clock(), chunk, continued))

    def record_end(
        self, ending: Ending = "complete", *, trailers: Headers = (), error: BaseException | None = None
    ) -> None:
        """The body is over, or the caller went away before an answer began."""
        with self._lock:
            if self._over is None:
                self._over = self._clock()
                self._headers += tuple((name.lower(), value) for name, value in trailers)
                self._ending = ending
                self._failure = Failure.from_error(error, "read") if error is not None else None

    def record_failure(self, error: BaseException, *, during: During | None = None) -> None:
        """No answer came."""
        with self._lock:
            if self._over is None:
                self._over = self._clock()
                self._error = error
                self._failure = Failure.from_error(error, during) if during is not None else None

    @property
    def failure(self) -> str | None:
        """Why no answer came; None where one did, or is still awaited, or where its failure can be replayed."""
        if self._status or self._error is None or self._failure is not None:
            return None
        return type(self._error).__name__

    @property
    def has_response(self) -> bool:
        """Whether the head of an answer came."""
        return bool(self._status)

    @property
    def no_answer(self) -> Response:
        """What stands for an answer where there is nothing to keep of one."""
        failure = Failure.from_error(self._error, "read") if self._error is not None else None
        return Response(_NO_ANSWER, "", (), b"", "unanswered", failure=failure)

    def response(self) -> Response | None:
        """The answer as far as it came, decoded; None where there is nothing to keep. An exchange still open was left.

        What cannot be decoded is kept as it came, with the header that tells its encoding.
        """
        if not self.has_response:
            if self._failure is None and self._ending is None:
                return None
            waited = Chunks() if self._failure else chunks.chunks_of_wait(self._milliseconds(self._over or self._sent))
            return Response(_NO_ANSWER, "", (), b"", "unanswered", waited, self._failure)
        received = list(self._parts)
        ending = self._ending or "left"
        encoding = next((value for name, value in self._headers if name == "content-encoding"), None)
        headers = tuple(header for header in self._headers if header[0] != "content-encoding")
        pieces = [part.content for part in received]
        try:
            pieces = body.decoded_parts(pieces, encoding, whole=ending == "complete")
        except ValueError:
            headers = self._headers
        content = b"".join(pieces)
        # clients leave a stream at its last event, without reading the end behind it
        if ending == "left" and content.rstrip().endswith(_DONE):
            ending = "complete"
        response = Response(self._status, self._reason, headers, content, ending, failure=self._failure)
        return replace(response, chunks=self._chunks(received, pieces, response))

    def _chunks(self, received: Sequence[_Part], pieces: Sequence[bytes], response: Response) -> Chunks:
        names = {name for name, _ in self._headers}
        # a sender that knew the length had the whole; in which parts it came was the network's doing
        if "content-length" in names and "transfer-encoding" not in names:
            return Chunks()
        times: dict[int, int] = {}
        place = 0
        for part, piece in zip(received, pieces, strict=True):
            if part.continued:
                times.pop(place, None)
            place += len(piece)
            # what brings nothing by itself ends no chunk
            if piece or part.continued:
                times[place] = self._milliseconds(part.arrived)
        if not received and self._over is not None:
            times[place] = self._milliseconds(self._over)
        return chunks.measure_chunks(times, response.body, response.header("content-type"))

    def _milliseconds(self, time: datetime) -> int:
        return int((time - self._sent).total_seconds() * 1000)


class Recorder:
    """The live exchanges of one tape, in the order in which they were sent."""

    def __init__(self, redactor: Redactor, clock: Clock) -> None:
        self._redactor = redactor
        self._clock = clock
        self._exchanges: list[LiveExchange] = []

    @property
    def has_responses(self) -> bool:
        """Whether any answer began."""
        return any(exchange.has_response for exchange in self._exchanges)

    def exchange(self, request: Request) -> LiveExchange:
        """Begin to record what answers ``request``."""
        exchange = LiveExchange(request, self._redactor, self._clock)
        self._exchanges.append(exchange)
        return exchange

    def close(self) -> None:
        """End what is still open: nobody waits for it any more."""
        for exchange in self._exchanges:
            exchange.record_end("left")

    def interactions(self, test: str | None, *, unanswered: bool = False) -> list[Interaction]:
        """What was recorded so far, scrubbed, as the recording of ``test``; with ``unanswered``, also requests of
        which nothing is to be kept."""
        answered = [
            (
                exchange.request,
                exchange.response() or (exchange.no_answer if unanswered else None),
                exchange.offered_models,
            )
            for exchange in self._exchanges
        ]
        # everything is learnt before anything is scrubbed: an early answer may repeat a late secret
        for request, response, _ in answered:
            # what a request streamed came after it was learnt from
            self._redactor.learn_request(request)
            if response is not None:
                self._redactor.learn_response(response.headers, response.body)
        return [
            Interaction(
                self._redactor.request(request),
                self._redactor.response(response),
                () if test is None else (test,),
                _provenance(request, response),
                find_import_paths(models),
                offered_models=models,
            )
            for request, response, models in answered
            if response is not None
        ]

    def find_unanswered(self) -> str | None:
        """Which request got no answer, nor did an equal one after it. None if there is none."""
        for position, exchange in enumerate(self._exchanges):
            if exchange.failure is None:
                continue
            request = self._redactor.request(exchange.request)
            later = (other for other in self._exchanges[position + 1 :] if other.failure is None)
            if not any(Key.of(self._redactor.request(other.request)) == Key.of(request) for other in later):
                return f"{request.method} {request.url} got no answer ({exchange.failure})"
        return None

    def metadata(self) -> Mapping[str, Any]:
        """What is to be known of the making of this recording."""
        return {
            "format": 1,
            "recorder": f"multitrack {distributions.version('multitrack')}",
            "sdks": {name: distributions.version(name) for module, name in _SDKS.items() if module in sys.modules},
            "recorded_at": self._clock().astimezone(UTC).isoformat(timespec="seconds"),
            **({"placeholders": sorted(words)} if (words := self._redactor.placeholders) else {}),
        }


def find_temporary_error(interactions: Sequence[Interaction]) -> str | None:
    """Why a recording is not one to be kept: an answer that speaks of the moment (401, 403, 429, 5xx) and that no
    later answer to an equal request made good, or none at all. None if there is none."""
    for interaction, lasts in zip(interactions, are_final(interactions), strict=True):
        if lasts and (status := describe_temporary_error(interaction.response)):
            request = interaction.request
            return f"{request.method} {request.url} {status} (keep_errors=True keeps it)"
    return None


def are_final(interactions: Sequence[Interaction]) -> list[bool]:
    """Of each of ``interactions``, in order, whether it is the last word: not an answer that speaks of the moment and
    that an equal request was sent again behind."""
    bad = [describe_temporary_error(interaction.response) is not None for interaction in interactions]
    if not any(bad):
        return [True] * len(interactions)
    keys = [Key.of(interaction.request) for interaction in interactions]
    last = {key: position for position, key in enumerate(keys)}
    return [not bad[position] or last[key] == position for position, key in enumerate(keys)]


def describe_temporary_error(response: Response) -> str | None:
    """What an answer that speaks of the moment says of the request: 401, 403, 429, 5xx, or none at all."""
    if response.ending == "unanswered":
        return f"got no answer: {response.failure.error}" if response.failure else None
    if response.status in (401, 403, 429) or response.status >= 500:
        return f"was answered with {response.status}"
    status = response.header("grpc-status")
    return f"was answered with gRPC status {status}" if status in _PASSING_GRPC else None


def _provenance(request: Request, response: Response) -> Provenance:
    if response.header(STANDIN_HEADER) is not None:
        return "standin"
    return "local" if is_loopback(urlsplit(request.url).hostname or "") else "live"
