"""The session of ``--record-missing`` and of runs without a mode flag. Requests are answered from recordings.

With ``--record-missing``, a request without a matching recording is sent and recorded. Otherwise, it fails the test.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from multitrack.errors import CassetteMiss
from multitrack.model_context import current_models
from multitrack.tape.answered_request import AnsweredRequest
from multitrack.tape.conversation import RecordedConversation
from multitrack.tape.exchange import (
    Replay,
    Request,
    Response,
    ResponseRecorder,
    Route,
    StreamRoute,
)
from multitrack.tape.google import transcoding
from multitrack.tape.interaction import Interaction
from multitrack.tape.live_gate import LiveGate
from multitrack.tape.matching.canonical_request import Canonicalizer, CanonicalRequest
from multitrack.tape.matching.difference import Difference
from multitrack.tape.miss.miss_reporter import MissReporter
from multitrack.tape.recorder import Recorder
from multitrack.tape.replay_lookup import ReplayLookup
from multitrack.tape.routing_guard import RoutingGuard
from multitrack.tape.sessions.session import Session


class ReplaySession(Session):
    """A session that answers requests with recordings."""

    replays = True

    def __init__(
        self,
        canonicalizer: Canonicalizer,
        lookup: ReplayLookup | None,
        *,
        gate: LiveGate,
        misses: MissReporter,
        guard: RoutingGuard,
        lock: AbstractContextManager[object],
        pace: str,
        recorder: Recorder | None = None,
    ) -> None:
        """Create the session.

        Args:
            canonicalizer: Returns the canonical form of requests.
            lookup: The recordings. ``None`` if there is no cassette.
            gate: Checks the requests that are about to be sent.
            misses: Reports the requests that no recording matches.
            guard: Turns errors in a conversation into violations.
            lock: The tape's lock.
            pace: The speed of replayed responses, one of ``settings.PACES``.
            recorder: Records the requests that no recording matches. ``None`` if such requests are misses.
        """
        self._normalizer = canonicalizer.normalizer
        self._canonicalizer = canonicalizer
        self._lookup = lookup
        self._gate = gate
        self._misses = misses
        self._guard = guard
        self._lock = lock
        self._pace = pace
        self._recorder = recorder
        self._played: list[Interaction] = []
        self._answered: list[AnsweredRequest] = []
        self.writes = recorder is not None

    @property
    def lookup(self) -> ReplayLookup | None:
        """The lookup that finds recordings for requests. ``None`` if there is no cassette."""
        return self._lookup

    @property
    def played(self) -> Sequence[Interaction]:
        """The interactions that were replayed, in order."""
        return self._played

    @property
    def answered_requests(self) -> Sequence[AnsweredRequest]:
        """The requests that were answered from recordings, in order. Streaming requests are not included."""
        return self._answered

    def route(self, request: Request) -> Route:
        """Replay ``request`` if it has a recording."""
        if (filtered := self._normalizer.filter(request)) is None:
            return self._gate.let_pass(request)
        sent = self._canonicalizer.canonicalize(filtered)
        return self._find_replay(filtered, sent) or self._record_or_miss(filtered, sent)

    def route_stream(self, request: Request) -> StreamRoute:
        """Start a conversation for a streaming ``request`` if any recording of its method is left."""
        if (filtered := self._normalizer.filter(request)) is None:
            return self._gate.let_pass(request)
        start = self._canonicalizer.canonicalize(filtered)
        return self._find_conversation(filtered, start) or self._record_or_miss(filtered, start)

    def _find_replay(self, request: Request, sent: CanonicalRequest) -> Replay | None:
        found = self._lookup.find_recording(sent) if self._lookup is not None else None
        if found is None:
            return None
        self._answered.append(AnsweredRequest(sent.request, request.headers, found.position))
        recorded = found.interaction
        response = transcoding.transcode_response(recorded.replayed_response, recorded.request.url, sent.request.url)
        interaction = replace(recorded, offered_models=current_models())
        return self._play(interaction, response, request.header("accept-encoding"))

    def _find_conversation(self, request: Request, start: CanonicalRequest) -> RecordedConversation | None:
        candidates = self._lookup.find_conversation(start) if self._lookup is not None else None
        if candidates is None:
            return None
        return RecordedConversation(
            request,
            candidates,
            normalizer=self._normalizer,
            make_key=self._canonicalizer.rules.make_key,
            lock=self._guard.wrap_lock(self._lock, request),
            play=lambda interaction: self._play(interaction, interaction.replayed_response),
            add_divergence=self._add_divergence,
        )

    def _play(self, interaction: Interaction, response: Response, accept_encoding: str | None = None) -> Replay:
        self._played.append(interaction)
        return Replay.at_pace(response, self._pace, accept_encoding)

    def _record_or_miss(self, request: Request, sent: CanonicalRequest) -> ResponseRecorder:
        if self._recorder is None:
            raise self._misses.add_miss(sent)
        self._gate.check(request)
        return self._recorder.record(request)

    def _add_divergence(self, request: Request, reason: str, found: Sequence[Difference]) -> CassetteMiss:
        return self._misses.add_divergence(request, reason, found, might_go_live=self.writes)
