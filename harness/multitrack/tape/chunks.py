"""Chunks: in which parts a streamed body came, and when, told in terms of its events.

An event is what a reader of the body takes at a time: a server-sent event, a line of JSON lines, or the whole of
any other body. Of a stream whose every event was one chunk, nothing needs to be said.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from multitrack.tape import jsontext

# https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
_EVENT_END = re.compile(rb"(?<=\n\n)|(?<=\n\r\n)|(?<=\r\r)")
_LINE_END = re.compile(rb"(?<=\n)")
_ENDS = {
    "text/event-stream": _EVENT_END,
    "application/x-ndjson": _LINE_END,
    "application/ndjson": _LINE_END,
    "application/jsonl": _LINE_END,
}
_JSON_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[][{},]', re.DOTALL)
_BETWEEN_ITEMS = b" \t\r\n,]"
_STEP = 10
"""To so many milliseconds are times rounded."""
_NOTED = 100
"""So many milliseconds before an answer over gRPC, whose callers set deadlines, are noted; fewer are the network's."""


@dataclass(frozen=True, slots=True)
class Chunks:
    """How the chunks of a body differ from its events, which count from 1.

    ``joined``: events that came in one chunk with the next. ``cut``: pairs of an event and a number of bytes into it,
    where a chunk ended within the event. ``gaps``: milliseconds waited for each chunk, for the first since the
    request was sent; empty where all came at once. ``by_item``: the body is a JSON array, and its items are the events.
    """

    joined: tuple[int, ...] = ()
    cut: tuple[tuple[int, int], ...] = ()
    gaps: tuple[int, ...] = ()
    by_item: bool = False

    def split(self, body: bytes, content_type: str | None) -> list[bytes]:
        """The chunks of ``body``."""
        ends = self._ends(body, content_type)
        starts = (0, *ends)
        boundaries = {end for event, end in enumerate(ends, start=1) if event not in self.joined}
        for event, offset in self.cut:
            # an edited tape may have fewer events, or shorter ones
            if event <= len(ends) and starts[event - 1] + offset < starts[event]:
                boundaries.add(starts[event - 1] + offset)
        return [body[start:end] for start, end in pairwise(sorted({0, *boundaries, len(body)}))]

    def count_events(self, body: bytes, content_type: str | None) -> int:
        """How many events ``body`` has."""
        return len(self._ends(body, content_type))

    def adapt(self, before: bytes, after: bytes, content_type: str | None) -> Chunks:
        """The same for the body ``after``, which ``before`` became by changes within its events."""
        if before == after or self == _EVENTS:
            return self
        old, new = (_split(body, self._ends(body, content_type)) for body in (before, after))
        if len(old) != len(new):
            return _EVENTS
        cut = tuple((event, _moved(offset, old[event - 1], new[event - 1])) for event, offset in self.cut)
        return replace(self, cut=cut)

    def _ends(self, body: bytes, content_type: str | None) -> Sequence[int]:
        is_array = self.by_item or _is_grpc(content_type)
        return _item_ends(body) if is_array else _event_ends(body, content_type)


_EVENTS = Chunks()


def measure_chunks(times: Mapping[int, int], body: bytes, content_type: str | None) -> Chunks:
    """How ``body`` came: ``times`` has, for each place in it where a chunk ended, in order, the milliseconds between
    the sending of the request and that chunk."""
    is_json = body[:1] in (b"{", b"[") and (_is_named_json(content_type) or _is_json(body))
    ends = _event_ends(body, content_type)
    if is_json:
        # such a body is laid out anew on the tape: of the places in it, only those between its items can be told
        ends = _item_ends(body)
        times = _between_items(times, body, ends)
    gaps = _rounded(list(times.values()))
    # where all came at once, the only time is that of the answer, which is another each time
    at_once = not any(gaps[1:]) and not (_is_grpc(content_type) and sum(gaps) >= _NOTED)
    if len(times) < 2:
        return _EVENTS if at_once else Chunks(gaps=gaps)
    starts = (0, *ends)
    cut = [(event, place - starts[event]) for place in times for event in [bisect_right(ends, place)]]
    return Chunks(
        joined=tuple(event for event, end in enumerate(ends[:-1], start=1) if end not in times),
        cut=tuple((event + 1, offset) for event, offset in cut if offset),
        gaps=() if at_once else gaps,
        by_item=is_json and not _is_grpc(content_type),
    )


def _between_items(times: Mapping[int, int], body: bytes, ends: Sequence[int]) -> Mapping[int, int]:
    found: dict[int, int] = {}
    for place, time in times.items():
        event = bisect_right(ends, place)
        end = ends[event - 1] if event else 0
        # the bracket of a gRPC stream comes with its metadata, before any message or the end
        if body[:place].strip() == b"[":
            continue
        if not body[place:].strip(_BETWEEN_ITEMS):
            found.setdefault(len(body), time)
        elif event and not body[end:place].strip(_BETWEEN_ITEMS):
            found.setdefault(end, time)
    return found


def chunks_of_wait(milliseconds: int) -> Chunks:
    """The caller waited for so long, and nothing came."""
    return Chunks(gaps=_rounded([milliseconds]))


def _rounded(times: Sequence[int]) -> tuple[int, ...]:
    """The gaps between ``times``."""
    # each time is rounded and not each gap: many small gaps would add up to none
    rounded = [round(time / _STEP) * _STEP for time in times]
    return tuple(max(0, time - before) for before, time in pairwise((0, *rounded)))


def _event_ends(body: bytes, content_type: str | None) -> Sequence[int]:
    pattern = _ENDS.get((content_type or "").partition(";")[0].strip().lower())
    ends = {match.start() for match in pattern.finditer(body)} if pattern else set()
    return sorted({*ends, len(body)} - {0})


def _item_ends(body: bytes) -> Sequence[int]:
    """Where the items of the JSON array ``body`` end, which may lack its end; the last takes the bracket along."""
    ends: list[int] = []
    depth = 0
    for token in _JSON_TOKEN.finditer(body):
        match token[0]:
            case b"[" | b"{":
                depth += 1
            case b"]" | b"}":
                depth -= 1
            case b"," if depth == 1 and body[:1] == b"[":
                end = token.start()
                while body[end - 1] in b" \t\r\n":
                    end -= 1
                ends.append(end)
    return [*ends, len(body)]


def _is_named_json(content_type: str | None) -> bool:
    kind = (content_type or "").partition(";")[0].strip().lower()
    return kind == "application/json" or _is_grpc(content_type)


def _is_grpc(content_type: str | None) -> bool:
    """Whether the body is an array of messages, if it is any: each of them came by itself."""
    return (content_type or "").startswith("application/grpc")


def _is_json(body: bytes) -> bool:
    try:
        jsontext.parse(body)
    except ValueError:
        return False
    return True


def _split(body: bytes, ends: Sequence[int]) -> list[bytes]:
    return [body[start:end] for start, end in pairwise((0, *ends))]


def _moved(offset: int, before: bytes, after: bytes) -> int:
    """Where ``offset`` into ``before`` is in ``after``."""
    if not after.startswith(before[:offset]) and after.endswith(before[offset:]):
        return len(after) - len(before) + offset
    return offset
