"""Messages of a miss: why no recording matches a request, and what to do next."""

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
from multitrack.tape.matching.cross_transport import CrossTransportCandidates
from multitrack.tape.matching.difference import ABSENT, Difference, find_differences
from multitrack.tape.matching.index import Index, MatchingKey, RecordedEntry, strip_messages
from multitrack.wording import count_noun

T = TypeVar("T")
Text = TypeVar("Text", str, bytes)

_MAX_SHOWN = 5
# comparing this many characters in detail takes a few hundredths of a second
_MAX_COMPARED = 1_000_000
_MAX_VALUE_WIDTH = 160


def build_miss(
    request: Request,
    key: MatchingKey,
    index: Index | None,
    *,
    path: Path,
    record_hint: str,
    offered: Mapping[str, type[BaseModel]],
    strip: Callable[[Request], Request] = lambda request: request,
    others: CrossTransportCandidates | None = None,
    brief: bool = False,
) -> CassetteMiss:
    """Return the error for a request that no recording matches.

    Args:
        request: The request, after redaction.
        key: The matching key of the request.
        index: The index of the cassette. None if the cassette does not exist.
        path: The cassette, as it is shown to the user.
        record_hint: The command that records the request.
        offered: The models of the tools that the request offers, by tool name.
        strip: Removes from a request what does not take part in matching.
        others: The recordings of the same method over other transports.
        brief: Do not look for the nearest recording, which takes long if the cassette is large.
    """
    lines = [f"{_describe_request(request)} has no recording", f"  cassette: {path}"]
    reason = _explain(strip(request), key, index, offered, None if brief else strip, others)
    lines += [f"  {line}" for line in reason]
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
    """Return the error for a streaming request that no longer matches any recording.

    Args:
        request: The request with the messages sent so far.
        reason: Why it does not match.
        found: How the message that does not match differs from the nearest recorded one.
        path: The cassette, as it is shown to the user.
        record_hint: The command that records the request.
        might_go_live: Whether the mode sends missing requests to the provider.
    """
    title = f"{_describe_request(request)} stopped matching its recording"
    lines = [title, f"  cassette: {path}", f"  reason: {reason}"]
    lines += [f"  {line}" for line in _list_differences(found, lambda _: None)]
    if might_go_live:
        lines.append("  its replay had already started, so it cannot be recorded as missing")
    lines.append(f"  to record it: {record_hint}")
    return CassetteMiss("\n".join(lines))


def build_unplayed(entries: Sequence[RecordedEntry], *, path: Path, record_hint: str) -> Unplayed:
    """Return the error for ``entries`` of the cassette at ``path`` that were not replayed."""
    count = "1 interaction was" if len(entries) == 1 else f"{len(entries)} interactions were"
    lines = [f"{count} not replayed", f"  cassette: {path}"]
    lines += [f"  {line}" for entry in entries[:_MAX_SHOWN] for line in summarize(entry.position, entry.interaction)]
    lines += [f"  and {len(entries) - _MAX_SHOWN} more"] if len(entries) > _MAX_SHOWN else []
    lines.append(f"  to record only what is still sent: {record_hint}")
    return Unplayed("\n".join(lines))


def _describe_request(request: Request) -> str:
    asked = wires.read_request(request.body)
    details = [asked.model] if asked.model else []
    details += [f"tools {', '.join(asked.tools)}"] if asked.tools else []
    return f"{request.method} {request.url}" + (f" ({'; '.join(details)})" if details else "")


def _explain(
    request: Request,
    key: MatchingKey,
    index: Index | None,
    offered: Mapping[str, type[BaseModel]],
    strip: Callable[[Request], Request] | None,
    others: CrossTransportCandidates | None,
) -> Iterator[str]:
    if index is None:
        yield "reason: there is no cassette yet"
        return
    played = index.find_played(key) or (others.played_entries if others is not None else ())
    if played:
        times = "once" if len(played) == 1 else f"{len(played)} times"
        positions = ", ".join(str(entry.position) for entry in played)
        yield f"reason: already replayed: the cassette has this request {times} (interaction {positions})"
        return
    if strip is None:
        yield "reason: no recording matches (differences are only reported for the first misses of a test)"
        return
    total = len(index.entries)
    candidates = [*_find_candidates(request, key, index, strip)]
    if others is not None:
        candidates += _find_candidates_over_others(others, strip)
    nearest = min(candidates, key=lambda one: (one.entry.played, one.count, one.entry.position), default=None)
    if nearest is None:
        yield f"reason: no similar request among the {count_noun(total, 'recorded interaction')}"
        yield from _explain_problem(others)
        return
    position = f"interaction {nearest.entry.position} of {total}"
    if nearest.transport and not nearest.count and nearest.entry.interaction.response.ending != "complete":
        yield (
            f"reason: {position} is the same call over {nearest.transport}; "
            f"its response was cut off, so it is only replayed over {nearest.transport}"
        )
        return
    state = f", over {nearest.transport}" if nearest.transport else ""
    state += ", already replayed" if nearest.entry.played else ""
    places = "1 place" if nearest.count == 1 else f"{nearest.count} places"
    yield f"reason: changed: {position} is the nearest{state}; it differs in {places}"
    if nearest.moved:
        yield "  url"
        yield f"    recorded: {nearest.recorded.url}"
        yield f"    sent: {nearest.sent.url}"
    yield from _list_differences(
        nearest.differences, lambda found: _explain_schema_change(found, nearest.sent, nearest.recorded, offered)
    )
    yield from _explain_problem(others)


def _explain_problem(others: CrossTransportCandidates | None) -> Iterator[str]:
    if others is not None and others.problem is not None:
        yield f"  a recording over another transport cannot be compared: {others.problem}"


def _list_differences(found: Sequence[Difference], explain: Callable[[Difference], str | None]) -> Iterator[str]:
    for difference in found[:_MAX_SHOWN]:
        yield f"  {difference}"
        yield f"    recorded: {_format_value(difference.recorded)}"
        yield f"    sent: {_format_value(difference.sent)}"
        if meaning := explain(difference):
            yield f"    {meaning}"
    if len(found) > _MAX_SHOWN:
        yield f"  and {len(found) - _MAX_SHOWN} more"


@dataclass(frozen=True)
class _Candidate:
    """A recording of the same operation, next to the request as ``sent``.

    ``moved``: the URLs differ. ``transport``: how the recording was made, if that is not how the request was sent.
    """

    entry: RecordedEntry
    recorded: Request
    sent: Request
    moved: bool
    transport: str = ""

    @cached_property
    def differences(self) -> Sequence[Difference]:
        return list(find_differences(_parse_body(self.recorded), _parse_body(self.sent)))

    @property
    def count(self) -> int:
        return len(self.differences) + self.moved


def _find_candidates(
    request: Request, key: MatchingKey, index: Index, strip: Callable[[Request], Request]
) -> Iterator[_Candidate]:
    entries = [e for e in index.entries if e.key.method == key.method and _is_same_operation(e.key, key)]
    waiting = [entry for entry in entries if not entry.played] or entries
    for entry in _limit_to_likely([(entry, entry.key.body) for entry in waiting], key.body):
        yield _Candidate(entry, strip(strip_messages(entry.interaction.request)), request, not entry.has_same_url(key))


def _find_candidates_over_others(
    others: CrossTransportCandidates, strip: Callable[[Request], Request]
) -> Iterator[_Candidate]:
    sent = strip(others.request)
    for entry, call in _limit_to_likely([(one, one[1].body) for one in others.recorded], others.request.body):
        transport = "gRPC" if entry.interaction.request.url.startswith("grpc:") else "REST"
        yield _Candidate(entry, strip(call), sent, not entry.has_same_url(others.key), transport)


def _limit_to_likely(found: Sequence[tuple[T, Text]], sent: Text) -> Sequence[T]:
    """Return the items that are most likely the nearest, as many as can be compared in detail.

    Each item comes with its text. If the texts are too long in total, prefer those that share the longest beginning
    and end with ``sent``.
    """
    if sum(len(text) for _, text in found) > _MAX_COMPARED:
        found = sorted(found, key=lambda one: len(one[1]) - 2 * _count_shared(one[1], sent))
        sizes = accumulate(len(text) for _, text in found)
        found = [one for one, size in zip(found, sizes, strict=True) if size <= _MAX_COMPARED] or found[:1]
    return [one for one, _ in found]


def _count_shared(one: Text, other: Text) -> int:
    """Return how many characters the common beginning and the common end of two texts have together."""
    limit = min(len(one), len(other))
    begin = bisect_left(range(limit), True, key=lambda count: one[: count + 1] != other[: count + 1])
    rest = limit - begin
    return begin + bisect_left(range(rest), True, key=lambda count: one[-count - 1 :] != other[-count - 1 :])


def _is_same_operation(recorded: MatchingKey, sent: MatchingKey) -> bool:
    # in every provider's API, the last segment of the path names the operation
    return recorded.target.partition("?")[0].rpartition("/")[2] == sent.target.partition("?")[0].rpartition("/")[2]


def _parse_body(request: Request) -> Any:
    try:
        return jsontext.parse(request.body)
    except ValueError:
        return request.body.decode("utf-8", "backslashreplace")


def _format_value(value: Any) -> str:
    if value is ABSENT:
        return repr(value)
    text = jsontext.canonical(value)
    return text if len(text) <= _MAX_VALUE_WIDTH else text[: _MAX_VALUE_WIDTH - 1] + "…"


def _explain_schema_change(
    difference: Difference, request: Request, recorded: Request, offered: Mapping[str, type[BaseModel]]
) -> str | None:
    """Describe a difference inside a tool's declaration in terms of its model and field. None if it is elsewhere."""
    before, after = difference.recorded, difference.sent
    having, other = (recorded, request) if after is ABSENT else (request, recorded)
    tool, steps = _find_tool(_parse_body(having), difference.path)
    if tool is None:
        return None

    def locate(*steps: str | int) -> str:
        return f"`{_locate_field(tool, offered.get(tool), steps)}`"

    match steps:
        case []:
            if ABSENT in (before, after) and tool in wires.read_request(other.body).tools:
                return f"`{tool}` is offered at a different position"
            return f"`{tool}` is {_choose(difference, 'no longer offered', 'newly offered', 'a different tool')}"
        case ["name"]:
            return f"`{before}` is now named `{after}`"
        case [*_, "properties", str()]:
            return f"{locate(*steps)} {_choose(difference, 'was removed', 'is new', 'is a different field')}"
        case [*above, "required"] | [*above, "required", int()]:
            changes = [
                f"{locate(*above, 'properties', name)} is now required" for name in _names_missing_from(after, before)
            ]
            changes += [
                f"{locate(*above, 'properties', name)} is no longer required"
                for name in _names_missing_from(before, after)
            ]
            return ", ".join(changes)
        case [*_, "enum", int()]:
            values = " to ".join(_format_value(value) for value in (before, after) if value is not ABSENT)
            return f"{locate(*steps)} {_choose(difference, 'lost', 'gained', 'changed')} the allowed value {values}"
        case [*_, "propertyOrdering", int()]:
            return None  # it follows from the changes of the fields, which are reported
    keyword = next((step for step in reversed(steps) if isinstance(step, str)), "schema")
    return f"{locate(*steps)} {_choose(difference, 'lost', 'gained', 'changed')} its {_KEYWORDS.get(keyword, keyword)}"


def _names_missing_from(value: Any, other: Any) -> Sequence[str]:
    """Return the names in ``value``, a name or a list of names, that are not in ``other``."""
    names, others = ([] if one is ABSENT else one if isinstance(one, list) else [one] for one in (value, other))
    return [str(name) for name in names if name not in others]


_KEYWORDS = {
    "enum": "allowed values",
    "const": "only value",
    "anyOf": "alternative types",
    "$ref": "type",
    "nullable": "permission to be null",
}


def _choose(difference: Difference, lost: str, gained: str, changed: str) -> str:
    if difference.sent is ABSENT:
        return lost
    return gained if difference.recorded is ABSENT else changed


def _find_tool(document: Any, path: Sequence[str | int]) -> tuple[str | None, Sequence[str | int]]:
    """Return the name of the tool whose declaration contains ``path``, and the rest of the path from there."""
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


def _locate_field(tool: str, model: type[BaseModel] | None, steps: Sequence[str | int]) -> str:
    """Return the class and the field at ``steps`` into the declaration of ``tool``, such as ``Street.number``.

    Nested classes are found through ``model``. Without it, the result is the name of the tool and a path of fields.
    """
    name = model.__name__ if model else tool
    within: type[BaseModel] | None = model
    fields: list[str] = []
    for before, step in pairwise(steps):
        if before == "$defs":
            # the definition of a class that fields refer to
            name, fields = str(step), []
            within = next((other for other in _all_models(model) if other.__name__ == name), None)
        elif before == "properties":
            if fields and (inner := _find_field_model(within, fields[-1], str(step))) is not None:
                name, within, fields = inner.__name__, inner, []
            fields.append(str(step))
    return ".".join([name, *fields])


def _find_field_model(model: type[BaseModel] | None, field: str, inner: str) -> type[BaseModel] | None:
    """Return the model of ``field``. If the field allows several, return the one that has a field ``inner``."""
    if model is None:
        return None
    models = [
        found for name, info in model.model_fields.items() if field in (name, info.alias) for found in _models_of(info)
    ]
    return next((one for one in models if inner in one.model_fields), models[0] if models else None)


def _models_of(info: FieldInfo) -> Iterator[type[BaseModel]]:
    annotations: list[Any] = [info.annotation]
    while annotations:
        annotation = annotations.pop()
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield annotation
        else:
            annotations += get_args(annotation)


def _all_models(model: type[BaseModel] | None) -> Iterator[type[BaseModel]]:
    """Yield ``model`` and all models nested in it, at any depth."""
    waiting, seen = [model] if model else [], set[type[BaseModel]]()
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            yield one
            waiting += [inner for info in one.model_fields.values() for inner in _models_of(info)]
