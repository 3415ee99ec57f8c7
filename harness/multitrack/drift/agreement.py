"""How often several live answers to one request agree with the recorded one, field by field."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from multitrack.drift.answers import AnswerDrift
from multitrack.snapshots.comparison import Comparison
from multitrack.snapshots.literals import Call, Plain, one_line

_WIDEST = 40
_SHOWN = 4
_NO_CALL, _ABSENT, _ARGUMENTS, _OTHER_TOOL = "no call", "absent", "arguments", "another tool"
_TIMES = "\N{MULTIPLICATION SIGN}"


def agreement(answers: Sequence[AnswerDrift]) -> Iterator[str]:
    """A line for each field of each recorded call, and for whatever else was not the same each time: how many of
    ``answers`` agree with the recording, and which values came how often, that of the recording first."""
    read = [answer for answer in answers if answer.calls is not None]
    if not read:
        return
    values: dict[str, tuple[str, Counter[str]]] = {}
    for label, was, came in _fields(read):
        values.setdefault(label, (was, Counter()))[1][came] += 1
    width = max(map(len, values), default=0)
    for label, (was, came) in values.items():
        told = f"{label:<{width}}  {came[was]}/{len(read)}"
        yield told if came[was] == len(read) else f"{told}: {_counted(came, was)}"
    added = Counter(str(entry.call) for answer in read for entry in (answer.calls.added if answer.calls else ()))
    for call, count in added.most_common():
        yield f"added: {_cut(call)} {_TIMES}{count}"


def _fields(answers: Sequence[AnswerDrift]) -> Iterator[tuple[str, str, str]]:
    """Each field, with its value on the tape and in one answer."""
    recorded = answers[0].recorded
    calls = Counter(call.name for call in recorded)
    seen: Counter[str] = Counter()
    for place, call in enumerate(recorded):
        seen[call.name] += 1
        name = f"{call.name}#{seen[call.name]}" if calls[call.name] > 1 else call.name
        partners = [_partner(answer.calls, place) for answer in answers if answer.calls is not None]
        fields = dict.fromkeys(_parts(call))
        fields |= {field: None for other, changed in partners if other for field in changed if field in _parts(other)}
        for field in fields:
            was = _value(call, field)
            for other, changed in partners:
                # what is equal may be written otherwise, as 1 and 1.0 are
                yield f"{name}.{field}", was, _came(other, field, call.name) if field in changed or not other else was
        if not fields:
            for other, _ in partners:
                yield name, "called", "called" if other else _NO_CALL
    names = [facet.name for facet in answers[0].facets]
    for number, name in enumerate(names):
        facets = [answer.facets[number] for answer in answers if number < len(answer.facets)]
        if any(facet.was != facet.now for facet in facets):
            yield from ((name, facet.was, facet.now) for facet in facets)


def _partner(calls: Comparison, place: int) -> tuple[Call | None, frozenset[str]]:
    """The call that came for the recorded one at ``place``, and which of its fields differ; None if none came."""
    for same in calls.unchanged:
        if same.old == place:
            return same.call, frozenset()
    for entry in calls.changed:
        if entry.old == place:
            if entry.before.name != entry.after.name:
                return entry.after, frozenset({*_parts(entry.before), *_parts(entry.after)})
            before, after = _parts(entry.before), _parts(entry.after)
            changed = {field.path for field in entry.fields}
            return entry.after, frozenset(
                field for field in {**before, **after} if any(_is_in(path, field) for path in changed)
            )
    return None, frozenset()


def _is_in(path: str, field: str) -> bool:
    return path in (field, "()") or path.startswith((f"{field}.", f"{field}["))


def _parts(call: Call) -> dict[str, Plain]:
    return {_ARGUMENTS: call.positional[0]} if call.positional else dict(call.keywords)


def _came(call: Call | None, field: str, tool: str) -> str:
    if call is None:
        return _NO_CALL
    return _value(call, field) if call.name == tool else _OTHER_TOOL


def _value(call: Call, field: str) -> str:
    parts = _parts(call)
    return one_line(parts[field]) if field in parts else _ABSENT


def _counted(came: Counter[str], was: str) -> str:
    ordered = sorted({was, *came}, key=lambda value: (value != was, -came[value], value))
    told = [f"{_cut(value)} {_TIMES}{came[value]}" for value in ordered[:_SHOWN]]
    more = len(ordered) - _SHOWN
    return ", ".join(told) + (f", and {more} more" if more > 0 else "")


def _cut(text: str) -> str:
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"
