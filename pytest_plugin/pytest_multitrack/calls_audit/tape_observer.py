"""Observe, for an audit, which recorded request Multitrack's own replay chooses for each request of a test.

The bodies of the two requests are equal, unless ``match_on`` is set or the test follows vcrpy's rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from multitrack.audit.comparison import FEATURE_HEADERS
from multitrack.audit.observed import ObservedCassette, ObservedPair
from multitrack.tape.exchange import Headers, Request
from multitrack.tape.recording_scope import TapeResult

_CLIENT_HEADERS = ("user-agent",)


class TapeObserver:
    """An observer that compares the requests of this process's closed tapes with their recordings."""

    def __init__(self, show_path: Callable[[str], str]) -> None:
        """Create the observer. ``show_path`` returns a path as it is shown to the user."""
        self._show_path = show_path
        self._cassettes: dict[str, ObservedCassette] = {}

    def list_pairs(self, results: Iterable[TapeResult], test: str) -> Iterator[ObservedPair]:
        """Yield each live request of the tapes that ``test`` has closed, with the recorded request that answered it."""
        for result in results:
            yield from self._list_pairs(result, test)

    def _list_pairs(self, result: TapeResult, test: str) -> Iterator[ObservedPair]:
        tape = result.tape
        name = result.scope.name if result.scope is not None else test
        if tape.replay_lookup is None or tape.mode != "replay":
            return
        entries = tape.replay_lookup.index.entries
        path = str(tape.path)
        if (cassette := self._cassettes.get(path)) is None:
            cassette = ObservedCassette(self._show_path(path), (), recorder="multitrack")
            self._cassettes[path] = cassette
        if len(cassette.recordings) < len(entries):
            cassette.recordings = [entry.interaction.request for entry in entries]
        cassette.ignore = tape.settings.ignore
        cassette.tests.add(name)
        cassette.played |= {position - 1 for position in tape.played_positions}
        if tape.sent:
            cassette.asked.add(name)
        for one in tape.answered_requests:
            entry = entries[one.position - 1]
            recorded, sent = entry.interaction.request, one.sent
            original = entry.interaction.stored_request
            if recorded.body != sent.body and original is not None:
                # redacted requests lack the headers that name the client
                names = (*FEATURE_HEADERS, *_CLIENT_HEADERS)
                recorded = _with_headers(recorded, original.headers, names)
                sent = _with_headers(sent, one.headers, names)
            yield ObservedPair(name, cassette, one.position - 1, sent, recorded, entry.interaction.response.body)

    def take_cassettes(self) -> Iterable[ObservedCassette]:
        """Return all cassettes that the run used so far."""
        return self._cassettes.values()


def _with_headers(request: Request, headers: Headers, names: Iterable[str]) -> Request:
    added = tuple((name, value) for name, value in headers if name in names and request.header(name) is None)
    return replace(request, headers=(*request.headers, *added))
