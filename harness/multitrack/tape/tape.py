"""The tape: takes each request of a test and says which way it goes."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

from multitrack.errors import CassetteMiss, TapeViolation
from multitrack.model_context import current_models
from multitrack.tape import interleaving, miss
from multitrack.tape.conversation import DroppedConversation, RecordedConversation
from multitrack.tape.exchange import (
    Conversation,
    Passthrough,
    Replay,
    Request,
    Response,
    ResponseRecorder,
    Route,
)
from multitrack.tape.file import paths, storage
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.file.recordings import Recording, join_recordings
from multitrack.tape.foreign_redaction import redact_foreign
from multitrack.tape.google import token_exchange, transcoding
from multitrack.tape.interaction import Interaction
from multitrack.tape.matching import body
from multitrack.tape.matching.difference import Difference
from multitrack.tape.matching.index import Entry, Index, Key, key_of, keys_of
from multitrack.tape.matching.method_calls import MethodCalls
from multitrack.tape.matching.rules import Rules
from multitrack.tape.recorder import Clock, Recorder, find_temporary_error
from multitrack.tape.redaction.redactor import Redactor
from multitrack.tape.replay_lookup import ReplayLookup
from multitrack.tape.sent import Sent
from multitrack.tape.settings import Mode, Settings

if TYPE_CHECKING:
    from pydantic import BaseModel

T = TypeVar("T")

_EXPLAINED = 5
"""So many misses are compared with the whole tape; code that swallows hundreds would wait for each."""

ResultFingerprinter = Callable[[Interaction], "tuple[str, ...] | None"]
"""Tells by a fingerprint what comes of each call of an answer, with the models that were offered for it."""


@dataclass(frozen=True, slots=True)
class SavedRecording:
    """What became of a recording: ``path`` was ``written``, or lies ``pending`` for the ``reason``; ``count`` new
    interactions are in it."""

    state: Literal["written", "pending"]
    path: Path
    count: int
    reason: str = ""


class InteractionFilter(Protocol):
    """What a project takes out of requests and answers by functions of its own."""

    def filter_request(self, request: Request, /) -> Request | None:
        """What is left of ``request``; None where it is to go live unrecorded."""

    def filter_response(self, response: Response, /) -> Response | None:
        """What is left of ``response``; None where it is not to be recorded."""


class Tape:
    """One cassette while it plays. Threads share it.

    ``test`` is the node id of the test whose recording it makes, ``shared`` whether other tests play it, too;
    ``additional_paths`` are cassettes that are also replayed, but never written. ``record_hint`` is the command that a
    miss suggests.
    """

    def __init__(
        self,
        path: Path,
        *,
        mode: Mode = "replay",
        settings: Settings | None = None,
        test: str | None = None,
        shared: bool = False,
        additional_paths: Sequence[Path] = (),
        filters: InteractionFilter | None = None,
        fingerprint_results: ResultFingerprinter = lambda _: None,
        record_hint: str = "use_cassette(..., mode='record')",
        clock: Clock = lambda: datetime.now(UTC),
    ) -> None:
        self.path = path
        self.mode: Mode = mode
        self.test = test
        self.record_hint = record_hint
        self.sent: list[Sent] = []
        """What was really sent, in order."""
        self.played: list[Interaction] = []
        """What was replayed, in order."""
        self.violations: list[TapeViolation] = []
        """Every miss and every live call that was not forgiven, whatever the code under test caught."""
        self._settings = settings or Settings()
        self._shared = shared
        self._filters = filters
        self._fingerprint_results = fingerprint_results
        self._clock = clock
        self._rules = Rules(self._settings.match_on, self._settings.ignore, self._settings.placeholders)
        self._redactor = Redactor(
            os.environ,
            keep_headers=self._settings.keep_headers,
            allow_secrets=self._settings.allow_secrets,
            worded=self._rules.worded,
        )
        self._recorder = Recorder(self._redactor, clock)
        found = None if mode == "live" else storage.read(path)
        self._cassette = None if found is None else self._redact_foreign(found)
        self._index = self._indexed([] if mode == "live" else [storage.read(other) for other in additional_paths])
        self._calls = MethodCalls(self._index, self._rules.key, self._left) if self._index is not None else None
        # re-entrant: a dropped call that the garbage collector ends may come by while it is held
        self._lock = threading.RLock()
        self._missed = 0
        self._forgiven: list[TapeViolation] | None = None

    @property
    def interactions(self) -> Sequence[Interaction]:
        """What stands on the tape, in order; while recording, what was recorded so far. Under ``drift``, the tape is
        not written, and what came live is `live`."""
        recorded = self._recorded()
        if self.mode == "record":
            return tuple(recorded)
        if self.mode == "drift":
            recorded = []
        return (*(self._cassette.interactions if self._cassette else ()), *recorded)

    @property
    def answered_interactions(self) -> Sequence[Interaction]:
        """What answered so far: what was played, in order, and what was recorded."""
        return (*self.played, *self._recorded())

    @property
    def live_interactions(self) -> Sequence[Interaction]:
        """What was asked live so far, in order, whether an answer came or not."""
        return tuple(self._recorded(unanswered=True))

    @property
    def replay_lookup(self) -> ReplayLookup | None:
        """What the tape holds, to be compared with what came live; None where there is no tape."""
        if self._index is None:
            return None
        return ReplayLookup(
            self._index,
            self._rules.key,
            filter_request=self._left,
            placeholders=self._redactor.placeholders,
            allow_repeats=self._settings.allow_repeats,
        )

    def explain_miss(self, interaction: Interaction) -> CassetteMiss:
        """What the miss of an ``interaction`` that came live would have been."""
        request = self._left(interaction.request)
        key = self._rules.key(request, self._redactor.placeholders)
        return self._miss(interaction.request, key, interaction.offered_models)

    def is_own(self, entry: Entry) -> bool:
        """Whether this test alone answers for ``entry``. Of a tape that others share, what no test is named for is
        nobody's."""
        on_it = entry.position <= len(self._cassette.interactions if self._cassette else ())
        tests = entry.interaction.tests
        return on_it and (self.test in tests or (not tests and not self._shared))

    @property
    def previous_interactions(self) -> Sequence[Interaction]:
        """What this test had recorded when the tape was opened."""
        return [one for one in (self._cassette.interactions if self._cassette else ()) if one.belongs_to(self.test)]

    def matching_key(self, interaction: Interaction) -> Key:
        """By what ``interaction`` is told from others on this tape."""
        words = self._redactor.placeholders | (self._cassette.placeholders if self._cassette else frozenset())
        return key_of(interaction.request, interaction.provenance, words, self._key_on_tape)

    @property
    def has_recordings(self) -> bool:
        """Whether any answer was recorded so far, so that `save` will write, whatever failed."""
        return self.mode != "drift" and self._recorder.has_responses

    @property
    def unplayed(self) -> Sequence[Entry]:
        """What this test recorded and did not play."""
        if self._index is None or self.mode != "replay":
            return ()
        return [entry for entry in self._index.entries if not entry.played and self.is_own(entry)]

    @property
    def played_positions(self) -> Collection[int]:
        """The positions, from 1, of what was played."""
        return [entry.position for entry in self._index.entries if entry.played] if self._index is not None else []

    @property
    def is_strict(self) -> bool:
        """Whether what was not played fails its test."""
        return self._settings.strict

    def raise_if_unplayed(self) -> None:
        """Raises `Unplayed` where the tape holds what this test recorded and did not play."""
        if entries := self.unplayed:
            raise miss.build_unplayed(entries, path=paths.relative_to_cwd(self.path), record_hint=self.record_hint)

    @property
    def days_if_expired(self) -> int | None:
        """How many days old the tape is, where that is more than its ``max_age``."""
        recorded = self._cassette.recorded_at if self._cassette is not None else None
        if recorded is None or not self._settings.max_age:
            return None
        days = (self._clock() - recorded).days
        return days if days > self._settings.max_age else None

    def route(self, request: Request) -> Route:
        """Which way ``request`` goes. Raises `CassetteMiss` where nothing on the tape answers it."""
        if self._settings.ignores(request.url):
            return Passthrough()
        if self._drops(request):
            return Replay(_dropped(request))
        if token_exchange.is_token_exchange(request.url):
            return Replay(token_exchange.answer(request)) if self.mode == "replay" else Passthrough()
        # a coding that nobody here reads is matched as the bytes it is
        with suppress(ValueError):
            request = replace(request, body=body.decoded(request.body, request.header("content-encoding")))
        return self._way(request, self._taken)

    def route_stream(self, request: Request) -> Conversation | Passthrough | ResponseRecorder:
        """Which way ``request`` goes, which streams, and of which nothing was sent yet. Raises `CassetteMiss` where
        the tape has no conversation with this method, or none that was not played."""
        if self._settings.ignores(request.url):
            return Passthrough()
        if self._drops(request):
            return DroppedConversation(Replay(_dropped(request)))
        return self._way(request, self._begun)

    def _drops(self, request: Request) -> bool:
        return self.mode != "live" and self._settings.drops(request.url)

    def _way(
        self, request: Request, recorded: Callable[[Request, Request, Key], T | None]
    ) -> T | Passthrough | ResponseRecorder:
        self._redactor.learn_request(request)
        with self._lock:
            self.sent.append(Sent(request))
            if self.mode == "live":
                return Passthrough()
            if self._filters is not None:
                left = self._filters.filter_request(request)
                if left is None:
                    return Passthrough()
                request = left
            if self.mode in ("record", "drift"):
                return self._recorder.exchange(request)
            scrubbed = self._redactor.request(request)
            key = self._rules.key(scrubbed, self._redactor.placeholders)
            answer = recorded(request, scrubbed, key)
            if answer is not None:
                return answer
            if self.mode == "record-missing":
                return self._recorder.exchange(request)
            violation = self._miss(scrubbed, key, current_models())
            self._missed += 1
            self._violated(violation)
            raise violation

    def _miss(self, scrubbed: Request, key: Key, models: Mapping[str, type[BaseModel]]) -> CassetteMiss:
        is_brief = self._missed >= _EXPLAINED
        near = None if is_brief or self._calls is None else self._calls.near(scrubbed, self._redactor.placeholders)
        return miss.build_miss(
            scrubbed,
            key,
            self._index,
            path=paths.relative_to_cwd(self.path),
            record_hint=self.record_hint,
            offered=models,
            strip=self._rules.bared,
            others=near,
            brief=is_brief,
        )

    def _taken(self, request: Request, scrubbed: Request, key: Key) -> Replay | None:
        del request
        answer = None
        if self._index is not None and self._calls is not None:
            answer = self._index.take(key) or self._calls.take(scrubbed, self._redactor.placeholders, key)
            if answer is None and self._settings.allow_repeats:
                answer = self._index.again(key)
        if answer is None:
            return None
        response = transcoding.answer(answer.response, answer.request.url, scrubbed.url)
        return self._play(replace(answer, offered_models=current_models()), response)

    def _begun(self, request: Request, scrubbed: Request, key: Key) -> Conversation | None:
        del scrubbed
        again = self._settings.allow_repeats
        entries = self._index.begun(key, again=again) if self._index is not None else ()
        if not entries:
            return None
        return RecordedConversation(
            request,
            entries,
            placeholders=self._cassette.placeholders if self._cassette is not None else (),
            redactor=self._redactor,
            lock=self._lock,
            play=self._play,
            strayed=self._strayed,
            key=self._rules.key,
        )

    def _play(self, interaction: Interaction, response: Response | None = None) -> Replay:
        self.played.append(interaction)
        return Replay.at_pace(response or interaction.response, self._settings.pace)

    def _strayed(self, request: Request, reason: str, found: Sequence[Difference]) -> CassetteMiss:
        violation = miss.build_divergence(
            request,
            reason,
            found,
            path=paths.relative_to_cwd(self.path),
            record_hint=self.record_hint,
            might_go_live=self.mode == "record-missing",
        )
        self._violated(violation)
        return violation

    def allows_connection(self, host: str, port: int) -> bool:
        """Whether a raw socket may connect to ``host:port``."""
        return self.mode == "live" or self._settings.allows_connection(host, port)

    def add_violation(self, violation: TapeViolation) -> None:
        """Hold ``violation`` against the test, whatever happens to it on its way up; a seam calls it before it
        raises."""
        with self._lock:
            self._violated(violation)

    def _violated(self, violation: TapeViolation) -> None:
        (self.violations if self._forgiven is None else self._forgiven).append(violation)

    @contextmanager
    def expect_misses(self) -> Iterator[list[TapeViolation]]:
        """For the time of the block, forgive violations; gives the list of those that came."""
        forgiven: list[TapeViolation] = []
        with self._lock:
            before, self._forgiven = self._forgiven, forgiven
        try:
            yield forgiven
        except TapeViolation as violation:
            if violation not in forgiven:
                raise
        finally:
            with self._lock:
                self._forgiven = before

    def redact(self, text: str) -> str:
        """``text`` without any secret or private name that this tape was shown."""
        return self._redactor.text(text)

    def save(self, *, failure: str | None = None, earlier: Sequence[Tape] = ()) -> SavedRecording | None:
        """Keep what was recorded: in the cassette, or pending if ``failure`` says what went wrong, where a
        request got no answer, or where an answer is not one to be kept. None where nothing was recorded, or nothing
        but failed connections by a test that failed, and under ``drift``: then the tape stays as it is. ``earlier``
        are those that played before it for the same test at the same path; what they recorded is kept with it."""
        tapes = (*earlier, self)
        for tape in tapes:
            tape._recorder.close()
        if self.mode == "drift":
            return None
        recorded = join_recordings([tape._recorded() for tape in tapes])
        if not recorded or (failure and not any(tape.has_recordings for tape in tapes)):
            return None
        allowed = self._settings.allow_secrets
        reason = failure or next((why for tape in tapes if (why := tape._recorder.find_unanswered())), None)
        if reason is None and not self._settings.keep_errors:
            reason = find_temporary_error(recorded)
        if reason is None:
            recorded = [
                replace(interaction, results=self._fingerprint_results(interaction)) for interaction in recorded
            ]
        appends = self.mode == "record-missing"
        words = sorted({word for tape in tapes for word in tape._redactor.placeholders})
        metadata = {**self._recorder.metadata(), **({"placeholders": words} if words else {})}
        take = Recording(tuple(recorded), self.test, metadata, appends)
        if reason is None:
            storage.save_recording(self.path, take, self._redact_foreign, allowed=allowed)
            return SavedRecording("written", self.path, len(recorded))
        return SavedRecording("pending", storage.save_pending(self.path, take, allowed=allowed), len(recorded), reason)

    def _indexed(self, additional_paths: Sequence[Cassette | None]) -> Index | None:
        cassettes = [self._redact_foreign(cassette) for cassette in additional_paths if cassette is not None]
        if self._cassette is not None:
            cassettes.insert(0, self._cassette)
        if not cassettes:
            return None
        interactions = [interaction for cassette in cassettes for interaction in cassette.interactions]
        placeholders = frozenset[str]().union(*(cassette.placeholders for cassette in cassettes))
        keys = [key for cassette in cassettes for key in self._keys(cassette, placeholders)]
        return Index(interactions, placeholders, keys)

    def _keys(self, cassette: Cassette, placeholders: frozenset[str]) -> Sequence[Key]:
        if self._filters is None:
            return cassette.matching_keys(self._rules, placeholders)
        return keys_of(cassette.interactions, placeholders, self._key_on_tape)

    def _key_on_tape(self, request: Request, placeholders: Collection[str]) -> Key:
        return self._rules.key(self._left(request), placeholders)

    def _left(self, request: Request) -> Request:
        # a filter may be younger than the tape; what it would leave out was recorded all the same
        return (self._filters.filter_request(request) if self._filters is not None else None) or request

    def _recorded(self, *, unanswered: bool = False) -> list[Interaction]:
        recorded = self._recorder.interactions(self.test, unanswered=unanswered)
        if self._filters is None:
            return recorded
        answers = [(interaction, self._filters.filter_response(interaction.response)) for interaction in recorded]
        return [replace(interaction, response=answer) for interaction, answer in answers if answer is not None]

    def _redact_foreign(self, cassette: Cassette) -> Cassette:
        return redact_foreign(cassette, self._redactor)


def _dropped(request: Request) -> Response:
    """What who tells of an application hears: that all is well."""
    if request.url.startswith("grpc:"):
        # of one message or a stream of them it is an empty answer, whatever was sent by then
        headers = (("content-type", "application/grpc"), ("grpc-status", "0"), (interleaving.HEADER, "0"))
        return Response(200, "OK", headers, b"")
    return Response(202, "Accepted", (("content-type", "application/json"),), b"{}")
