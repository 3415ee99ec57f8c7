"""The miss: why the tape has no answer for a request, in words that lead to the next step."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from multitrack import wires
from multitrack.errors import CassetteMiss, Unplayed
from multitrack.tape import jsontext
from multitrack.tape.exchange import Request
from multitrack.tape.file.summary import summarize
from multitrack.tape.matching.difference import ABSENT, Difference, differences
from multitrack.tape.matching.index import Entry, Index, Key, unsent
from multitrack.tape.matching.method_calls import OverOthers
from multitrack.wording import count_noun

T = TypeVar("T")
Text = TypeVar("Text", str, bytes)

_SHOWN = 5
# so many characters are compared place by place in some hundredths of a second
_COMPARED = 1_000_000
_WIDEST_VALUE = 160


def build_miss(
    request: Request,
    key: Key,
    index: Index | None,
    *,
    path: Path,
    record_hint: str,
    offered: Mapping[str, type[BaseModel]],
    bared: Callable[[Request], Request] = lambda request: request,
    others: OverOthers | None = None,
    brief: bool = False,
) -> CassetteMiss:
    """The error for the scrubbed ``request`` that ``index`` did not answer under its ``key``; an index of None means
    that there is no tape at ``path``. ``bared`` takes from a request what plays no part in matching. ``others`` are the
    recordings of its method over other transports.
    ``brief``: do not look for what is near, which takes long on a large tape."""
    lines = [f"{_title(request)} has no recording", f"  tape: {path}"]
    lines += [f"  {line}" for line in _reason(bared(request), key, index, offered, None if brief else bared, others)]
    lines.append(f"  to record it: {record_hint}")
    return CassetteMiss("\n".join(lines))


def build_divergence(
    request: Request,
    reason: str,
    found: Sequence[Difference] = (),
    *,
    path: Path,
    record_hint: str,
    might_go_live: bool = False,
) -> CassetteMiss:
    """The error for a ``request`` that streams, and of which no recording went the same way, for the ``reason``; a
    message of it differs from the nearest one's as ``found``. ``might_go_live``: what is not on the tape does."""
    lines = [f"{_title(request)} went another way than its recording", f"  tape: {path}", f"  reason: {reason}"]
    lines += [f"  {line}" for line in _listed(found, lambda _: None)]
    lines += ["  it had begun to play, so that it cannot go live as missing"] if might_go_live else []
    lines.append(f"  to record it: {record_hint}")
    return CassetteMiss("\n".join(lines))


def build_unplayed(entries: Sequence[Entry], *, path: Path, record_hint: str) -> Unplayed:
    """The error for ``entries`` of the tape at ``path``, which nobody asked for."""
    count = "1 interaction was" if len(entries) == 1 else f"{len(entries)} interactions were"
    lines = [f"{count} not played", f"  tape: {path}"]
    lines += [f"  {line}" for entry in entries[:_SHOWN] for line in summarize(entry.position, entry.interaction)]
    lines += [f"  and {len(entries) - _SHOWN} more"] if len(entries) > _SHOWN else []
    lines.append(f"  to record what is still sent: {record_hint}")
    return Unplayed("\n".join(lines))


def _title(request: Request) -> str:
    asked = wires.read_request(request.body)
    told = [asked.model] if asked.model else []
    told += [f"tools {', '.join(asked.tools)}"] if asked.tools else []
    return f"{request.method} {request.url}" + (f" ({'; '.join(told)})" if told else "")


def _reason(
    request: Request,
    key: Key,
    index: Index | None,
    offered: Mapping[str, type[BaseModel]],
    bared: Callable[[Request], Request] | None,
    others: OverOthers | None,
) -> Iterator[str]:
    if index is None:
        yield "reason: there is no tape yet"
        return
    played = index.answered(key) or (others.answered if others is not None else ())
    if played:
        times = "once" if len(played) == 1 else f"{len(played)} times"
        yield f"reason: already played: the tape holds this request {times} (interaction {_positions(played)})"
        return
    if bared is None:
        yield "reason: none of its recordings is equal (how it differs, only the first misses of a test tell)"
        return
    total = len(index.entries)
    alike = [*_alike(request, key, index, bared), *(_alike_over_others(others, bared) if others is not None else ())]
    nearest = min(alike, key=lambda one: (one.entry.played, one.count, one.entry.position), default=None)
    if nearest is None:
        yield f"reason: nothing like it among the {count_noun(total, 'recorded interaction')}"
        yield from _problem(others)
        return
    position = f"interaction {nearest.entry.position} of {total}"
    if nearest.over and not nearest.count and nearest.entry.interaction.response.ending != "complete":
        yield f"reason: {position} is the same call{nearest.over}; its answer was cut off, and plays over that alone"
        return
    state = nearest.over + (", already played" if nearest.entry.played else "")
    places = "1 place" if nearest.count == 1 else f"{nearest.count} places"
    yield f"reason: changed: {position} is the nearest{state}; it differs in {places}"
    if nearest.moved:
        yield "  url"
        yield f"    tape: {nearest.recorded.url}"
        yield f"    sent: {nearest.sent.url}"
    yield from _listed(nearest.found, lambda found: _told(found, nearest.sent, nearest.recorded, offered))
    yield from _problem(others)


def _problem(others: OverOthers | None) -> Iterator[str]:
    if others is not None and others.problem is not None:
        yield f"  a recording over another transport cannot be compared: {others.problem}"


def _listed(found: Sequence[Difference], told: Callable[[Difference], str | None]) -> Iterator[str]:
    for difference in found[:_SHOWN]:
        yield f"  {difference}"
        yield f"    tape: {_shown(difference.recorded)}"
        yield f"    sent: {_shown(difference.sent)}"
        if meaning := told(difference):
            yield f"    {meaning}"
    if len(found) > _SHOWN:
        yield f"  and {len(found) - _SHOWN} more"


def _positions(entries: Sequence[Entry]) -> str:
    return ", ".join(str(entry.position) for entry in entries)


@dataclass(frozen=True)
class _Alike:
    """A recording of the same kind, beside what was ``sent``; ``over``: by which transport, if by another."""

    entry: Entry
    recorded: Request
    sent: Request
    moved: bool
    over: str = ""

    @cached_property
    def found(self) -> Sequence[Difference]:
        return list(differences(_document(self.recorded), _document(self.sent)))

    @property
    def count(self) -> int:
        return len(self.found) + self.moved


def _alike(request: Request, key: Key, index: Index, bared: Callable[[Request], Request]) -> Iterator[_Alike]:
    entries = [entry for entry in index.entries if entry.key.method == key.method and _same_place(entry.key, key)]
    waiting = [entry for entry in entries if not entry.played] or entries
    for entry in _likely([(entry, entry.key.body) for entry in waiting], key.body):
        yield _Alike(entry, bared(unsent(entry.interaction.request)), request, not entry.is_at(key))


def _alike_over_others(others: OverOthers, bared: Callable[[Request], Request]) -> Iterator[_Alike]:
    sent = bared(others.request)
    for entry, call in _likely([(one, one[1].body) for one in others.recorded], others.request.body):
        transport = "gRPC" if entry.interaction.request.url.startswith("grpc:") else "REST"
        yield _Alike(entry, bared(call), sent, not entry.is_at(others.key), f", over {transport}")


def _likely(found: Sequence[tuple[T, Text]], sent: Text) -> Sequence[T]:
    """What was ``found``, each with its text; of more than can be compared at once, those whose texts share most with
    what was ``sent``, where they begin and where they end."""
    if sum(len(text) for _, text in found) > _COMPARED:
        found = sorted(found, key=lambda one: len(one[1]) - 2 * _shared(one[1], sent))
        sizes = accumulate(len(text) for _, text in found)
        found = [one for one, size in zip(found, sizes, strict=True) if size <= _COMPARED] or found[:1]
    return [one for one, _ in found]


def _shared(one: Text, other: Text) -> int:
    limit = min(len(one), len(other))
    begin = bisect_left(range(limit), True, key=lambda count: one[: count + 1] != other[: count + 1])
    rest = limit - begin
    return begin + bisect_left(range(rest), True, key=lambda count: one[-count - 1 :] != other[-count - 1 :])


def _same_place(recorded: Key, sent: Key) -> bool:
    # the last step of the path names the operation, in every provider's API
    return recorded.target.partition("?")[0].rpartition("/")[2] == sent.target.partition("?")[0].rpartition("/")[2]


def _document(request: Request) -> Any:
    try:
        return jsontext.parse(request.body)
    except ValueError:
        return request.body.decode("utf-8", "backslashreplace")


def _shown(value: Any) -> str:
    if value is ABSENT:
        return repr(value)
    text = jsontext.canonical(value)
    return text if len(text) <= _WIDEST_VALUE else text[: _WIDEST_VALUE - 1] + "…"


def _told(
    difference: Difference, request: Request, recorded: Request, offered: Mapping[str, type[BaseModel]]
) -> str | None:
    """The difference in terms of the model and the field behind it, where it lies in a tool's declaration."""
    before, after = difference.recorded, difference.sent
    having, other = (recorded, request) if after is ABSENT else (request, recorded)
    tool, steps = _tool_at(_document(having), difference.path)
    if tool is None:
        return None

    def place(*steps: str | int) -> str:
        return f"`{_place(tool, offered.get(tool), steps)}`"

    match steps:
        case []:
            if ABSENT in (before, after) and tool in wires.read_request(other.body).tools:
                return f"`{tool}` is offered in another place"
            return f"`{tool}` is {_change(difference, 'no longer offered', 'newly offered', 'another tool')}"
        case ["name"]:
            return f"`{before}` is named `{after}` now"
        case [*_, "properties", str()]:
            return f"{place(*steps)} is {_change(difference, 'no longer there', 'new', 'another field')}"
        case [*above, "required"] | [*above, "required", int()]:
            told = [f"{place(*above, 'properties', name)} is required now" for name in _names(after, before)]
            told += [f"{place(*above, 'properties', name)} is no longer required" for name in _names(before, after)]
            return ", ".join(told)
        case [*_, "enum", int()]:
            values = " to ".join(_shown(value) for value in (before, after) if value is not ABSENT)
            return f"{place(*steps)} {_change(difference, 'lost', 'gained', 'changed')} the allowed value {values}"
        case [*_, "propertyOrdering", int()]:
            return None  # it follows from what is told of the fields
    keyword = next((step for step in reversed(steps) if isinstance(step, str)), "schema")
    return f"{place(*steps)} {_change(difference, 'lost', 'gained', 'changed')} its {_KEYWORDS.get(keyword, keyword)}"


def _names(value: Any, other: Any) -> Sequence[str]:
    """The names that ``value`` is, or lists, and ``other`` not."""
    names, others = ([] if one is ABSENT else one if isinstance(one, list) else [one] for one in (value, other))
    return [str(name) for name in names if name not in others]


_KEYWORDS = {
    "enum": "allowed values",
    "const": "only value",
    "anyOf": "alternative types",
    "$ref": "type",
    "nullable": "permission to be null",
}


def _change(difference: Difference, lost: str, gained: str, changed: str) -> str:
    if difference.sent is ABSENT:
        return lost
    return gained if difference.recorded is ABSENT else changed


def _tool_at(document: Any, path: Sequence[str | int]) -> tuple[str | None, Sequence[str | int]]:
    """The name of the tool in whose declaration ``path`` ends, and the rest of the path from there."""
    value, tool, rest = document, None, path
    for depth, step in enumerate(path):
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            break
        declared = value.get("function", value) if isinstance(value, dict) else None
        if isinstance(declared, dict) and isinstance(declared.get("name"), str) and "tools" in path[: depth + 1]:
            tool, rest = declared["name"], path[depth + 1 :]
            break
    return tool, [step for step in rest if step != "function"]


def _place(tool: str, model: type[BaseModel] | None, steps: Sequence[str | int]) -> str:
    """The class, and the field of it, that the ``steps`` into the declaration of ``tool`` lead to, as far as the
    ``model`` behind it tells; what it does not tell is a path of fields."""
    name = model.__name__ if model else tool
    within: type[BaseModel] | None = model
    fields: list[str] = []
    for before, step in pairwise(steps):
        if before == "$defs":
            # a class that others refer to
            name, fields = str(step), []
            within = next((other for other in _reached(model) if other.__name__ == name), None)
        elif before == "properties":
            if fields and (inner := _model_of(within, fields[-1], str(step))) is not None:
                name, within, fields = inner.__name__, inner, []
            fields.append(str(step))
    return ".".join([name, *fields])


def _model_of(model: type[BaseModel] | None, field: str, inner: str) -> type[BaseModel] | None:
    """The model that ``field`` of ``model`` holds; the one with a field ``inner``, if it may hold several."""
    if model is None:
        return None
    held = [found for name, info in model.model_fields.items() if field in (name, info.alias) for found in _held(info)]
    return next((one for one in held if inner in one.model_fields), held[0] if held else None)


def _held(info: FieldInfo) -> Iterator[type[BaseModel]]:
    annotations: list[Any] = [info.annotation]
    while annotations:
        annotation = annotations.pop()
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield annotation
        else:
            annotations += get_args(annotation)


def _reached(model: type[BaseModel] | None) -> Iterator[type[BaseModel]]:
    """``model``, and all models that it holds, however deep."""
    waiting, seen = [model] if model else [], set[type[BaseModel]]()
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            yield one
            waiting += [inner for info in one.model_fields.values() for inner in _held(info)]
