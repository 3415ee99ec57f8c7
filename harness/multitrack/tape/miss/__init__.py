"""Build the message for a miss: why no recording matches a request, and what to do next."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from multitrack import wires
from multitrack.errors import CassetteMiss, Unplayed
from multitrack.tape.exchange import Request
from multitrack.tape.file.summary import summarize
from multitrack.tape.lost_recordings import LostRecording
from multitrack.tape.matching.cross_transport import CrossTransportCandidates
from multitrack.tape.matching.difference import Difference
from multitrack.tape.matching.index import Index, RecordedEntry
from multitrack.tape.matching.jsonpath import format_json_path
from multitrack.tape.matching.random_values import list_differing_random_fields, looks_random
from multitrack.tape.miss import bodies
from multitrack.tape.miss.miss_facts import MissDifference, MissFacts, MissKind
from multitrack.tape.miss.nearest_recording import NearestRecording
from multitrack.tape.miss.tool_changes import explain_schema_change
from multitrack.tape.miss.values import format_difference
from multitrack.wording import count_noun

if TYPE_CHECKING:
    from pydantic import BaseModel

RECORD_ADVICE = "to record it: "
"""The text before the command that records a request."""
REBIND_ADVICE = "to keep the recorded answer, if it still fits: "
"""The text before the command that keeps a recording's answer."""
_MAX_SHOWN = 5
# reports show more of the differences than the message
_MAX_REPORTED = 50
_VALUE_INDENT = 6
# parts of an explanation that differ between tests although the reason for their misses is the same, and the strings
# that replace these parts in a finding
_GENERAL_REASONS = (
    (re.compile(r", interaction \d+ of \d+((?: \([^)]*\))?), differs"), r"\1 differs"),
    (re.compile(r"the nearest recording is interaction \d+ of \d+, but "), ""),
    (re.compile(r" \(interactions? [\d, ]+\)"), ""),
    (re.compile(r"\binteraction \d+(?: of \d+)?"), "the recording"),
    (re.compile(r"the \d+ recorded interactions?"), "the recorded interactions"),
)


def build_miss(
    request: Request,
    index: Index | None,
    *,
    path: Path,
    record_hint: str,
    offered: Mapping[str, type[BaseModel]],
    played: Sequence[RecordedEntry] = (),
    nearest: NearestRecording | None = None,
    call_site: str | None = None,
    lost: LostRecording | None = None,
    find_rejection: Callable[[Request, RecordedEntry], str | None] = lambda _request, _entry: None,
    others: CrossTransportCandidates | None = None,
    brief: bool = False,
    rebind_hint: str | None = None,
) -> CassetteMiss:
    """Return the error for a request that no recording matches.

    Args:
        request: The request, after redaction.
        index: The index of the cassette. None if the cassette does not exist.
        path: The path of the cassette, as shown in messages.
        record_hint: The command that records the request.
        offered: Maps the name of each tool that the request offers to the tool's Pydantic model.
        played: The recordings of the request. All of them were already replayed.
        nearest: The recording that is nearest to the request. None if there is none, or if it is unknown.
        call_site: Where the user's code sent the request. None if it is unknown.
        lost: A recording that answers the request, but is in another file. None if there is none, or if it cannot be
            used.
        find_rejection: Returns why the project's matchers reject a recording. None if they accept it.
        others: The recordings of the same method over other transports.
        brief: Whether the search for the nearest recording was skipped. The search is slow if the cassette is large.
        rebind_hint: The command that keeps the nearest recording's answer. None if there is no such command.
    """
    lines = [f"{_describe_request(request)} has no recording", f"  cassette: {path}", *_format_call_site(call_site)]
    if lost is not None and index is None:
        explanation = _Explanation("other-file", ())
        lines += [f"  reason: there is no cassette yet, but {lost.reason}", f"  {lost.advice}"]
        finding = lost.finding
    else:
        explanation = _explain(request, index, offered, played, nearest, find_rejection, others, brief=brief)
        lines += [f"  {line}" for line in explanation.lines]
        lines += [] if lost is None else [f"  {lost.reason}", f"  {lost.advice}"]
        if request.decoding_error:
            lines.append(
                f"  the body could not be decoded, so its encoded bytes were compared: {request.decoding_error}"
            )
        finding = _build_finding(explanation.lines)
    if rebind_hint is not None:
        lines.append(f"  {REBIND_ADVICE}{rebind_hint}")
    lines.append(f"  {RECORD_ADVICE}{record_hint}")
    violation = CassetteMiss("\n".join(lines))
    violation.finding = finding
    violation.facts = MissFacts(
        explanation.kind,
        request,
        str(path),
        record_hint,
        call_site,
        explanation.nearest,
        explanation.differences,
        lost.command if lost is not None else "",
    )
    return violation


def build_divergence(
    request: Request,
    reason: str,
    found: Sequence[Difference] = (),
    *,
    path: Path,
    record_hint: str,
    might_go_live: bool = False,
    call_site: str | None = None,
) -> CassetteMiss:
    """Return the error for a streaming request that no longer matches any recording.

    Args:
        request: The request with the messages sent so far.
        reason: Why the request does not match.
        found: The differences between the message that does not match and the nearest recorded message.
        path: The path of the cassette, as shown in messages.
        record_hint: The command that records the request.
        might_go_live: Whether the mode sends unrecorded requests to the provider.
        call_site: Where the user's code sent the message. None if it is unknown.
    """
    title = f"{_describe_request(request)} stopped matching its recording"
    explanation = [f"reason: {reason}", *_list_differences(found, str, lambda _: None)]
    lines = [title, f"  cassette: {path}", *_format_call_site(call_site), *(f"  {line}" for line in explanation)]
    if might_go_live:
        lines.append("  the replay of this call had already started, so the call can no longer be recorded")
    lines.append(f"  {RECORD_ADVICE}{record_hint}")
    violation = CassetteMiss("\n".join(lines))
    violation.finding = _build_finding(explanation)
    differences = [MissDifference(str(one), one.recorded, one.sent) for one in found]
    violation.facts = MissFacts("diverged", request, str(path), record_hint, call_site, differences=differences)
    return violation


def _build_finding(explanation: Sequence[str]) -> str:
    """Return the ``explanation`` of a miss without the details that differ between tests with the same cause."""
    reason, *differences = explanation
    for pattern, general in _GENERAL_REASONS:
        reason = pattern.sub(general, reason)
    return "\n".join([reason, *differences])


def build_unplayed(entries: Sequence[RecordedEntry], *, path: Path, record_hint: str) -> Unplayed:
    """Return the error for ``entries`` of the cassette at ``path`` that were not replayed."""
    count = "1 interaction was" if len(entries) == 1 else f"{len(entries)} interactions were"
    lines = [f"{count} not replayed", f"  cassette: {path}"]
    lines += [f"  {line}" for entry in entries[:_MAX_SHOWN] for line in summarize(entry.position, entry.interaction)]
    lines += [f"  and {len(entries) - _MAX_SHOWN} more"] if len(entries) > _MAX_SHOWN else []
    lines.append(f"  to record only the requests that are still sent: {record_hint}")
    return Unplayed("\n".join(lines))


def _format_call_site(call_site: str | None) -> Sequence[str]:
    return [f"  sent from: {call_site}"] if call_site else []


def _describe_request(request: Request) -> str:
    asked = wires.read_request(request.body, request.url)
    details = [asked.model] if asked.model else []
    details += [f"tools {', '.join(asked.tools)}"] if asked.tools else []
    return f"{request.method} {request.url}" + (f" ({'; '.join(details)})" if details else "")


@dataclass(frozen=True, slots=True)
class _Explanation:
    """The explanation of a miss: the lines of the message, and the same facts as data."""

    kind: MissKind
    lines: Sequence[str]
    nearest: int | None = None
    differences: Sequence[MissDifference] = ()


def _explain(
    request: Request,
    index: Index | None,
    offered: Mapping[str, type[BaseModel]],
    played: Sequence[RecordedEntry],
    nearest: NearestRecording | None,
    find_rejection: Callable[[Request, RecordedEntry], str | None],
    others: CrossTransportCandidates | None,
    *,
    brief: bool,
) -> _Explanation:
    if index is None:
        return _Explanation("no-cassette", ["reason: there is no cassette yet"])
    if played:
        times = "once" if len(played) == 1 else f"{len(played)} times"
        noun = "interaction" if len(played) == 1 else "interactions"
        positions = ", ".join(str(entry.position) for entry in played)
        line = f"reason: already replayed: the cassette has this request {times} ({noun} {positions})"
        return _Explanation("already-replayed", [line], played[0].position)
    if brief:
        line = "reason: no recording matches (differences are only reported for the first misses of a test)"
        return _Explanation("unexplained", [line])
    if nearest is None:
        return _Explanation("no-similar", [*_list_addresses(index), *_explain_problem(others)])
    position = f"interaction {nearest.entry.position} of {len(index.entries)}"
    if nearest.transport and not nearest.count and nearest.entry.interaction.response.ending != "complete":
        line = (
            f"reason: {position} is the same call over {nearest.transport}, but it is only replayed over "
            f"{nearest.transport}, because its response was cut off"
        )
        return _Explanation("rejected", [line], nearest.entry.position)
    rejection = find_rejection(request, nearest.entry)
    if rejection is not None and not nearest.count:
        line = f"reason: rejected: the nearest recording is {position}, but {rejection}"
        return _Explanation("rejected", [line], nearest.entry.position)
    # computed once, because it may take long if the request is large
    meanings = {
        id(one): explain_schema_change(one, nearest.sent, nearest.recorded, offered)
        for one in nearest.differences[:_MAX_SHOWN]
    }
    lines = [*_explain_nearest(nearest, position, request, meanings), *_explain_problem(others)]
    return _Explanation("changed", lines, nearest.entry.position, list(_describe_differences(nearest, meanings)))


def _list_addresses(index: Index) -> Iterator[str]:
    yield f"reason: no similar request among the {count_noun(len(index.entries), 'recorded interaction')}"
    recorded = (entry.interaction.request for entry in index.entries)
    addresses = list(dict.fromkeys(f"{one.method} {one.url}" for one in recorded))
    yield from (f"  recorded: {address}" for address in addresses[:_MAX_SHOWN])
    if len(addresses) > _MAX_SHOWN:
        yield f"  and {len(addresses) - _MAX_SHOWN} more"


def _explain_nearest(
    nearest: NearestRecording, position: str, request: Request, meanings: Mapping[int, str | None]
) -> Iterator[str]:
    states = [f"over {nearest.transport}"] if nearest.transport else []
    states += ["already replayed"] if nearest.is_played else []
    state = f" ({', '.join(states)})" if states else ""
    places = "1 place" if nearest.count == 1 else f"{nearest.count} places"
    yield f"reason: changed: the nearest recording, {position}{state}, differs in {places}"
    if nearest.moved:
        yield "  url"
        yield f"    recorded: {nearest.recorded.url}"
        yield f"    sent: {nearest.sent.url}"
    yield from _list_differences(
        nearest.differences,
        lambda found: bodies.locate_difference(found, *nearest.documents),
        lambda found: meanings.get(id(found)),
    )
    if nearest.formats is not None:
        yield "  body"
        yield f"    recorded: {nearest.formats[0]}"
        yield f"    sent: {nearest.formats[1]}"
    request_then = nearest.entry.interaction.request
    for name in list_differing_random_fields(bodies.parse_body(request_then), bodies.parse_body(request)):
        yield f"  $.{name} also differs, but is not compared, because the client generates a new value in each run"


def _describe_differences(nearest: NearestRecording, meanings: Mapping[int, str | None]) -> Iterator[MissDifference]:
    if nearest.moved:
        yield MissDifference("url", nearest.recorded.url, nearest.sent.url)
    for found in nearest.differences[:_MAX_REPORTED]:
        path = bodies.locate_difference(found, *nearest.documents)
        yield MissDifference(path, found.recorded, found.sent, meanings.get(id(found)) or "")
    if nearest.formats is not None:
        yield MissDifference("body", *nearest.formats)


def _explain_problem(others: CrossTransportCandidates | None) -> Iterator[str]:
    if others is not None and others.problem is not None:
        yield f"  a recording made over another transport cannot be compared: {others.problem}"


def list_differences(nearest: NearestRecording, offered: Mapping[str, type[BaseModel]]) -> Iterator[str]:
    """Yield the lines that show how a request differs from its ``nearest`` recording.

    Args:
        nearest: The recording.
        offered: Maps the name of each tool that the request offers to the tool's Pydantic model.
    """
    yield from _list_differences(
        nearest.differences,
        lambda found: bodies.locate_difference(found, *nearest.documents),
        lambda found: explain_schema_change(found, nearest.sent, nearest.recorded, offered),
    )


def _list_differences(
    found: Sequence[Difference], locate: Callable[[Difference], str], explain: Callable[[Difference], str | None]
) -> Iterator[str]:
    for difference in found[:_MAX_SHOWN]:
        yield f"  {locate(difference)}"
        yield from (f"    {line}" for line in format_difference(difference, _VALUE_INDENT))
        if meaning := explain(difference):
            yield f"    {meaning}"
        if (option := _suggest_ignore(difference, locate(difference))) is not None:
            yield f"    this value looks random; to ignore it, add to [tool.multitrack]: {option}"
    if len(found) > _MAX_SHOWN:
        yield f"  and {len(found) - _MAX_SHOWN} more"


def _suggest_ignore(difference: Difference, location: str) -> str | None:
    """Return the setting that ignores ``difference``.

    Returns None if no setting can do this, or if the values do not look random.
    """
    path = format_json_path(difference.path)
    # a path in a form, a part or a line cannot be ignored
    is_json = location == str(difference)
    if path is None or not is_json or not looks_random(difference.recorded, difference.sent):
        return None
    return f"ignore = [{json.dumps(path)}]"
