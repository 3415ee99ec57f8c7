"""Count, for each field, how many of several live responses agree with the recorded one."""

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
    """A field with its recorded value and its value in each live response."""

    name: str
    recorded: str
    values: Sequence[str]

    @property
    def agreeing(self) -> int:
        return sum(value == self.recorded for value in self.values)

    def __str__(self) -> str:
        """The field's values and how often each occurred, the recorded value first."""
        counts = Counter(self.values)
        ordered = sorted({self.recorded, *counts}, key=lambda value: (value != self.recorded, -counts[value], value))
        shown = [f"{_shorten(value)} {_TIMES}{counts[value]}" for value in ordered[:_SHOWN]]
        more = len(ordered) - _SHOWN
        return ", ".join(shown) + (f", and {more} more" if more > 0 else "")


def describe_agreement(answers: Sequence[ResponseDrift]) -> Iterator[str]:
    """Yield a line for each field of the recorded calls, and for each other property that changed.

    A line says how many of ``answers`` agree with the recording, and how often each value was received. The total
    includes only answers that could be compared.
    """
    compared = [(answer, answer.calls) for answer in answers if answer.calls is not None]
    if not compared:
        return
    calls = [calls for _, calls in compared]
    fields = [*_sample_fields(compared[0][0].recorded, calls), *_sample_properties([answer for answer, _ in compared])]
    width = max((len(field.name) for field in fields), default=0)
    for field in fields:
        line = f"{field.name:<{width}}  {field.agreeing}/{len(field.values)}"
        yield line if field.agreeing == len(field.values) else f"{line}: {field}"
    added = Counter(str(entry.call) for one in calls for entry in one.added)
    for call, count in added.most_common():
        yield f"added: {_shorten(call)} {_TIMES}{count}"


def _sample_fields(recorded: Sequence[SnapshotCall], answers: Sequence[CallComparison]) -> Iterator[_SampledField]:
    of_tool, counts = Counter(call.name for call in recorded), Counter[str]()
    for position, call in enumerate(recorded):
        counts[call.name] += 1
        tool = f"{call.name}#{counts[call.name]}" if of_tool[call.name] > 1 else call.name
        partners = [_find_partner(answer, position) for answer in answers]
        names = dict.fromkeys([*_get_fields(call), *(name for _, changed in partners for name in changed)])
        for name in names:
            was = _format_field(call, name)
            # equal values may be written differently, such as 1 and 1.0
            values = [
                _format_sample(other, name, call.name) if name in changed or not other else was
                for other, changed in partners
            ]
            yield _SampledField(f"{tool}.{name}", was, values)
        if not names:
            yield _SampledField(tool, _CALLED, [_CALLED if other else _NO_CALL for other, _ in partners])


def _sample_properties(answers: Sequence[ResponseDrift]) -> Iterator[_SampledField]:
    """Return the properties that changed in at least one answer."""
    changed = [one.name for answer in answers for one in answer.properties if one.recorded != one.live]
    for name in dict.fromkeys(changed):
        found = [one for answer in answers for one in answer.properties if one.name == name]
        yield _SampledField(name, found[0].recorded, [one.live for one in found])


def _find_partner(answer: CallComparison, position: int) -> tuple[SnapshotCall | None, Sequence[str]]:
    """Return the live call that is paired with the recorded call at ``position``, and the fields that differ."""
    for same in answer.unchanged:
        if same.old == position:
            return same.call, ()
    for entry in answer.changed:
        if entry.old == position and entry.before.name != entry.after.name:
            return entry.after, list(_get_fields(entry.before))
        if entry.old == position:
            fields = dict.fromkeys([*_get_fields(entry.before), *_get_fields(entry.after)])
            return entry.after, [name for name in fields if any(_is_in(change.path, name) for change in entry.fields)]
    return None, ()


def _is_in(path: str, field: str) -> bool:
    whole = field == _UNREADABLE or path == ARGUMENTS
    return whole or path == field or path.startswith((f"{field}.", f"{field}["))


def _get_fields(call: SnapshotCall) -> dict[str, Expression]:
    return {_UNREADABLE: call.positional[0]} if call.positional else dict(call.keywords)


def _format_sample(call: SnapshotCall | None, field: str, tool: str) -> str:
    if call is None:
        return _NO_CALL
    return _format_field(call, field) if call.name == tool else _OTHER_TOOL


def _format_field(call: SnapshotCall, field: str) -> str:
    parts = _get_fields(call)
    return format_line(parts[field]) if field in parts else _ABSENT


def _shorten(text: str) -> str:
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"
