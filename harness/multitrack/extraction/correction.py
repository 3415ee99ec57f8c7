"""Asking again: the good calls are kept, and the corrected ones take the places of the bad ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Generic, NamedTuple, TypeVar

from multitrack.errors import ExtractionError, UnknownTool
from multitrack.extraction.extraction import Extraction
from multitrack.extraction.judgement import BadCall
from multitrack.extraction.reader import Reader, Verdict
from multitrack.toolcall import ToolCall
from multitrack.wires import ToolResult, WireAnswer

T = TypeVar("T")


class FollowUp(NamedTuple):
    """What the model is told before it is asked again: a result for each call that it just made, in order, and a
    remark about bad calls of an earlier answer that it left as they were."""

    results: list[ToolResult]
    remark: str | None


class Correction(Generic[T]):
    """Reads the answers to one question, and asks again while calls are bad, ``max_retries`` times at most.

    An answer that is itself at fault (refused, cut off, without any call) is not asked for again: it has no
    bad call that could be sent back.
    """

    def __init__(self, reader: Reader[T], max_retries: int) -> None:
        self._reader = reader
        self._left = max_retries
        self._last: Verdict | None = None
        self._attempts: tuple[ExtractionError, ...] = ()

    def take(self, answer: WireAnswer, *, raw: Any, usage: Any) -> Extraction[T] | FollowUp:
        """The result, or what to ask next. Raises what `Toolset.extract` raises, with the earlier ``attempts``."""
        made: Sequence[ToolCall] = answer.calls
        if self._last is not None:
            calls, made = _merged(self._last, answer.calls)
            answer = replace(answer, calls=tuple(calls))
        verdict = self._reader.read(answer, raw=raw, usage=usage)
        if verdict.bad and verdict.flaw is None and self._left > 0:
            return self._follow_up(verdict, made)
        verdict.extraction.attempts = self._attempts
        if verdict.problem is not None and self._attempts:
            verdict.problem.attempts = self._attempts
            verdict.problem.add_note(f"asked {len(self._attempts) + 1} times; .attempts holds the earlier answers")
        return self._reader.settled(verdict)

    def _follow_up(self, verdict: Verdict, made: Sequence[ToolCall]) -> FollowUp:
        self._left -= 1
        self._last = verdict
        self._reader.keep(verdict)
        self._attempts += (verdict.problem,) if verdict.problem else ()
        errors = {id(error.call): error for error in verdict.bad}
        results = [_result(call, errors.pop(id(call), None)) for call in made]
        return FollowUp(results, _remark(list(errors.values())))


def _merged(last: Verdict, fresh: Sequence[ToolCall]) -> tuple[list[ToolCall], list[ToolCall]]:
    """All calls, with ``fresh`` ones in the places of the bad ones; and ``fresh`` ones as they stand there.

    A call goes to a bad one of its own name, else to one of a tool that was not offered, else to the first bad
    one that is left, else behind all others.
    """
    calls = list(last.extraction.calls)
    bad = {id(error.call): error for error in last.bad}
    places = [place for place, call in enumerate(calls) if id(call) in bad]
    # a call with bad arguments is made again by its name; it is a wrong name that another one corrects
    places.sort(key=lambda place: not isinstance(bad[id(calls[place])], UnknownTool))
    accepted = [_meaning(call) for call in calls if id(call) not in bad]
    made = list(fresh)
    corrected = list(range(len(fresh)))
    if len(fresh) > len(places):
        # the model made accepted calls once more, though it was told not to
        corrected = [number for number in corrected if not _taken(_meaning(fresh[number]), accepted)]
    named = {number: place for number in corrected if (place := _namesake(fresh[number], calls, places)) is not None}
    for number in corrected:
        place = named.get(number)
        if place is None and places:
            place = places.pop(0)
        if place is None:
            place = len(calls)
            calls.append(fresh[number])
        calls[place] = made[number] = replace(fresh[number], index=place)
    return calls, made


def _namesake(call: ToolCall, calls: Sequence[ToolCall], places: list[int]) -> int | None:
    """The first of ``places`` with a call of the same name, which is then taken."""
    place = next((place for place in places if calls[place].name == call.name), None)
    if place is not None:
        places.remove(place)
    return place


def _meaning(call: ToolCall) -> tuple[str, Any]:
    try:
        return call.name, json.loads(call.arguments or "{}")
    except ValueError:
        return call.name, call.arguments


def _taken(meaning: tuple[str, Any], accepted: list[tuple[str, Any]]) -> bool:
    if meaning not in accepted:
        return False
    accepted.remove(meaning)
    return True


def _result(call: ToolCall, error: BadCall | None) -> ToolResult:
    if error is None:
        return ToolResult(call, True, "accepted; do not make this call again")
    return ToolResult(call, False, f"rejected: {error}\nMake this call again, corrected.")


def _remark(left: Sequence[BadCall]) -> str | None:
    """What is said about bad calls that the last answer did not make again."""
    if not left:
        return None
    head = "These calls were rejected, and are still to be made, corrected:"
    return "\n".join([head, *(f"- {error}" for error in left)])
