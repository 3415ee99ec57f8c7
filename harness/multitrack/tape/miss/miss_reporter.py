"""Report a tape's misses. Each miss fails the test, but only the messages of the first few explain the differences."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from traceback import FrameSummary
from typing import TYPE_CHECKING

from multitrack.errors import CassetteMiss, TapeViolation
from multitrack.model_context import current_models
from multitrack.tape import miss
from multitrack.tape.answered_request import AnsweredRequest
from multitrack.tape.call_site import find_user_frames, format_call_site
from multitrack.tape.exchange import Request
from multitrack.tape.interaction import Interaction
from multitrack.tape.lost_recordings import LostRecording, RecordingSearch
from multitrack.tape.matching.canonical_request import Canonicalizer, CanonicalRequest
from multitrack.tape.matching.difference import Difference
from multitrack.tape.matching.index import RecordedEntry
from multitrack.tape.matching.matching_key import MatchingKey
from multitrack.tape.miss.nearest_recording import NearestRecording, find_nearest
from multitrack.tape.miss.wording import is_only_wording
from multitrack.tape.open_cassette import OpenCassette
from multitrack.tape.violations import Violations

if TYPE_CHECKING:
    from pydantic import BaseModel

_MAX_EXPLAINED_MISSES = 5
"""The maximum number of misses that are compared with the whole cassette.

Without a limit, code that catches hundreds of misses would wait for each comparison.
"""


@dataclass(frozen=True, slots=True)
class MissContext:
    """The facts that appear in the message for a miss.

    Args:
        shown_path: The path of the cassette, as shown in messages.
        record_hint: Returns the command that records the request.
        folder: The current directory when the tape was opened.
        rebind_hint: Returns the command that keeps a recording's answer if only the wording of its request changed,
            or None if there is no such command.
    """

    shown_path: Path
    record_hint: Callable[[], str]
    folder: Path
    rebind_hint: Callable[[], str | None] = lambda: None


@dataclass(frozen=True, slots=True)
class MissedRequest:
    """A request that no recording matches exactly.

    Args:
        violation: The miss. None if a recording with different wording has answered the request.
        request: The request as it would be stored in a cassette.
        nearest: The position of the nearest recording in the cassette, from 1. None if there is none, or if it is
            unknown.
        is_only_wording: Whether the request differs from the nearest recording only in its wording.
        moved_from: The test's old and new name, if the test was renamed and the request was recorded under the old
            name. None otherwise.
    """

    violation: TapeViolation | None
    request: Request
    nearest: int | None = None
    is_only_wording: bool = False
    moved_from: tuple[str, str] | None = None


class MissReporter:
    """The reporter of one tape's misses. A miss is a request that no recording matches."""

    def __init__(
        self,
        context: MissContext,
        violations: Violations,
        canonicalizer: Canonicalizer,
        cassette: OpenCassette,
        create_search: Callable[[], RecordingSearch],
    ) -> None:
        """Create the reporter.

        Args:
            context: Facts about the tape and the test, for the messages.
            violations: The tape's violations.
            canonicalizer: Removes the parts of a request that are not compared.
            cassette: The recordings.
            create_search: Returns a search for the request's recordings in other cassettes.
        """
        self._context = context
        self._violations = violations
        self._canonicalizer = canonicalizer
        self._cassette = cassette
        self._create_search = create_search
        self._count = 0
        self._claimed: dict[int, MatchingKey] = {}
        self.missed: list[MissedRequest] = []
        """The requests without a recording, in order."""

    def add_miss(self, sent: CanonicalRequest) -> CassetteMiss:
        """Fail the test because ``sent`` has no recording, and return the miss to raise."""
        # counted before it is explained: if the explanation fails, the miss is not lost
        where = f"cassette: {self._context.shown_path}"
        violation = CassetteMiss(f"{sent.request.method} {sent.request.url} has no recording\n  {where}")
        violation.body = sent.request.body
        self._violations.add(violation)
        try:
            nearest = self._find_nearest(sent) if self._count < _MAX_EXPLAINED_MISSES else None
            can_rebind = self._can_rebind(sent, nearest)
            hint = self._context.rebind_hint() if can_rebind else None
            lost = self._find_lost(sent)
            explained = self._build_miss(sent, nearest, lost, current_models(), violation.frames, hint)
            violation.args, violation.finding = explained.args, explained.finding
            violation.facts = explained.facts
            position = None if nearest is None else nearest.entry.position
            moved_from = None if lost is None else lost.moved_from
            self.missed.append(MissedRequest(violation, sent.request, position, can_rebind, moved_from))
        except Exception as error:
            violation.args = (f"{violation}\n  the miss cannot be explained: {type(error).__name__}: {error}",)
            self.missed.append(MissedRequest(violation, sent.request))
        self._count += 1
        return violation

    def add_divergence(
        self, request: Request, reason: str, found: Sequence[Difference], *, might_go_live: bool
    ) -> CassetteMiss:
        """Fail the test because a streaming ``request`` no longer matches a recording, and return the miss to raise.

        Args:
            request: The redacted request.
            reason: Why the request no longer matches.
            found: The differences in the request's last message.
            might_go_live: Whether the mode sends unrecorded requests to the provider.
        """
        violation = miss.build_divergence(
            request,
            reason,
            found,
            path=self._context.shown_path,
            record_hint=self._context.record_hint(),
            might_go_live=might_go_live,
            call_site=self._format_call_site(find_user_frames()),
        )
        self._violations.add(violation)
        self.missed.append(MissedRequest(violation, request))
        return violation

    def explain(self, interaction: Interaction) -> CassetteMiss:
        """Return the miss that the request of a live ``interaction`` would have caused in a replay."""
        sent = self._canonicalizer.canonicalize_redacted(interaction.request)
        return self._build_miss(sent, self._find_nearest(sent), self._find_lost(sent), interaction.offered_models)

    def _find_lost(self, sent: CanonicalRequest) -> LostRecording | None:
        """Return a recording in another cassette that matches ``sent``. None if there is none."""
        lookup = self._cassette.lookup
        played = lookup.state.find_played(sent.key) if lookup is not None else ()
        return self._create_search().find(sent.key, played=len(played))

    def _find_played(self, sent: CanonicalRequest) -> Sequence[RecordedEntry]:
        """Return the recordings that match ``sent`` but have all been replayed already."""
        if (lookup := self._cassette.lookup) is None:
            return ()
        played = lookup.state.find_played(sent.key)
        if accepted := [entry for entry in played if lookup.find_rejection(sent.request, entry) is None]:
            return accepted
        others = lookup.find_over_other_transports(sent)
        matching = others.matching_entries if others is not None else ()
        return [entry for entry in matching if lookup.state.is_played(entry)]

    def _find_nearest(self, sent: CanonicalRequest) -> NearestRecording | None:
        if (lookup := self._cassette.lookup) is None or self._find_played(sent):
            return None
        claimed = [position for position, key in self._claimed.items() if key != sent.key]
        others = lookup.find_over_other_transports(sent)
        strip = self._canonicalizer.rules.strip_ignored
        is_own = self._cassette.is_own
        return find_nearest(sent.request, sent.key, lookup.state, strip, others, is_own=is_own, claimed=claimed)

    def find_reworded(self, sent: CanonicalRequest) -> NearestRecording | None:
        """Return the recording that differs from ``sent`` only in wording. None if its answer cannot be kept."""
        nearest = self._find_nearest(sent)
        return nearest if self._can_rebind(sent, nearest) else None

    def list_reworded(self, answered: Iterable[AnsweredRequest]) -> Iterator[MissedRequest]:
        """Yield the answered requests that differ from their recordings only in their wording.

        By default, there are no such requests, because a recording only answers equal requests. Such requests are
        possible if the tape's settings exclude parts of a request from the comparison.
        """
        if (lookup := self._cassette.lookup) is None:
            return
        strip = replace(self._canonicalizer.rules, match_on=(), matchers=()).strip_ignored
        for one in answered:
            entry = lookup.index.entries[one.position - 1]
            recorded = entry.interaction.request
            if recorded.body != one.sent.body and self._cassette.may_rebind(entry):
                is_moved = recorded.url != one.sent.url
                if is_only_wording(NearestRecording(entry, strip(recorded), strip(one.sent), is_moved)):
                    yield MissedRequest(None, one.sent, one.position, is_only_wording=True)

    def _can_rebind(self, sent: CanonicalRequest, nearest: NearestRecording | None) -> bool:
        """Return whether the ``nearest`` recording can keep its answer if ``sent`` replaces its request."""
        lookup = self._cassette.lookup
        if nearest is None or lookup is None or not self._cassette.may_rebind(nearest.entry):
            return False
        if nearest.is_played:
            return False
        is_claimed = self._claimed.get(nearest.entry.position, sent.key) != sent.key
        if is_claimed or not is_only_wording(nearest) or lookup.find_rejection(sent.request, nearest.entry) is not None:
            return False
        self._claimed[nearest.entry.position] = sent.key
        return True

    def _build_miss(
        self,
        sent: CanonicalRequest,
        nearest: NearestRecording | None,
        lost: LostRecording | None,
        models: Mapping[str, type[BaseModel]],
        frames: Sequence[FrameSummary] = (),
        rebind_hint: str | None = None,
    ) -> CassetteMiss:
        lookup, is_brief = self._cassette.lookup, self._count >= _MAX_EXPLAINED_MISSES
        return miss.build_miss(
            sent.request,
            None if lookup is None else lookup.index,
            path=self._context.shown_path,
            record_hint=self._context.record_hint(),
            played=self._find_played(sent),
            nearest=nearest,
            call_site=self._format_call_site(frames),
            lost=lost,
            offered=models,
            find_rejection=lookup.find_rejection if lookup is not None else lambda _request, _entry: None,
            others=None if lookup is None or is_brief else lookup.find_over_other_transports(sent),
            brief=is_brief,
            rebind_hint=rebind_hint,
        )

    def _format_call_site(self, frames: Sequence[FrameSummary]) -> str | None:
        return format_call_site(frames, str(self._context.folder))
