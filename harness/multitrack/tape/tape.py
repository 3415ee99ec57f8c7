"""The tape: receives each request of a test, and decides whether to replay, record or refuse it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from traceback import FrameSummary
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

from multitrack.errors import CassetteCorrupt, CassetteMiss, CassetteNotWritten, LiveCall, RoutingError, TapeViolation
from multitrack.model_context import current_models
from multitrack.tape import interleaving, miss, socket_mocks
from multitrack.tape.call_site import find_user_frames, format_call_site
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
from multitrack.tape.lost_recordings import LostRecording, RecordingSearch
from multitrack.tape.matching.content_encoding import decode_body
from multitrack.tape.matching.cross_transport import CrossTransportIndex
from multitrack.tape.matching.difference import Difference
from multitrack.tape.matching.index import Index, MatchingKey, RecordedEntry, key_of_recording, keys_of_recordings
from multitrack.tape.matching.rules import MatchingRules
from multitrack.tape.recorder import Clock, Recorder, find_temporary_error
from multitrack.tape.redaction.redactor import Redactor
from multitrack.tape.replay_lookup import ReplayLookup
from multitrack.tape.sent import Sent
from multitrack.tape.settings import Mode, Settings
from multitrack.tape.stand_in_word import STAND_IN_REASON, has_stand_in

if TYPE_CHECKING:
    from pydantic import BaseModel

T = TypeVar("T")

_MAX_EXPLAINED_MISSES = 5
"""The number of misses compared with the whole cassette.

Code that catches hundreds of misses would otherwise wait for each.
"""

ResultFingerprinter = Callable[[Interaction], "tuple[str, ...] | None"]
"""Returns a fingerprint of the validated result of each tool call of a response, with the models that the request
offered. `None` if no models are known."""


@dataclass(frozen=True, slots=True)
class SavedRecording:
    """The result of saving a recording."""

    state: Literal["written", "pending"]
    path: Path
    """The cassette, or the file with the pending recording."""
    count: int
    """The number of recorded interactions."""
    reason: str = ""
    """Why the recording is pending."""


class InteractionFilter(Protocol):
    """Functions of the project that change requests and responses before they are recorded and matched."""

    def filter_request(self, request: Request, /) -> Request | None:
        """Return the changed ``request``, or `None` to let it go live without recording."""

    def filter_response(self, response: Response, /) -> Response | None:
        """Return the changed ``response``, or `None` not to record it."""


class ViolationHolder(Protocol):
    """A test or fixture that a violation fails."""

    guard_settings: Settings | None
    """The settings for requests that its threads send when it is over."""

    def hold(self, violation: TapeViolation) -> None:
        """Fail because of ``violation``."""

    def forgive(self, violation: TapeViolation) -> None:
        """Do not fail because of ``violation`` after all."""


class Tape:
    """One open cassette. Threads may share it."""

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
        scope: ViolationHolder | None = None,
        root: Path | None = None,
        clock: Clock = lambda: datetime.now(UTC),
    ) -> None:
        """Open the cassette at ``path``.

        Args:
            path: The cassette. The file need not exist.
            mode: Whether to replay, to record, or to go live.
            settings: The options. Default: the defaults of `Settings`.
            test: The node id of the test that records. `None` outside of any test.
            shared: Whether other tests use the same cassette.
            additional_paths: Cassettes that are also replayed, but never written.
            filters: Functions that change requests and responses.
            fingerprint_results: Returns the fingerprints to store with a response when the test passed.
            record_hint: How to record, for messages.
            scope: The test or fixture that fails because of violations. `None` outside of any.
            root: The folder that the node ids of tests start from. Default: the current directory.
            clock: Returns the current time.

        Raises:
            CassetteCorrupt: A cassette cannot be read.
        """
        self.path = path
        self.mode: Mode = mode
        self.test = test
        self.record_hint = record_hint
        self.is_lost = False
        """True if the recording could not be saved."""
        self.sent: list[Sent] = []
        """The requests as they were sent, in order."""
        self.played: list[Interaction] = []
        """The interactions that were replayed, in order."""
        self.violations: list[TapeViolation] = []
        """All misses and live calls, even if the code under test caught them, but not those in `expect_misses`."""
        self._settings = settings or Settings()
        # computed now and not for a miss, because code in an event loop may not be allowed to ask for the directory
        self._shown_path = paths.relative_to_cwd(path)
        self._current_folder = Path.cwd()
        self._scope = scope
        self._root = root
        if scope is not None and mode != "live":
            scope.guard_settings = self._settings
        self._shared = shared
        self._filters = filters
        self._fingerprint_results = fingerprint_results
        self._clock = clock
        self._rules = MatchingRules(self._settings.match_on, self._settings.ignore, self._settings.placeholders)
        self._redactor = Redactor(
            os.environ,
            keep_headers=self._settings.keep_headers,
            allow_secrets=self._settings.allow_secrets,
            apply_placeholders=self._rules.apply_placeholders,
        )
        self._recorder = Recorder(self._redactor, clock)
        try:
            found = None if mode == "live" else storage.read(path)
        except CassetteCorrupt as error:
            error.record_hint = record_hint
            raise
        self._cassette = None if found is None else self._redact_foreign(found)
        self._index = self._build_index([] if mode == "live" else [storage.read(other) for other in additional_paths])
        self._calls = (
            CrossTransportIndex(self._index, self._rules.make_key, self._filter) if self._index is not None else None
        )
        # re-entrant: the garbage collector may end a dropped call in this thread while it holds the lock
        self._lock = threading.RLock()
        self._miss_count = 0
        self._expected_violations: list[TapeViolation] | None = None

    @property
    def interactions(self) -> Sequence[Interaction]:
        """The interactions in the cassette, in order; in record mode, those recorded so far.

        In ``drift`` mode, the cassette is not written, and the live responses are `live_interactions`.
        """
        recorded = self._recorded_interactions()
        if self.mode == "record":
            return tuple(recorded)
        if self.mode == "drift":
            recorded = []
        return (*(self._cassette.interactions if self._cassette else ()), *recorded)

    @property
    def answered_interactions(self) -> Sequence[Interaction]:
        """The interactions with a response so far: first the replayed ones, in order, then the recorded ones."""
        return (*self.played, *self._recorded_interactions())

    @property
    def live_interactions(self) -> Sequence[Interaction]:
        """The requests that went live so far, in order, with their responses, if any arrived."""
        return tuple(self._recorded_interactions(include_unanswered=True))

    @property
    def replay_lookup(self) -> ReplayLookup | None:
        """The recordings to compare with live responses. `None` if there is no cassette."""
        if self._index is None:
            return None
        return ReplayLookup(
            self._index,
            self._rules.make_key,
            filter_request=self._filter,
            placeholders=self._redactor.pseudonyms,
            allow_repeats=self._settings.allow_repeats,
        )

    def explain_miss(self, interaction: Interaction) -> CassetteMiss:
        """Return the miss that a live ``interaction`` would have been in replay mode."""
        request = self._filter(interaction.request)
        key = self._rules.make_key(request, self._redactor.pseudonyms)
        return self._build_miss(interaction.request, key, interaction.offered_models)

    def is_own(self, entry: RecordedEntry) -> bool:
        """Return whether only this test is responsible for ``entry``.

        In a shared cassette, an interaction without the name of a test belongs to no test.
        """
        is_in_cassette = entry.position <= len(self._cassette.interactions if self._cassette else ())
        tests = entry.interaction.tests
        return is_in_cassette and (self.test in tests or (not tests and not self._shared))

    @property
    def previous_interactions(self) -> Sequence[Interaction]:
        """The interactions that this test had recorded when the cassette was opened."""
        return [one for one in (self._cassette.interactions if self._cassette else ()) if one.belongs_to(self.test)]

    def matching_key(self, interaction: Interaction) -> MatchingKey:
        """Return the matching key of ``interaction``."""
        words = self._redactor.pseudonyms | (self._cassette.placeholders if self._cassette else frozenset())
        return key_of_recording(interaction.request, interaction.provenance, words, self._recorded_key)

    @property
    def has_recordings(self) -> bool:
        """True if any response was recorded so far, so that `save` writes, even if the test failed."""
        return self.mode != "drift" and not self.is_lost and self._recorder.has_responses

    @property
    def unplayed(self) -> Sequence[RecordedEntry]:
        """The interactions that this test recorded and did not replay."""
        if self._index is None or self.mode != "replay":
            return ()
        return [entry for entry in self._index.entries if not entry.played and self.is_own(entry)]

    @property
    def played_positions(self) -> Collection[int]:
        """The positions, from 1, of the interactions that were replayed."""
        return [entry.position for entry in self._index.entries if entry.played] if self._index is not None else []

    @property
    def is_strict(self) -> bool:
        """True if the test fails unless it replays all its interactions."""
        return self._settings.strict

    @property
    def keeps_errors(self) -> bool:
        """True if temporary errors are recorded like any other response."""
        return self._settings.keep_errors

    def raise_if_unplayed(self) -> None:
        """Raise `Unplayed` if the test recorded interactions that it did not replay."""
        if entries := self.unplayed:
            raise miss.build_unplayed(entries, path=self._shown_path, record_hint=self.record_hint)

    @property
    def days_if_expired(self) -> int | None:
        """The age of the cassette in days, if it is above ``max_age``, and `None` otherwise."""
        recorded = self._cassette.recorded_at if self._cassette is not None else None
        if recorded is None or not self._settings.max_age:
            return None
        days = (self._clock() - recorded).days
        return days if days > self._settings.max_age else None

    def route(self, request: Request) -> Route:
        """Decide how to proceed with ``request``.

        Raises:
            CassetteMiss: No recording matches.
            LiveCall: The request would send a stand-in for a credential.
            RoutingError: Multitrack or a function of the project failed. Like a miss, it fails the test in any case.
        """
        with self._holding_failures(request):
            if socket_mocks.is_mocked(request.url):
                return Passthrough()
            if self._settings.ignores(request.url):
                return self._let_pass(request)
            if self._drops(request):
                return Replay(accept_silently(request))
            if token_exchange.is_token_exchange(request.url):
                return Replay(token_exchange.create_response(request)) if self.mode == "replay" else Passthrough()
            # a body in an encoding that we cannot decode is matched byte by byte
            with suppress(ValueError):
                request = replace(request, body=decode_body(request.body, request.header("content-encoding")))
            return self._route_with(request, self._find_replay)

    def route_stream(self, request: Request) -> Conversation | Passthrough | ResponseRecorder:
        """Decide how to proceed with a streaming ``request`` before its first message is sent.

        Raises:
            CassetteMiss: No recording of this method is left.
            LiveCall: The request would send a stand-in for a credential.
            RoutingError: Multitrack or a function of the project failed. Like a miss, it fails the test in any case.
        """
        with self._holding_failures(request):
            if self._settings.ignores(request.url):
                return self._let_pass(request)
            if self._drops(request):
                return DroppedConversation(Replay(accept_silently(request)))
            return self._route_with(request, self._find_conversation)

    @contextmanager
    def _holding_failures(self, request: Request) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            raise self.hold_failure(request, error) from error

    def hold_failure(self, request: Request, error: Exception) -> RoutingError:
        """Fail the test because of an ``error`` that routing ``request`` raised, and return the violation to raise.

        The code under test would mistake the error itself for a client error, and might swallow or retry it.
        """
        violation = RoutingError(_describe_failure(request, error))
        self.add_violation(violation)
        with suppress(Exception):
            violation.args = (self.redact(f"{violation}\n  cassette: {self._shown_path}"),)
        return violation

    def _let_pass(self, request: Request) -> Passthrough:
        self._refuse_stand_in(request)
        return Passthrough()

    def _record(self, request: Request) -> ResponseRecorder:
        self._refuse_stand_in(request)
        return self._recorder.record(request)

    def _refuse_stand_in(self, request: Request) -> None:
        """Raise `LiveCall` if ``request``, which is about to be sent, contains a stand-in for a credential."""
        if not has_stand_in(request):
            return
        violation = LiveCall(
            f"{request.method} {self.redact(request.url)} was not sent, because {STAND_IN_REASON}\n"
            f"  cassette: {self._shown_path} (mode {self.mode})"
        )
        self.add_violation(violation)
        raise violation

    def _drops(self, request: Request) -> bool:
        return self.mode != "live" and self._settings.drops(request.url)

    def _route_with(
        self, request: Request, find: Callable[[Request, Request, MatchingKey], T | None]
    ) -> T | Passthrough | ResponseRecorder:
        self._redactor.learn_request(request)
        with self._lock:
            self.sent.append(Sent(request))
            if self.mode == "live":
                return self._let_pass(request)
            if self._filters is not None:
                filtered = self._filters.filter_request(request)
                if filtered is None:
                    return self._let_pass(request)
                request = filtered
            if self.mode in ("record", "drift"):
                return self._record(request)
            redacted = self._redactor.redact_request(request)
            key = self._rules.make_key(redacted, self._redactor.pseudonyms)
            found = find(request, redacted, key)
            if found is not None:
                return found
            if self.mode == "record-missing":
                return self._record(request)
            # counted before it is explained: if the explanation fails, the miss is not lost
            where = f"cassette: {self._shown_path}"
            violation = CassetteMiss(f"{redacted.method} {redacted.url} has no recording\n  {where}")
            violation.body = redacted.body
            self._append_violation(violation)
            try:
                explained = self._build_miss(redacted, key, current_models(), violation.frames)
                violation.args, violation.finding = explained.args, explained.finding
            except Exception as error:
                violation.args = (f"{violation}\n  the miss cannot be explained: {type(error).__name__}: {error}",)
            self._miss_count += 1
            raise violation

    def _build_miss(
        self,
        redacted: Request,
        key: MatchingKey,
        models: Mapping[str, type[BaseModel]],
        frames: Sequence[FrameSummary] = (),
    ) -> CassetteMiss:
        is_brief = self._miss_count >= _MAX_EXPLAINED_MISSES
        near = None
        if self._calls is not None and not is_brief:
            near = self._calls.find_candidates(redacted, self._redactor.pseudonyms)
        return miss.build_miss(
            redacted,
            key,
            self._index,
            path=self._shown_path,
            record_hint=self.record_hint,
            call_site=format_call_site(frames, str(self._current_folder)),
            lost=self._find_lost_recording(key),
            offered=models,
            strip=self._rules.strip_ignored,
            others=near,
            brief=is_brief,
        )

    def _find_lost_recording(self, key: MatchingKey) -> LostRecording | None:
        folder = self._current_folder
        search = RecordingSearch(
            folder / self.path,
            self.test,
            self._root or folder,
            folder,
            self._settings,
            None if self._filters is None else self._filter,
        )
        return search.find(key, played=len(self._index.find_played(key)) if self._index is not None else 0)

    def _find_replay(self, request: Request, redacted: Request, key: MatchingKey) -> Replay | None:
        found = None
        if self._index is not None and self._calls is not None:
            found = self._index.take(key) or self._calls.take(redacted, self._redactor.pseudonyms, key)
            if found is None and self._settings.allow_repeats:
                found = self._index.find_last_played(key)
        if found is None:
            return None
        response = transcoding.transcode_response(found.replayed_response, found.request.url, redacted.url)
        accept_encoding = request.header("accept-encoding")
        return self._play(replace(found, offered_models=current_models()), response, accept_encoding)

    def _find_conversation(self, request: Request, redacted: Request, key: MatchingKey) -> Conversation | None:
        del redacted
        again = self._settings.allow_repeats
        entries = self._index.find_conversations(key, allow_repeats=again) if self._index is not None else ()
        if not entries:
            return None
        return RecordedConversation(
            request,
            entries,
            placeholders=self._cassette.placeholders if self._cassette is not None else (),
            redactor=self._redactor,
            lock=_HoldingLock(self, self._lock, request),
            play=self._play,
            add_divergence=self._add_divergence,
            key=self._rules.make_key,
        )

    def _play(
        self, interaction: Interaction, response: Response | None = None, accept_encoding: str | None = None
    ) -> Replay:
        self.played.append(interaction)
        return Replay.at_pace(response or interaction.replayed_response, self._settings.pace, accept_encoding)

    def _add_divergence(self, request: Request, reason: str, found: Sequence[Difference]) -> CassetteMiss:
        violation = miss.build_divergence(
            request,
            reason,
            found,
            path=self._shown_path,
            record_hint=self.record_hint,
            might_go_live=self.mode == "record-missing",
            call_site=format_call_site(find_user_frames(), str(self._current_folder)),
        )
        self._append_violation(violation)
        return violation

    def allows_connection(self, host: str, port: int) -> bool:
        """Return whether a raw socket may connect to ``host:port``."""
        return self.mode == "live" or self._settings.allows_connection(host, port)

    def add_violation(self, violation: TapeViolation) -> None:
        """Fail the test because of ``violation``, whatever the code under test catches.

        An interceptor calls this before it raises ``violation``.
        """
        with self._lock:
            self._append_violation(violation)

    def _append_violation(self, violation: TapeViolation) -> None:
        if not violation.frames:
            violation.frames = find_user_frames()
        if _is_diverted.get():
            return
        if self._expected_violations is not None:
            self._expected_violations.append(violation)
            if self._scope is not None:
                self._scope.forgive(violation)
            return
        self.violations.append(violation)
        if self._scope is not None:
            self._scope.hold(violation)

    @contextmanager
    def expect_misses(self) -> Iterator[list[TapeViolation]]:
        """Do not fail the test because of misses and live calls within the block.

        Yields:
            The list of the violations, which grows as they happen.
        """
        expected: list[TapeViolation] = []
        with self._lock:
            previous, self._expected_violations = self._expected_violations, expected
        try:
            yield expected
        except TapeViolation as violation:
            if violation not in expected:
                raise
        finally:
            with self._lock:
                self._expected_violations = previous

    def redact(self, text: str) -> str:
        """Return ``text`` without the secrets and private names that this tape knows."""
        return self._redactor.redact_text(text)

    def save(self, *, failure: str | None = None, earlier: Sequence[Tape] = ()) -> SavedRecording | None:
        """Write the recording to the cassette, or next to it as a pending recording.

        It is pending if the test failed, if a request got no response, or if a response is a temporary error.

        Args:
            failure: Why the test failed, if it did.
            earlier: Tapes that were open before this one for the same test and the same cassette. Their recordings are
                saved with this one.

        Returns:
            The saved recording. `None` if the cassette is unchanged: because nothing was recorded, because the test
            failed and no response arrived, or in ``drift`` mode.
        """
        tapes = (*earlier, self)
        for tape in tapes:
            tape._recorder.close()
        if self.mode == "drift":
            return None
        recorded = join_recordings([tape._recorded_interactions() for tape in tapes])
        if not recorded or (failure and not any(tape.has_recordings for tape in tapes)):
            return None
        allowed = self._settings.allow_secrets
        unanswered_requests = [tape._recorder.find_unanswered() for tape in tapes]
        reason = failure or next(filter(None, unanswered_requests), None)
        if reason is None and not self._settings.keep_errors:
            reason = find_temporary_error(recorded)
        if reason is None:
            recorded = [replace(one, results=self._fingerprint_results(one)) for one in recorded]
        appends = self.mode == "record-missing"
        words = sorted({word for tape in tapes for word in tape._redactor.pseudonyms})
        metadata = {**self._recorder.metadata(), **({"placeholders": words} if words else {})}
        keeps, unanswered = self._settings.keep_errors, next(filter(None, unanswered_requests), "")
        recording = Recording(tuple(recorded), self.test, metadata, appends, keeps, unanswered)
        try:
            if reason is None:
                storage.save_recording(self.path, recording, self._redact_foreign, allowed=allowed)
                return SavedRecording("written", self.path, len(recorded))
            pending = storage.save_pending(self.path, recording, allowed=allowed)
        except (CassetteCorrupt, CassetteNotWritten) as error:
            error.record_hint = self.record_hint
            for tape in tapes:
                tape.is_lost = True
            raise
        return SavedRecording("pending", pending, len(recorded), reason)

    def _build_index(self, additional: Sequence[Cassette | None]) -> Index | None:
        cassettes = [self._redact_foreign(cassette) for cassette in additional if cassette is not None]
        if self._cassette is not None:
            cassettes.insert(0, self._cassette)
        if not cassettes:
            return None
        interactions = [interaction for cassette in cassettes for interaction in cassette.interactions]
        placeholders = frozenset[str]().union(*(cassette.placeholders for cassette in cassettes))
        keys = [key for cassette in cassettes for key in self._matching_keys(cassette, placeholders)]
        return Index(interactions, placeholders, keys)

    def _matching_keys(self, cassette: Cassette, placeholders: frozenset[str]) -> Sequence[MatchingKey]:
        if self._filters is None:
            return cassette.matching_keys(self._rules, placeholders)
        return keys_of_recordings(cassette.interactions, placeholders, self._recorded_key)

    def _recorded_key(self, request: Request, placeholders: Collection[str]) -> MatchingKey:
        return self._rules.make_key(self._filter(request), placeholders)

    def _filter(self, request: Request) -> Request:
        # a filter may be newer than the cassette; what it would drop today was recorded nevertheless
        return (self._filters.filter_request(request) if self._filters is not None else None) or request

    def _recorded_interactions(self, *, include_unanswered: bool = False) -> list[Interaction]:
        recorded = self._recorder.interactions(self.test, include_unanswered=include_unanswered)
        if self._filters is None:
            return recorded
        pairs = [(interaction, self._filters.filter_response(interaction.response)) for interaction in recorded]
        return [replace(interaction, response=response) for interaction, response in pairs if response is not None]

    def _redact_foreign(self, cassette: Cassette) -> Cassette:
        return redact_foreign(cassette, self._redactor)


class _HoldingLock:
    """The lock of a conversation. An error that is raised while it is held fails the test."""

    def __init__(self, tape: Tape, lock: AbstractContextManager[object], request: Request) -> None:
        self._tape = tape
        self._lock = lock
        self._request = request

    def __enter__(self) -> None:
        self._lock.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._lock.__exit__(kind, error, traceback)
        if isinstance(error, Exception):
            raise self._tape.hold_failure(self._request, error) from error


_is_diverted: ContextVar[bool] = ContextVar("multitrack_is_diverted", default=False)


@contextmanager
def divert_violations() -> Iterator[None]:
    """Raise the violations of the current thread within the block, but do not fail the tape's test because of them."""
    token = _is_diverted.set(True)
    try:
        yield
    finally:
        _is_diverted.reset(token)


def _describe_failure(request: Request, error: Exception) -> str:
    url = request.url.partition("?")[0]
    return (
        f"{request.method} {url} could not be routed: {type(error).__name__}: {error}\n"
        f"  the traceback shows whether a function or a setting of the project raised the error\n"
        f"  if not, it is a bug in Multitrack: report it at https://github.com/multitrack/multitrack/issues"
    )


def accept_silently(request: Request) -> Response:
    """Return a response that reports success to a telemetry client."""
    if request.url.startswith("grpc:"):
        # for one message or a stream of them, this is an empty response, whatever was sent by then
        headers = (("content-type", "application/grpc"), ("grpc-status", "0"), (interleaving.HEADER, "0"))
        return Response(200, "OK", headers, b"")
    return Response(202, "Accepted", (("content-type", "application/json"),), b"{}")
