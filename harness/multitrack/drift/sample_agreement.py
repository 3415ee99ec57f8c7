"""How often several live answers to one request agree with the recorded one, field by field."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from multitrack.drift.response_drift import ResponseDrift
from multitrack.snapshots.comparison import CallComparison
from multitrack.snapshots.differences import ARGUMENTS
from multitrack.snapshots.expressions import Expression, SnapshotCall, format_line

_WIDEST = 40
_SHOWN = 4
_CALLED, _NO_CALL, _ABSENT, _UNREADABLE, _OTHER_TOOL = "called", "no call", "absent", "arguments", "a different tool"
_TIMES = "\N{MULTIPLICATION SIGN}"


@dataclass(frozen=True, slots=True)
class _SampledField:
    """What it ``was`` on the tape, and what ``came`` in each answer."""

    name: str
    recorded: str
    values: Sequence[str]

    @property
    def agree(self) -> int:
        return sum(value == self.recorded for value in self.values)

    def __str__(self) -> str:
        """Each value with how often it came, that of the tape first."""
        came = Counter(self.values)
        ordered = sorted({self.recorded, *came}, key=lambda value: (value != self.recorded, -came[value], value))
        told = [f"{_cut(value)} {_TIMES}{came[value]}" for value in ordered[:_SHOWN]]
        more = len(ordered) - _SHOWN
        return ", ".join(told) + (f", and {more} more" if more > 0 else "")


def describe_agreement(answers: Sequence[ResponseDrift]) -> Iterator[str]:
    """A line for each field of each recorded call, and for whatever else was not the same each time: how many of
    ``answers`` agree with the recording, and which values came how often. None of what could not be compared."""
    compared = [(answer, answer.calls) for answer in answers if answer.calls is not None]
    if not compared:
        return
    calls = [calls for _, calls in compared]
    fields = [*_fields(compared[0][0].recorded, calls), *_answer_properties([answer for answer, _ in compared])]
    width = max((len(field.name) for field in fields), default=0)
    for field in fields:
        told = f"{field.name:<{width}}  {field.agree}/{len(field.values)}"
        yield told if field.agree == len(field.values) else f"{told}: {field}"
    added = Counter(str(entry.call) for one in calls for entry in one.added)
    for call, count in added.most_common():
        yield f"added: {_cut(call)} {_TIMES}{count}"


def _fields(recorded: Sequence[SnapshotCall], answers: Sequence[CallComparison]) -> Iterator[_SampledField]:
    of_tool, seen = Counter(call.name for call in recorded), Counter[str]()
    for place, call in enumerate(recorded):
        seen[call.name] += 1
        tool = f"{call.name}#{seen[call.name]}" if of_tool[call.name] > 1 else call.name
        came = [_partner(answer, place) for answer in answers]
        names = dict.fromkeys([*_parts(call), *(name for _, changed in came for name in changed)])
        for name in names:
            was = _value(call, name)
            # what is equal may be written otherwise, as 1 and 1.0 are
            values = [_came(other, name, call.name) if name in changed or not other else was for other, changed in came]
            yield _SampledField(f"{tool}.{name}", was, values)
        if not names:
            yield _SampledField(tool, _CALLED, [_CALLED if other else _NO_CALL for other, _ in came])


def _answer_properties(answers: Sequence[ResponseDrift]) -> Iterator[_SampledField]:
    """What is told of an answer beside its calls, where it was not the same each time."""
    moved = [one.name for answer in answers for one in answer.properties if one.recorded != one.live]
    for name in dict.fromkeys(moved):
        found = [one for answer in answers for one in answer.properties if one.name == name]
        yield _SampledField(name, found[0].recorded, [one.live for one in found])


def _partner(answer: CallComparison, place: int) -> tuple[SnapshotCall | None, Sequence[str]]:
    """The call that came for the recorded one at ``place``, None if none did, and which of its fields differ."""
    for same in answer.unchanged:
        if same.old == place:
            return same.call, ()
    for entry in answer.changed:
        if entry.old == place and entry.before.name != entry.after.name:
            return entry.after, list(_parts(entry.before))
        if entry.old == place:
            fields = dict.fromkeys([*_parts(entry.before), *_parts(entry.after)])
            return entry.after, [name for name in fields if any(_is_in(change.path, name) for change in entry.fields)]
    return None, ()


def _is_in(path: str, field: str) -> bool:
    whole = field == _UNREADABLE or path == ARGUMENTS
    return whole or path == field or path.startswith((f"{field}.", f"{field}["))


def _parts(call: SnapshotCall) -> dict[str, Expression]:
    return {_UNREADABLE: call.positional[0]} if call.positional else dict(call.keywords)


def _came(call: SnapshotCall | None, field: str, tool: str) -> str:
    if call is None:
        return _NO_CALL
    return _value(call, field) if call.name == tool else _OTHER_TOOL


def _value(call: SnapshotCall, field: str) -> str:
    parts = _parts(call)
    return format_line(parts[field]) if field in parts else _ABSENT


def _cut(text: str) -> str:
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"
