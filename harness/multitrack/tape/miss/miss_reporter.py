"""Report the misses of a tape: each fails the test, and the first ones are explained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from traceback import FrameSummary
from typing import TYPE_CHECKING

from multitrack.errors import CassetteMiss
from multitrack.model_context import current_models
from multitrack.tape import miss
from multitrack.tape.call_site import find_user_frames, format_call_site
from multitrack.tape.exchange import Request
from multitrack.tape.interaction import Interaction
from multitrack.tape.lost_recordings import RecordingSearch
from multitrack.tape.matching.canonical_request import Canonicalizer, CanonicalRequest
from multitrack.tape.matching.difference import Difference
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
    """The facts that the messages of misses contain.

    Args:
        shown_path: The cassette, as it is shown to the user.
        record_hint: The command that records the request.
        folder: The current directory when the tape was opened.
    """

    shown_path: Path
    record_hint: str
    folder: Path


class MissReporter:
    """Reports the requests of one tape that no recording matches."""

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
            context: The facts that messages contain.
            violations: The violations of the tape.
            canonicalizer: Knows the parts of a request that are not compared.
            cassette: The recordings.
            create_search: Returns the search for recordings of the request in other cassettes.
        """
        self._context = context
        self._violations = violations
        self._canonicalizer = canonicalizer
        self._cassette = cassette
        self._create_search = create_search
        self._count = 0

    def add_miss(self, sent: CanonicalRequest) -> CassetteMiss:
        """Fail the test because ``sent`` has no recording, and return the miss to raise."""
        # counted before it is explained: if the explanation fails, the miss is not lost
        where = f"cassette: {self._context.shown_path}"
        violation = CassetteMiss(f"{sent.request.method} {sent.request.url} has no recording\n  {where}")
        violation.body = sent.request.body
        self._violations.add(violation)
        try:
            explained = self._build_miss(sent, current_models(), violation.frames)
            violation.args, violation.finding = explained.args, explained.finding
        except Exception as error:
            violation.args = (f"{violation}\n  the miss cannot be explained: {type(error).__name__}: {error}",)
        self._count += 1
        return violation

    def add_divergence(
        self, request: Request, reason: str, found: Sequence[Difference], *, might_go_live: bool
    ) -> CassetteMiss:
        """Fail the test because a streaming ``request`` stopped matching, and return the miss to raise.

        Args:
            request: The redacted request.
            reason: Why it stopped matching.
            found: The differences in its last message.
            might_go_live: Whether the mode sends missing requests to the provider.
        """
        violation = miss.build_divergence(
            request,
            reason,
            found,
            path=self._context.shown_path,
            record_hint=self._context.record_hint,
            might_go_live=might_go_live,
            call_site=self._format_call_site(find_user_frames()),
        )
        self._violations.add(violation)
        return violation

    def explain(self, interaction: Interaction) -> CassetteMiss:
        """Return the miss that a live ``interaction`` would have been on replay."""
        sent = self._canonicalizer.canonicalize_redacted(interaction.request)
        return self._build_miss(sent, interaction.offered_models)

    def _build_miss(
        self, sent: CanonicalRequest, models: Mapping[str, type[BaseModel]], frames: Sequence[FrameSummary] = ()
    ) -> CassetteMiss:
        lookup, is_brief = self._cassette.lookup, self._count >= _MAX_EXPLAINED_MISSES
        played = lookup.index.find_played(sent.key) if lookup is not None else ()
        return miss.build_miss(
            sent.request,
            sent.key,
            None if lookup is None else lookup.index,
            path=self._context.shown_path,
            record_hint=self._context.record_hint,
            call_site=self._format_call_site(frames),
            lost=self._create_search().find(sent.key, played=len(played)),
            offered=models,
            strip=self._canonicalizer.rules.strip_ignored,
            find_rejection=lookup.find_rejection if lookup is not None else lambda _request, _entry: None,
            others=None if lookup is None or is_brief else lookup.find_over_other_transports(sent),
            brief=is_brief,
        )

    def _format_call_site(self, frames: Sequence[FrameSummary]) -> str | None:
        return format_call_site(frames, str(self._context.folder))
