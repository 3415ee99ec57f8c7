"""The tape: takes each request of a test and says which way it goes."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeVar

from multitrack.errors import CassetteMiss, TapeViolation
from multitrack.offers import offered
from multitrack.tape import body, pace, paths, storage, token_exchange
from multitrack.tape.cassette import Cassette
from multitrack.tape.conversation import RecordedConversation
from multitrack.tape.difference import Difference
from multitrack.tape.exchange import Conversation, Passthrough, Recording, Replay, Request, Route
from multitrack.tape.interaction import Interaction
from multitrack.tape.matching import Index, Key
from multitrack.tape.miss import miss, strayed
from multitrack.tape.recorder import Clock, Recorder, unkept_error
from multitrack.tape.redaction import Scrubber
from multitrack.tape.sent import Sent
from multitrack.tape.settings import Mode, Settings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Saved:
    """What became of a recording: ``path`` was ``written``, or lies ``pending`` for the ``reason``; ``count`` new
    interactions are in it."""

    state: Literal["written", "pending"]
    path: Path
    count: int
    reason: str = ""


class Tape:
    """One cassette while it plays. Threads share it.

    ``test`` is the node id of the test whose recording it makes; ``to_record`` says in a miss how to record.
    """

    def __init__(
        self,
        path: Path,
        *,
        mode: Mode = "replay",
        settings: Settings | None = None,
        test: str | None = None,
        to_record: str = "use_cassette(..., mode='record')",
        clock: Clock = lambda: datetime.now(UTC),
    ) -> None:
        self.path = path
        self.mode: Mode = mode
        self.test = test
        self.to_record = to_record
        self.sent: list[Sent] = []
        """What was really sent, in order."""
        self.played: list[Interaction] = []
        """What was replayed, in order."""
        self.violations: list[TapeViolation] = []
        """Every miss and every live call that was not forgiven, whatever the code under test caught."""
        self._settings = settings or Settings()
        self._scrubber = Scrubber(
            os.environ, keep_headers=self._settings.keep_headers, allow_secrets=self._settings.allow_secrets
        )
        self._recorder = Recorder(self._scrubber, clock)
        self._cassette = None if mode == "live" else self._scrubbed(storage.read(path))
        self._index: Index | None = None
        if self._cassette is not None:
            self._index = Index(self._cassette.interactions, self._cassette.placeholders)
        self._lock = threading.Lock()
        self._forgiven: list[TapeViolation] | None = None

    @property
    def interactions(self) -> Sequence[Interaction]:
        """What stands on the tape, in order; while recording, what was recorded so far."""
        recorded = self._recorder.interactions(self.test)
        if self.mode == "record":
            return tuple(recorded)
        return (*(self._cassette.interactions if self._cassette else ()), *recorded)

    @property
    def recorded(self) -> bool:
        """Whether any answer was recorded so far, so that `save` will write, whatever failed."""
        return bool(self._recorder)

    def route(self, request: Request) -> Route:
        """Which way ``request`` goes. Raises `CassetteMiss` where nothing on the tape answers it."""
        if self._settings.ignores(request.url):
            return Passthrough()
        if token_exchange.is_token_exchange(request.url):
            return Replay(token_exchange.answer(request)) if self.mode == "replay" else Passthrough()
        # a coding that nobody here reads is matched as the bytes it is
        with suppress(ValueError):
            request = replace(request, body=body.decoded(request.body, request.header("content-encoding")))
        return self._way(request, self._taken)

    def converse(self, request: Request) -> Conversation | Passthrough | Recording:
        """Which way ``request`` goes, which streams, and of which nothing was sent yet. Raises `CassetteMiss` where
        the tape has no conversation with this method, or none that was not played."""
        if self._settings.ignores(request.url):
            return Passthrough()
        return self._way(request, self._begun)

    def _way(self, request: Request, recorded: Callable[[Request, Key], T | None]) -> T | Passthrough | Recording:
        self._scrubber.learn_request(request)
        with self._lock:
            self.sent.append(Sent(request))
            if self.mode == "live":
                return Passthrough()
            if self.mode == "record":
                return self._recorder.exchange(request)
            scrubbed = self._scrubber.request(request)
            key = Key.of(scrubbed, self._scrubber.placeholders)
            answer = recorded(request, key)
            if answer is not None:
                return answer
            if self.mode == "record-missing":
                return self._recorder.exchange(request)
            violation = miss(
                scrubbed, key, self._index, path=paths.shown(self.path), to_record=self.to_record, offered=offered()
            )
            self._violated(violation)
            raise violation

    def _taken(self, request: Request, key: Key) -> Replay | None:
        del request
        answer = self._index.take(key) if self._index is not None else None
        return self._play(answer) if answer is not None else None

    def _begun(self, request: Request, key: Key) -> Conversation | None:
        entries = self._index.begun(key) if self._index is not None else ()
        if not entries:
            return None
        return RecordedConversation(
            request,
            entries,
            placeholders=self._cassette.placeholders if self._cassette is not None else (),
            scrubber=self._scrubber,
            lock=self._lock,
            play=self._play,
            strayed=self._strayed,
        )

    def _play(self, interaction: Interaction) -> Replay:
        self.played.append(interaction)
        return pace.replay(interaction.response, self._settings.pace)

    def _strayed(self, request: Request, reason: str, found: Sequence[Difference]) -> CassetteMiss:
        violation = strayed(request, reason, found, path=paths.shown(self.path), to_record=self.to_record)
        self._violated(violation)
        return violation

    def allows(self, host: str, port: int) -> bool:
        """Whether a raw socket may connect to ``host:port``."""
        return self.mode == "live" or self._settings.allows(host, port)

    def refuse(self, violation: TapeViolation) -> None:
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

    def scrub(self, text: str) -> str:
        """``text`` without any secret or private name that this tape was shown."""
        return self._scrubber.text(text)

    def save(self, *, failure: str | None = None) -> Saved | None:
        """Keep what was recorded: on the tape itself, or beside it where ``failure`` says what went wrong, where a
        request got no answer, or where an answer is not one to be kept. None where nothing was recorded, or nothing
        but failed connections by a test that failed: then the tape stays as it is."""
        self._recorder.close()
        recorded = self._recorder.interactions(self.test)
        if not recorded or (failure and not self.recorded):
            return None
        metadata = self._recorder.metadata()

        def change(cassette: Cassette) -> Cassette:
            cassette = self._scrubbed(cassette) or cassette
            if self.mode == "record-missing":
                return cassette.extended(recorded, metadata)
            return cassette.merged(recorded, self.test, metadata)

        allowed = self._settings.allow_secrets
        waiting = paths.pending(self.path)
        reason = failure or self._recorder.unanswered()
        if reason is None and not self._settings.keep_errors:
            reason = unkept_error(recorded)
        if reason is None:
            storage.update(self.path, change, allowed=allowed)
            waiting.unlink(missing_ok=True)
            return Saved("written", self.path, len(recorded))
        storage.write(waiting, change(self._cassette or Cassette()), allowed=allowed)
        return Saved("pending", waiting, len(recorded), reason)

    def _scrubbed(self, cassette: Cassette | None) -> Cassette | None:
        """``cassette`` as this recorder would have written it; what it wrote is scrubbed already."""
        if cassette is None or not cassette.is_foreign:
            return cassette
        for interaction in cassette.interactions:
            self._scrubber.learn_request(interaction.request)
            self._scrubber.learn_response(interaction.response.headers, interaction.response.body)
        interactions = tuple(
            replace(
                interaction,
                request=self._scrubber.request(interaction.request),
                response=self._scrubber.response(interaction.response),
            )
            for interaction in cassette.interactions
        )
        return Cassette(interactions, {"placeholders": sorted(self._scrubber.placeholders)})
