"""After a miss, find the recording that is nearest to the request, and the differences between the two."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any, TypeVar

from multitrack.tape.exchange import Request
from multitrack.tape.matching.cross_transport import CrossTransportCandidates
from multitrack.tape.matching.difference import Difference, find_differences
from multitrack.tape.matching.index import RecordedEntry
from multitrack.tape.matching.matching_key import MatchingKey
from multitrack.tape.matching.replay_state import ReplayState
from multitrack.tape.miss import bodies

T = TypeVar("T")
Text = TypeVar("Text", str, bytes)

# comparing this many characters in detail takes a few hundredths of a second
_MAX_COMPARED = 1_000_000


@dataclass(frozen=True)
class NearestRecording:
    """The recording that is nearest to the sent request.

    Parts that are not compared are removed from ``recorded`` and ``sent``.

    ``moved``: whether the URLs differ. ``transport``: the transport of the recording, if the request was sent over a
    different one. ``is_played``: whether the recording has already been replayed.
    """

    entry: RecordedEntry
    recorded: Request
    sent: Request
    moved: bool
    transport: str = ""
    is_played: bool = False

    @cached_property
    def documents(self) -> tuple[Any, Any]:
        """The recorded and the sent body, parsed."""
        return bodies.parse_body(self.recorded), bodies.parse_body(self.sent)

    @cached_property
    def differences(self) -> Sequence[Difference]:
        """The differences between the two bodies."""
        return list(find_differences(*self.documents))

    @property
    def count(self) -> int:
        """The number of places in which the two requests differ."""
        return len(self.differences) + self.moved + (self.formats is not None)

    @cached_property
    def formats(self) -> tuple[str, str] | None:
        """The formats of the two bodies, if only the formats differ. None otherwise."""
        formats = bodies.name_format(self.documents[0]), bodies.name_format(self.documents[1])
        return formats if not self.differences and formats[0] != formats[1] else None


def find_nearest(
    request: Request,
    key: MatchingKey,
    state: ReplayState,
    strip: Callable[[Request], Request],
    others: CrossTransportCandidates | None = None,
    *,
    is_own: Callable[[RecordedEntry], bool] = lambda _: True,
    claimed: Collection[int] = (),
) -> NearestRecording | None:
    """Return the recording that is nearest to ``request``. None if there is no recording of the same operation.

    Args:
        request: The request, after redaction.
        key: The matching key of the request.
        state: The recordings, and which of them were replayed.
        strip: Removes the parts of a request that are not compared.
        others: The recordings of the same method over other transports.
        is_own: Returns whether a recording belongs to the test that sent the request. If several recordings are equally
            near, one that belongs to the test is preferred.
        claimed: The positions of recordings that are nearest to other requests. If several recordings are equally near,
            one that is not claimed is preferred.
    """
    candidates = [*_find_candidates(strip(request), key, state, strip)]
    if others is not None:
        candidates += _find_candidates_over_others(others, state, strip)

    def rank(one: NearestRecording) -> tuple[bool, int, bool, bool, int]:
        entry = one.entry
        return one.is_played, one.count, not is_own(entry), entry.position in claimed, entry.position

    return min(candidates, key=rank, default=None)


def _find_candidates(
    request: Request, key: MatchingKey, state: ReplayState, strip: Callable[[Request], Request]
) -> Iterator[NearestRecording]:
    entries = [e for e in state.index.entries if e.key.method == key.method and _is_same_operation(e.key, key)]
    waiting = [entry for entry in entries if not state.is_played(entry)] or entries
    for entry in _limit_to_likely([(entry, entry.key.body) for entry in waiting], key.body):
        recorded = strip(entry.interaction.request.without_messages)
        is_moved = not entry.has_same_url(key)
        yield NearestRecording(entry, recorded, request, is_moved, is_played=state.is_played(entry))


def _find_candidates_over_others(
    others: CrossTransportCandidates, state: ReplayState, strip: Callable[[Request], Request]
) -> Iterator[NearestRecording]:
    sent = strip(others.request)
    for entry, call in _limit_to_likely([(one, one[1].body) for one in others.recorded], others.request.body):
        transport = "gRPC" if entry.interaction.request.url.startswith("grpc:") else "REST"
        is_moved = not entry.has_same_url(others.key)
        yield NearestRecording(entry, strip(call), sent, is_moved, transport, state.is_played(entry))


def _limit_to_likely(found: Sequence[tuple[T, Text]], sent: Text) -> Sequence[T]:
    """Return the items of ``found`` whose texts are most likely similar to ``sent``.

    All items are returned if a detailed comparison of all texts would be fast. Otherwise, texts that begin and end
    like ``sent`` are preferred.
    """
    if sum(len(text) for _, text in found) > _MAX_COMPARED:
        found = sorted(found, key=lambda one: len(one[1]) - 2 * _count_shared(one[1], sent))
        sizes = accumulate(len(text) for _, text in found)
        found = [one for one, size in zip(found, sizes, strict=True) if size <= _MAX_COMPARED] or found[:1]
    return [one for one, _ in found]


def _count_shared(one: Text, other: Text) -> int:
    """Return how many characters two strings share at the beginning, plus how many they share at the end."""
    limit = min(len(one), len(other))
    begin = bisect_left(range(limit), True, key=lambda count: one[: count + 1] != other[: count + 1])
    rest = limit - begin
    return begin + bisect_left(range(rest), True, key=lambda count: one[-count - 1 :] != other[-count - 1 :])


def _is_same_operation(recorded: MatchingKey, sent: MatchingKey) -> bool:
    # in every provider's API, the last segment of the path names the operation
    return recorded.target.partition("?")[0].rpartition("/")[2] == sent.target.partition("?")[0].rpartition("/")[2]
