"""The tape: an open cassette. Interceptors, the plugin and tests access the cassette only through its tape."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from multitrack.errors import (
    BadOption,
    CassetteCorrupt,
    CassetteExpired,
    CassetteMiss,
    CassetteNotWritten,
    TapeViolation,
)
from multitrack.tape.answered_request import AnsweredRequest
from multitrack.tape.exchange import Request, Route, StreamRoute
from multitrack.tape.file import paths
from multitrack.tape.file.cassette_cache import CassetteCache
from multitrack.tape.interaction import Interaction
from multitrack.tape.interaction_filter import InteractionFilter
from multitrack.tape.live_exchange import Clock
from multitrack.tape.matching.index import RecordedEntry
from multitrack.tape.matching.matching_key import MatchingKey
from multitrack.tape.matching.request_matcher import RequestMatcher
from multitrack.tape.open_cassette import CassetteLoader
from multitrack.tape.recording_writer import ResultFingerprinter, SavedRecording
from multitrack.tape.redaction.redactor import Redactor
from multitrack.tape.replay_lookup import ReplayLookup
from multitrack.tape.sent import Sent
from multitrack.tape.sessions.behaviour_session import AnswerSource
from multitrack.tape.sessions.rebind_session import RebindSession
from multitrack.tape.settings import Mode, Settings
from multitrack.tape.tape_parts import assemble_parts
from multitrack.tape.violations import ViolationHolder

if TYPE_CHECKING:
    from multitrack.tape.miss.miss_reporter import MissedRequest
    from multitrack.tape.miss.nearest_recording import NearestRecording


class Tape:
    """An open cassette, and the violations of the test that uses it. Threads can share a tape.

    A session, which depends on the tape's mode, decides how to proceed with each request.
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
        load: CassetteLoader | None = None,
        filters: InteractionFilter | None = None,
        matchers: Sequence[RequestMatcher] = (),
        appends: bool = False,
        fingerprint_results: ResultFingerprinter = lambda _: None,
        record_hint: Callable[[], str] = lambda: "use_cassette(..., mode='record')",
        scope: ViolationHolder | None = None,
        root: Path | None = None,
        clock: Clock = lambda: datetime.now(UTC),
        cache: CassetteCache | None = None,
        answers: AnswerSource | None = None,
        rebinding: Callable[[Path], AbstractContextManager[None]] | None = None,
        rebind_hint: Callable[[], str | None] = lambda: None,
    ) -> None:
        """Open the cassette at ``path``.

        Args:
            path: The cassette. The file need not exist.
            mode: How requests are answered, see ``multitrack.tape.settings.Mode``.
            settings: The options. Default: the defaults of ``Settings``.
            test: The node id of the test that records. ``None`` outside of any test.
            shared: Whether other tests use the same cassette.
            additional_paths: Cassettes that are also replayed, but never written.
            load: Reads a cassette in the project's own format. Default: Multitrack reads ``path``.
            filters: Functions that change requests and responses.
            matchers: The project's own comparisons of requests. If there are any, an empty ``match_on`` means that
                nothing else is compared.
            appends: Whether ``record`` mode appends to the cassette, instead of replacing the earlier recording of
                the test.
            fingerprint_results: Returns the fingerprints to store with a response when the test passed.
            record_hint: Returns the command that records the test, for messages.
            scope: The test or fixture that fails because of violations. ``None`` outside of tests.
            root: The folder that the node ids of tests start from. Default: the current directory.
            clock: Returns the current time.
            cache: Keeps large cassettes in memory for other tapes. Default: a separate cache for this tape.
            answers: Answers all requests. The cassette is then not read, and ``path`` is only used in messages.
                Requires ``replay`` mode.
            rebinding: If set, ``replay`` mode also accepts a recording whose request differs only in its wording.
                ``save`` then stores the new request with the recorded answer, within the context manager that
                ``rebinding`` returns for the cassette's path. Default: only an equal request is answered.
            rebind_hint: Returns the command that keeps the recorded answer after a miss, or None if there is no such
                command.

        Raises:
            CassetteCorrupt: A cassette cannot be read.
        """
        self.path = path
        self.mode: Mode = mode
        self.test = test
        self._get_record_hint = record_hint
        self.is_lost = False
        """True if the recording could not be saved."""
        self.rebound: Sequence[NearestRecording] = ()
        """The recordings whose requests ``save`` has replaced."""
        self.sent: list[Sent] = []
        """The requests as they were sent, in order."""
        self._settings = settings or Settings()
        self._clock = clock
        self._uses_behaviour = answers is not None
        if scope is not None and mode != "live":
            scope.guard_settings = self._settings
        parts = assemble_parts(
            path,
            mode=mode,
            settings=self._settings,
            test=test,
            is_shared=shared,
            additional_paths=additional_paths,
            load=load,
            filters=filters,
            matchers=matchers,
            appends=appends,
            fingerprint_results=fingerprint_results,
            record_hint=record_hint,
            holder=scope,
            root=root,
            clock=clock,
            cache=cache or CassetteCache(),
            answers=answers,
            rebinds=rebinding is not None,
            rebind_hint=rebind_hint,
        )
        self.mode = parts.mode
        self._lock = parts.lock
        self._shown_path = parts.shown_path
        self._normalizer = parts.normalizer
        self._cassette = parts.cassette
        self._violations = parts.violations
        self._misses = parts.misses
        self._guard = parts.guard
        self._unrecorded = parts.unrecorded
        self._session = parts.session
        self._recorder = parts.recorder
        self._writer = parts.writer
        self._rebinding = rebinding or (lambda _: nullcontext())

    def route(self, request: Request) -> Route:
        """Decide how to proceed with ``request``.

        Raises:
            CassetteMiss: No recording matches.
            LiveCall: The request would be sent to the provider with a stand-in instead of a credential.
            RoutingError: Multitrack or one of the project's functions failed. Like a miss, this error fails the test
                even if it is caught.
        """
        with self._guard.watch(request):
            if (route := self._unrecorded.route(request)) is not None:
                return route
            received = self._normalizer.receive(request)
            with self._lock:
                self.sent.append(Sent(received))
                return self._session.route(received)

    def route_stream(self, request: Request) -> StreamRoute:
        """Decide how to proceed with a streaming ``request`` before its first message is sent.

        Raises:
            CassetteMiss: No unused recording of this method is left.
            LiveCall: The request would be sent to the provider with a stand-in instead of a credential.
            RoutingError: Multitrack or one of the project's functions failed. Like a miss, this error fails the test
                even if it is caught.
        """
        with self._guard.watch(request):
            if (route := self._unrecorded.route_stream(request)) is not None:
                return route
            received = self._normalizer.receive(request)
            with self._lock:
                self.sent.append(Sent(received))
                return self._session.route_stream(received)

    @property
    def settings(self) -> Settings:
        """The tape's options."""
        return self._settings

    def allows_connection(self, host: str, port: int) -> bool:
        """Return whether a raw socket is allowed to connect to ``host:port``."""
        return not self._session.uses_cassette or self._settings.allows_connection(host, port)

    def redact(self, text: str) -> str:
        """Return ``text`` without the secrets and private names that this tape knows."""
        return self._normalizer.redactor.redact_printed(text)

    @property
    def redactor(self) -> Redactor:
        """The redactor, which also removes the credentials that were sent."""
        return self._normalizer.redactor

    # violations

    @property
    def violations(self) -> list[TapeViolation]:
        """All misses and live calls outside ``expect_misses`` blocks, even if the code under test caught them."""
        return self._violations.held

    def add_violation(self, violation: TapeViolation) -> None:
        """Fail the test because of ``violation``, even if the code under test catches it.

        An interceptor calls this before it raises ``violation``.
        """
        self._violations.add(violation)

    @property
    def missed_requests(self) -> Sequence[MissedRequest]:
        """The requests without a matching recording, in order.

        Requests from ``expect_misses`` blocks are not included.
        """
        if not self._misses.missed:
            return ()
        held = {id(violation) for violation in self.violations}
        return [one for one in self._misses.missed if id(one.violation) in held]

    def list_reworded(self) -> Iterator[MissedRequest]:
        """Yield the answered requests that differ from their recordings only in wording."""
        return self._misses.list_reworded(self.answered_requests)

    @contextmanager
    def expect_misses(self) -> Iterator[list[TapeViolation]]:
        """Within the block, misses and live calls do not fail the test.

        Yields:
            The list of the violations, which grows as violations happen.
        """
        with self._violations.expect() as expected:
            yield expected

    def explain_miss(self, interaction: Interaction) -> CassetteMiss:
        """Return the miss that the request of a live ``interaction`` would cause in replay mode."""
        return self._misses.explain(interaction)

    # what was replayed and recorded

    @cached_property
    def record_hint(self) -> str:
        """The command that records the test, for messages."""
        return self._get_record_hint()

    @cached_property
    def resolved_path(self) -> Path:
        """The path of the cassette without symbolic links."""
        return paths.resolve(self.path)

    @property
    def played(self) -> Sequence[Interaction]:
        """The interactions that were replayed, in order."""
        return self._session.played

    @property
    def answered_requests(self) -> Sequence[AnsweredRequest]:
        """The requests that recordings answered, in order. Calls that stream their requests are not included."""
        return self._session.answered_requests

    @property
    def interactions(self) -> Sequence[Interaction]:
        """The interactions in the cassette, in order. In ``record`` mode, the interactions recorded so far.

        In ``drift`` mode, the cassette is not written, and the live responses are in ``live_interactions``.
        """
        return self._session.list_interactions(self._cassette.interactions, self._recorder.interactions())

    @property
    def answered_interactions(self) -> Sequence[Interaction]:
        """The interactions that have a response so far: first the replayed ones, in order, then the recorded ones."""
        return (*self.played, *self._recorder.interactions())

    @property
    def sent_exchanges(self) -> Sequence[Interaction]:
        """The interactions in ``answered_interactions``, but with unchanged requests, exactly as the test sent them."""
        return (*self._session.sent_exchanges, *self._recorder.interactions())

    @property
    def live_interactions(self) -> Sequence[Interaction]:
        """The requests that were sent to the network so far, in order, with their responses, if any arrived."""
        return tuple(self._recorder.interactions(include_unanswered=True))

    @property
    def previous_interactions(self) -> Sequence[Interaction]:
        """The interactions that this test had recorded when the cassette was opened."""
        return self._cassette.previous_interactions

    def matching_key(self, interaction: Interaction) -> MatchingKey:
        """Return the matching key of ``interaction``."""
        return self._cassette.matching_key(interaction)

    @property
    def replay_lookup(self) -> ReplayLookup | None:
        """The recordings that requests are matched with. ``None`` if there are none."""
        return self._session.lookup

    def rewind(self) -> None:
        """Make every recording replayable again."""
        with self._lock:
            if (lookup := self._session.lookup) is not None:
                lookup.state.rewind()

    @property
    def played_positions(self) -> Collection[int]:
        """The positions, from 1, of the interactions that were replayed."""
        lookup = self._session.lookup
        return lookup.state.played_positions if lookup is not None else []

    @property
    def unplayed(self) -> Sequence[RecordedEntry]:
        """The interactions that this test recorded and did not replay."""
        lookup = self._session.lookup
        if lookup is None or not self._session.is_offline:
            return ()
        return [entry for entry in self._cassette.own_entries if not lookup.state.was_ever_played(entry)]

    def is_own(self, entry: RecordedEntry) -> bool:
        """Return whether ``entry`` belongs to this test alone.

        If the cassette is not shared, interactions that contain no test name also belong to this test.
        """
        return self._cassette.is_own(entry)

    def raise_if_unplayed(self) -> None:
        """Raise ``Unplayed`` if the test recorded interactions that it did not replay."""
        if entries := self.unplayed:
            from multitrack.tape import miss

            raise miss.build_unplayed(entries, path=self._shown_path, record_hint=self.record_hint)

    # facts for the plugin

    @property
    def is_compared(self) -> bool:
        """True if live responses are not stored, but are compared with the cassette when the tape is closed."""
        return self._session.is_compared

    @property
    def uses_behaviour(self) -> bool:
        """True if a behaviour from the library, instead of a cassette, answers the requests."""
        return self._uses_behaviour

    @property
    def answers_are_stored(self) -> bool:
        """True if the cassette contains, or will contain, the responses that the test receives."""
        return self._session.replays or self._session.writes

    @property
    def has_recordings(self) -> bool:
        """True if a response was recorded."""
        return self._session.writes and not self.is_lost and self._recorder.has_responses

    @property
    def is_strict(self) -> bool:
        """True if the test must replay all its interactions to pass."""
        return self._settings.strict

    @property
    def keeps_errors(self) -> bool:
        """True if temporary errors are recorded like any other response."""
        return self._settings.keep_errors

    @property
    def recorded_at(self) -> datetime | None:
        """The time of the most recent recording that was in the cassette when the tape was opened. None if unknown."""
        return self._cassette.recorded_at

    @property
    def days_if_expired(self) -> int | None:
        """The age in days of the recordings that the tape replays. ``None`` if they are not older than ``max_age``."""
        return self._cassette.find_days_if_expired(self._settings.max_age, self._clock) if self._is_replaying else None

    def raise_if_expired(self) -> None:
        """Raise ``CassetteExpired`` if the recordings are older than ``max_age`` and ``on_expiry`` is "fail"."""
        if self._settings.on_expiry == "fail" and (days := self.days_if_expired) is not None:
            raise CassetteExpired(
                f"the cassette was recorded {days} days ago; max_age is {self._settings.max_age} days\n"
                f"  cassette: {self._shown_path}\n  to record it again: {self.record_hint}"
            )

    @property
    def _is_replaying(self) -> bool:
        return self._session.replays or self._session.is_compared

    def save(self, *, failure: str | None = None, earlier: Sequence[Tape] = ()) -> SavedRecording | None:
        """Write the recording to the cassette, or next to it as a pending recording.

        The recording is pending in each of these cases:

        - The test failed.
        - A request got no response.
        - A response is a temporary error.

        Args:
            failure: Why the test failed, if it did.
            earlier: Tapes that were open before this one for the same test and the same cassette. Their recordings
                are saved together with the recording of this tape.

        Returns:
            The saved recording. ``None`` if the cassette is unchanged: nothing was recorded, the test failed before
            any response arrived, or the mode writes nothing.
        """
        tapes = (*earlier, self)
        for tape in tapes:
            tape._recorder.close()
            if failure is None:
                tape._save_rebindings()
        if not self._session.writes:
            if self.is_compared:  # fails here if the project's redaction function fails, and not in the comparison
                self._recorder.interactions_to_save()
            return None
        try:
            return self._writer.save([tape._recorder for tape in tapes], failure)
        except (CassetteCorrupt, CassetteNotWritten, BadOption) as error:
            if not isinstance(error, BadOption):
                error.record_hint = self.record_hint
            for tape in tapes:
                tape.is_lost = True
            raise

    def _save_rebindings(self) -> None:
        if isinstance(self._session, RebindSession) and self._session.rebindings:
            with self._rebinding(self.path):
                self._writer.save_rebindings(self._session.rebindings)
            self.rebound = self._session.reworded
