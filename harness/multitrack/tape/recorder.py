"""Record the responses of live requests, and turn them into interactions."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import metadata as distributions
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from multitrack.hosts import is_loopback
from multitrack.tape import chunks, json_rpc
from multitrack.tape.chunks import Chunks
from multitrack.tape.exchange import Ending, Headers, Request, Response
from multitrack.tape.failure import During, Failure
from multitrack.tape.interaction import STANDIN_HEADER, Interaction, Provenance
from multitrack.tape.matching.content_encoding import decode_parts
from multitrack.tape.matching.index import MatchingKey
from multitrack.tape.model_paths import find_import_paths, models_offered_by
from multitrack.tape.redaction.redactor import Redactor
from multitrack.tape.reencoding import is_accepted, is_raw_deflate, split_encodings
from multitrack.wires import registry

Clock = Callable[[], datetime]

# the statuses in https://grpc.io/docs/guides/status-codes/ that do not depend on the content of the request
_TEMPORARY_GRPC = {"2", "4", "7", "8", "13", "14", "16"}
# not a status of HTTP: tools that read the cassette and know nothing of failures see a server error
_NO_RESPONSE = 599


@dataclass(frozen=True, slots=True)
class _BodyPart:
    """A part of a body, and whether it continues the chunk of the previous part."""

    arrived: datetime
    content: bytes
    continued: bool


class LiveExchange:
    """One request that went live, and its response (see `exchange.ResponseRecorder`)."""

    def __init__(self, request: Request, redactor: Redactor, clock: Clock) -> None:
        self._request = request
        self.offered_models = models_offered_by(request)
        self._redactor = redactor
        self._clock = clock
        self._sent = clock()
        self._status, self._reason = 0, ""
        self._headers: Headers = ()
        self._parts: list[_BodyPart] = []
        self._ending: Ending | None = None
        self._failure: Failure | None = None
        self._error: BaseException | None = None
        self._over: datetime | None = None
        self._lock = Lock()

    @property
    def request(self) -> Request:
        """The request, with all messages that it has streamed so far."""
        return self._request.with_sent_messages

    def record_head(self, status: int, reason: str, headers: Headers) -> None:
        """Record the status and the headers."""
        self._headers = tuple((name.lower(), value) for name, value in headers)
        self._redactor.learn_response(self._headers)
        self._status, self._reason = status, reason

    def record_chunk(self, chunk: bytes, *, continued: bool = False) -> None:
        """Record a part of the body."""
        if self._over is None:
            self._parts.append(_BodyPart(self._clock(), chunk, continued))

    def record_end(
        self, ending: Ending = "complete", *, trailers: Headers = (), error: BaseException | None = None
    ) -> None:
        """Record the end of the body, or that the caller went away before the head."""
        with self._lock:
            if self._over is None:
                self._over = self._clock()
                self._headers += tuple((name.lower(), value) for name, value in trailers)
                self._ending = ending
                self._failure = Failure.from_error(error, "read") if error is not None else None

    def record_failure(self, error: BaseException, *, during: During | None = None) -> None:
        """Record that no response arrived."""
        with self._lock:
            if self._over is None:
                self._over = self._clock()
                self._error = error
                self._failure = Failure.from_error(error, during) if during is not None else None

    @property
    def unreplayable_error(self) -> str | None:
        """The name of the error that prevented a response, if it cannot be replayed.

        `None` if a response arrived, if it has yet to arrive, or if the error can be replayed.
        """
        if self._status or self._error is None or self._failure is not None:
            return None
        return type(self._error).__name__

    @property
    def has_response(self) -> bool:
        """True if the head of a response arrived."""
        return bool(self._status)

    @property
    def empty_response(self) -> Response:
        """The response to use if there is nothing to store."""
        failure = Failure.from_error(self._error, "read") if self._error is not None else None
        return Response(_NO_RESPONSE, "", (), b"", "unanswered", failure=failure)

    def build_response(self) -> Response | None:
        """Return the decoded response, as far as it arrived. `None` if there is nothing to store.

        An exchange that is still open counts as ``left`` by its caller. A body that cannot be decoded is stored as it
        arrived, with the header that names its encoding.
        """
        if not self.has_response:
            if self._failure is None and self._ending is None:
                return None
            wait = self._milliseconds_until(self._over or self._sent)
            waited = Chunks() if self._failure else chunks.chunks_of_wait(wait)
            return Response(_NO_RESPONSE, "", (), b"", "unanswered", waited, self._failure)
        received = list(self._parts)
        ending = self._ending or "left"
        encoding = next((value for name, value in self._headers if name == "content-encoding"), None)
        headers = tuple(header for header in self._headers if header[0] != "content-encoding")
        encoding = ", ".join(split_encodings(encoding))
        pieces = [part.content for part in received]
        try:
            pieces = decode_parts(pieces, encoding, is_complete=ending == "complete")
        except ValueError:
            headers, encoding = self._headers, ""
        content = b"".join(pieces)
        if ending == "left" and self._has_whole_body(content):
            ending = "complete"
        response = Response(
            self._status,
            self._reason,
            headers,
            content,
            ending,
            failure=self._failure,
            encoding=encoding,
            is_encoding_requested=is_accepted(encoding, self._request.header("accept-encoding")),
            is_raw_deflate=is_raw_deflate(b"".join(part.content for part in received), encoding),
        )
        return replace(response, chunks=self._measure_chunks(received, pieces, response))

    def _has_whole_body(self, content: bytes) -> bool:
        """Return whether the caller left after the last byte or event that matters, without reading the end."""
        headers = dict(reversed(self._headers))
        if "content-length" in headers and "transfer-encoding" not in headers:
            return str(sum(len(part.content) for part in self._parts)) == headers["content-length"].strip()
        is_stream = headers.get("content-type", "").lower().startswith("text/event-stream")
        return registry.has_end_mark(content) or (is_stream and json_rpc.is_answered(self._request.body, content))

    def _measure_chunks(self, received: Sequence[_BodyPart], pieces: Sequence[bytes], response: Response) -> Chunks:
        names = {name for name, _ in self._headers}
        # a sender that knew the length had the whole body; only the network divided it
        if "content-length" in names and "transfer-encoding" not in names:
            return Chunks()
        times: dict[int, int] = {}
        offset = 0
        for part, piece in zip(received, pieces, strict=True):
            if part.continued:
                times.pop(offset, None)
            offset += len(piece)
            # a part that decodes to nothing ends no chunk
            if piece or part.continued:
                times[offset] = self._milliseconds_until(part.arrived)
        if not received and self._over is not None:
            times[offset] = self._milliseconds_until(self._over)
        return chunks.measure_chunks(times, response.body, response.header("content-type"))

    def _milliseconds_until(self, time: datetime) -> int:
        return int((time - self._sent).total_seconds() * 1000)


class Recorder:
    """The live exchanges of one tape, in the order they were sent."""

    def __init__(self, redactor: Redactor, clock: Clock) -> None:
        self._redactor = redactor
        self._clock = clock
        self._exchanges: list[LiveExchange] = []

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
        """End all exchanges that are still open, because no caller waits for them any more."""
        for exchange in self._exchanges:
            exchange.record_end("left")

    def interactions(self, test: str | None, *, include_unanswered: bool = False) -> list[Interaction]:
        """Return the interactions recorded so far, redacted.

        Args:
            test: The test that recorded them.
            include_unanswered: Whether to include requests for which there is nothing to store.
        """
        exchanges = []
        for exchange in self._exchanges:
            response = exchange.build_response() or (exchange.empty_response if include_unanswered else None)
            exchanges.append((exchange.request, response, exchange.offered_models))
        # learn everything before redacting anything: an early response may repeat a later secret
        for request, response, _ in exchanges:
            # the messages of a stream arrived after the redactor had learned the request
            self._redactor.learn_request(request)
            if response is not None:
                self._redactor.learn_response(response.headers, response.body)
        return [
            Interaction(
                self._redactor.redact_request(request),
                self._redactor.redact_response(response),
                () if test is None else (test,),
                _find_provenance(request, response),
                find_import_paths(models),
                offered_models=models,
            )
            for request, response, models in exchanges
            if response is not None
        ]

    def find_unanswered(self) -> str | None:
        """Describe the first request that got no response, not even when it was sent again. `None` if there is none."""
        for position, exchange in enumerate(self._exchanges):
            if exchange.unreplayable_error is None:
                continue
            request = self._redactor.redact_request(exchange.request)
            key = MatchingKey.from_request(request)
            later = (other for other in self._exchanges[position + 1 :] if other.unreplayable_error is None)
            if not any(
                MatchingKey.from_request(self._redactor.redact_request(other.request)) == key for other in later
            ):
                return f"{request.method} {request.url} got no response ({exchange.unreplayable_error})"
        return None

    def metadata(self) -> Mapping[str, Any]:
        """Return the metadata of a cassette: format, recorder, versions of SDKs, time and pseudonyms."""
        return {
            "format": 1,
            "recorder": f"multitrack {distributions.version('multitrack')}",
            "sdks": _find_sdk_versions(),
            "recorded_at": self._clock().astimezone(UTC).isoformat(timespec="seconds"),
            **({"placeholders": sorted(words)} if (words := self._redactor.pseudonyms) else {}),
        }


def _find_sdk_versions() -> dict[str, str]:
    """Return the versions of the SDKs that are imported, by distribution."""
    versions = {}
    for module, name in registry.sdks().items():
        # a project may have its own fake of an SDK, which is not a distribution
        with suppress(distributions.PackageNotFoundError):
            if module in sys.modules:
                versions[name] = distributions.version(name)
    return versions


def find_temporary_error(interactions: Sequence[Interaction]) -> str | None:
    """Describe the first temporary error that was not replaced by a later response to an equal request, if any."""
    for interaction, is_final in zip(interactions, are_final(interactions), strict=True):
        if is_final and (error := describe_temporary_error(interaction.response)):
            request = interaction.request
            return f"{request.method} {request.url} {error} (keep_errors=True keeps it)"
    return None


def are_final(interactions: Sequence[Interaction]) -> list[bool]:
    """Return, for each of ``interactions``, whether its response counts.

    A temporary error does not count if an equal request was sent again later.
    """
    temporary = [describe_temporary_error(interaction.response) is not None for interaction in interactions]
    if not any(temporary):
        return [True] * len(interactions)
    keys = [MatchingKey.from_request(interaction.request) for interaction in interactions]
    last = {key: position for position, key in enumerate(keys)}
    return [not temporary[position] or last[key] == position for position, key in enumerate(keys)]


def describe_temporary_error(response: Response) -> str | None:
    """Describe a response of 401, 403, 429 or 5xx, or a failed connection, as a verb phrase. `None` for others."""
    if response.ending == "unanswered":
        return f"got no response: {response.failure.error}" if response.failure else None
    if response.status in (401, 403, 429) or response.status >= 500:
        return f"was answered with {response.status}"
    status = response.header("grpc-status")
    return f"was answered with gRPC status {status}" if status in _TEMPORARY_GRPC else None


def _find_provenance(request: Request, response: Response) -> Provenance:
    if response.header(STANDIN_HEADER) is not None:
        return "standin"
    return "local" if is_loopback(urlsplit(request.url).hostname or "") else "live"
