"""Release the calls in a streamed answer, one by one and in the order of the answer."""

from __future__ import annotations

from typing import Any, Generic, Protocol, TypeVar

from multitrack.tool_call import ToolCall

CallFields = tuple[str | None, str, str | None]
"""The id, the name and the arguments of a call."""


class StreamedCall(Protocol):
    """A call whose fragments arrive one after the other."""

    @property
    def order(self) -> tuple[Any, ...]:
        """The position of the call in the answer, as a sort key."""

    @property
    def fields(self) -> CallFields:
        """The parts of the id, name and arguments that have arrived."""

    @property
    def is_empty(self) -> bool:
        """True if no part of the call has arrived yet."""

    @property
    def is_complete(self) -> bool:
        """True if no later fragment can change the call."""


C = TypeVar("C", bound=StreamedCall)


class CallQueue(Generic[C]):
    """A queue that releases a call as soon as this call and all calls before it are complete.

    A call is released only once and never changes after that. The released calls of a stream are always the first
    calls of its answer.
    """

    def __init__(self) -> None:
        self._released: list[ToolCall] = []
        self._released_from: list[C] = []
        self._waiting: list[C] = []

    def add(self, call: C) -> None:
        """Add a call whose first fragment has arrived."""
        self._waiting.append(call)

    def release(self, *, is_last: bool = False) -> list[ToolCall]:
        """Release the calls that are complete and have no incomplete call before them.

        Args:
            is_last: Whether the answer is complete. If it is, an incomplete call does not hold back later calls.
        """
        start = len(self._released)
        for call in self._in_order():
            if call.is_complete:
                self._waiting.remove(call)
                self._released_from.append(call)
                self._released.append(ToolCall(*call.fields, len(self._released)))
            elif not (is_last or call.is_empty):
                break
        return self._released[start:]

    def calls(self) -> tuple[ToolCall, ...]:
        """Return the calls so far, including those that are still incomplete."""
        waiting = [call.fields for call in self._in_order() if not call.is_empty]
        return (*self._released, *(ToolCall(*fields, len(self._released) + n) for n, fields in enumerate(waiting)))

    def ordered_calls(self) -> list[C]:
        """Return the streamed calls, in the same order as ``calls``."""
        return [*self._released_from, *(call for call in self._in_order() if not call.is_empty)]

    def _in_order(self) -> list[C]:
        return sorted(self._waiting, key=lambda call: call.order)
