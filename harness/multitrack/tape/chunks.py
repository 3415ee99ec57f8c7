"""Chunks: the parts in which a streamed body arrived.

A body consists of events. An event is a server-sent event, a line of a JSON Lines body, or an item of a JSON array.
In any other format, the whole body is one event.

The times between the chunks are stored, and the places where the chunks do not end at the same offset as the events.
If every event arrived as one chunk, and all at once, nothing is stored.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from multitrack.tape import jsontext

_LINE_END = (b"\n",)
_ENDS = {
    # https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
    "text/event-stream": (b"\n\n", b"\n\r\n", b"\r\r"),
    "application/x-ndjson": _LINE_END,
    "application/ndjson": _LINE_END,
    "application/jsonl": _LINE_END,
    # stored as lines, see `event_framing`
    "application/vnd.amazon.eventstream": _LINE_END,
}
"""The marks at the end of an event, by content type."""
_JSON_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[][{},]', re.DOTALL)
_BETWEEN_ITEMS = b" \t\r\n,]"
_REST_OF_ITEM = re.compile(rb"[%b]*" % re.escape(_BETWEEN_ITEMS))
_FIRST_BRACKET = re.compile(rb"\s*\[\s*")
_STEP = 10
"""Times are rounded to multiples of this many milliseconds."""
_MIN_WAIT = 500
_MIN_GRPC_WAIT = 100
"""The milliseconds from which the wait for a response that arrives in one piece is stored.

Shorter waits are due to the network. The limit for gRPC is lower, because its callers set deadlines.
"""


@dataclass(frozen=True, slots=True)
class Chunks:
    """The boundaries of a body's chunks, stored as differences from the boundaries of its events.

    Events are counted from 1.
    """

    joined: tuple[int, ...] = ()
    """The events that arrived in the same chunk as the next event."""
    cut: tuple[tuple[int, int], ...] = ()
    """The chunks that ended within an event: pairs of an event and the offset in this event, in bytes."""
    gaps: tuple[int, ...] = ()
    """The milliseconds before each chunk; before the first, the time since the request was sent.

    Empty if all chunks arrived together after a short wait.
    """
    by_item: bool = False
    """True if the events are the items of a JSON array."""

    def split(self, body: bytes, content_type: str | None) -> list[bytes]:
        """Return the chunks of ``body``."""
        ends = self._find_ends(body, content_type)
        if not self.joined and not self.cut:
            return _split(body, ends) if body else []
        starts = (0, *ends)
        joined = frozenset(self.joined)
        boundaries = {end for event, end in enumerate(ends, start=1) if event not in joined}
        for event, offset in self.cut:
            # an edited cassette may have fewer or shorter events
            if event <= len(ends) and starts[event - 1] + offset < starts[event]:
                boundaries.add(starts[event - 1] + offset)
        return [body[start:end] for start, end in pairwise(sorted({0, *boundaries, len(body)}))]

    def count_events(self, body: bytes, content_type: str | None) -> int:
        """Return the number of events in ``body``."""
        return len(self._find_ends(body, content_type))

    def adapt(self, before: bytes, after: bytes, content_type: str | None) -> Chunks:
        """Return these chunks for the body ``after``, a copy of ``before`` in which some events were changed."""
        if before == after or self == _EVENTS:
            return self
        old, new = (_split(body, self._find_ends(body, content_type)) for body in (before, after))
        if len(old) != len(new):
            return _EVENTS
        cut = tuple((event, _move_offset(offset, old[event - 1], new[event - 1])) for event, offset in self.cut)
        return replace(self, cut=cut)

    def _find_ends(self, body: bytes, content_type: str | None) -> Sequence[int]:
        is_array = self.by_item or _is_grpc(content_type)
        return _find_item_ends(body) if is_array else _find_event_ends(body, content_type)


_EVENTS = Chunks()


def measure_chunks(times: Mapping[int, int], body: bytes, content_type: str | None) -> Chunks:
    """Return the chunks of a live ``body``.

    Args:
        times: When each chunk arrived, in milliseconds since the request. The keys are the offsets at which the chunks
            ended, in order.
        body: The decoded body.
        content_type: The content type of the body.
    """
    is_json = body[:1] in (b"{", b"[") and (_is_named_json(content_type) or jsontext.is_json(body))
    ends = _find_event_ends(body, content_type)
    if is_json:
        # the cassette indents such a body: only the offsets between its items can be stored
        ends = _find_item_ends(body)
        times = _select_item_ends(times, body, ends)
    gaps = _round_gaps(list(times.values()))
    at_once = not any(gaps[1:]) and sum(gaps) < (_MIN_GRPC_WAIT if _is_grpc(content_type) else _MIN_WAIT)
    if len(times) < 2:
        return _EVENTS if at_once else Chunks(gaps=gaps)
    starts = (0, *ends)
    cut = [(event, offset - starts[event]) for offset in times for event in [bisect_right(ends, offset)]]
    return Chunks(
        joined=tuple(event for event, end in enumerate(ends[:-1], start=1) if end not in times),
        cut=tuple((event + 1, offset) for event, offset in cut if offset),
        gaps=() if at_once else gaps,
        by_item=is_json and not _is_grpc(content_type),
    )


def _select_item_ends(times: Mapping[int, int], body: bytes, ends: Sequence[int]) -> Mapping[int, int]:
    found: dict[int, int] = {}
    bracket = _FIRST_BRACKET.match(body)
    # the offsets are compared with matches, because slices of a large body would take quadratic time
    first_item, last_end = bracket.end() if bracket else 0, len(body.rstrip(_BETWEEN_ITEMS))
    for offset, time in times.items():
        event = bisect_right(ends, offset)
        # the opening bracket of a gRPC stream arrives with its metadata, before any message or the end
        if offset <= first_item and body[:offset].strip() == b"[":
            continue
        if offset >= last_end:
            found.setdefault(len(body), time)
        elif event and (rest := _REST_OF_ITEM.match(body, ends[event - 1])) and offset <= rest.end():
            found.setdefault(ends[event - 1], time)
    return found


def chunks_of_wait(milliseconds: int) -> Chunks:
    """Return the chunks of a response that never arrived, although the caller waited for it."""
    return Chunks(gaps=_round_gaps([milliseconds]))


def _round_gaps(times: Sequence[int]) -> tuple[int, ...]:
    """Return the rounded gaps between ``times``."""
    # round each time and not each gap: otherwise many small gaps would add up to zero
    rounded = [round(time / _STEP) * _STEP for time in times]
    return tuple(max(0, time - previous) for previous, time in pairwise((0, *rounded)))


def _find_event_ends(body: bytes, content_type: str | None) -> Sequence[int]:
    """Return the offsets at which the events end. The marks at the ends of events can overlap."""
    marks = _ENDS.get((content_type or "").partition(";")[0].strip().lower(), ())
    ends = [end for mark in marks if mark in body for end in _find_all(body, mark)]
    if len(marks) > 1:
        ends = sorted(set(ends))
    return [*ends, len(body)] if body and ends[-1:] != [len(body)] else ends


def _find_all(body: bytes, mark: bytes) -> Iterator[int]:
    """Yield the end of each occurrence of ``mark``, including overlapping ones."""
    position = body.find(mark)
    while position >= 0:
        yield position + len(mark)
        position = body.find(mark, position + 1)


def _find_item_ends(body: bytes) -> Sequence[int]:
    """Return the offset at which each item of a JSON array ends. The array may be incomplete.

    The closing bracket belongs to the last item.
    """
    ends: list[int] = []
    if body[:1] != b"[":
        return [len(body)]
    depth = 0
    for token in _JSON_TOKEN.finditer(body):
        match token[0]:
            case b"[" | b"{":
                depth += 1
            case b"]" | b"}":
                depth -= 1
            case b"," if depth == 1:
                end = token.start()
                while body[end - 1] in b" \t\r\n":
                    end -= 1
                ends.append(end)
    return [*ends, len(body)]


def _is_named_json(content_type: str | None) -> bool:
    kind = (content_type or "").partition(";")[0].strip().lower()
    return kind == "application/json" or _is_grpc(content_type)


def _is_grpc(content_type: str | None) -> bool:
    """Return whether the body comes from a gRPC call. The messages of a streamed gRPC response are stored as a JSON
    array.
    """
    return (content_type or "").startswith("application/grpc")


def _split(body: bytes, ends: Sequence[int]) -> list[bytes]:
    return [body[start:end] for start, end in pairwise((0, *ends))]


def _move_offset(offset: int, before: bytes, after: bytes) -> int:
    """Return the offset in ``after`` that corresponds to ``offset`` in ``before``."""
    if not after.startswith(before[:offset]) and after.endswith(before[offset:]):
        return len(after) - len(before) + offset
    return offset
