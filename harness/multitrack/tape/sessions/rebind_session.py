"""Replay mode with ``--calls-rebind``: a recording is also replayed for a request whose wording changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from multitrack.model_context import current_models
from multitrack.tape.answered_request import AnsweredRequest
from multitrack.tape.exchange import Replay, Request
from multitrack.tape.file.rebinding import Rebinding
from multitrack.tape.matching.canonical_request import CanonicalRequest
from multitrack.tape.miss.nearest_recording import NearestRecording
from multitrack.tape.sessions.replay_session import ReplaySession


class RebindSession(ReplaySession):
    """A session that replays recordings, and collects those whose requests have been reworded."""

    def __init__(self, *arguments: Any, test: str | None, **options: Any) -> None:
        """Create the session. ``test`` is the test that sends the requests."""
        super().__init__(*arguments, **options)
        self._test = test
        self.reworded: list[NearestRecording] = []
        """The recordings that answered a request with different wording."""
        self.rebindings: list[Rebinding] = []
        """The changes to the cassette, which are only written if the test passes."""

    def _find_replay(self, request: Request, sent: CanonicalRequest) -> Replay | None:
        return super()._find_replay(request, sent) or self._rebind(request, sent)

    def _rebind(self, request: Request, sent: CanonicalRequest) -> Replay | None:
        if self._lookup is None or (found := self._misses.find_reworded(sent)) is None:
            return None
        entry = self._lookup.state.mark_played(found.entry, sent.key)
        self._answered.append(AnsweredRequest(sent.request, request.headers, entry.position))
        rebinding = Rebinding(entry.interaction, sent.request.body, self._test, frozenset(sent.pseudonyms))
        if entry.position not in {one.entry.position for one in self.reworded}:  # a test may rewind its tape
            self.reworded.append(found)
            self.rebindings.append(rebinding)
        interaction = replace(rebinding.result, offered_models=current_models())
        return self._play(interaction, interaction.replayed_response, request.header("accept-encoding"))
