"""Write the generated part of docs/behaviours.md: what each behaviour is, and what extraction makes of it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import BaseModel
from scripts.behaviours.wire_requests import RequestOptions, build_request

from multitrack import Toolset, errors, wires
from multitrack.library import Behaviour, behaviours
from multitrack.library.behaviour_answers import BehaviourAnswers
from multitrack.library.catalogue import CELLS, ENTRIES, WIRES, CatalogueEntry
from multitrack.tape.exchange import Request, Response
from multitrack.wires import WireAnswer

_MARKED = re.compile(r"(<!-- written by `make cassettes` -->\n).*?(<!-- end -->\n)", re.DOTALL)
_GRPC_URL = "grpc://us-central1-aiplatform.googleapis.com/google.cloud.aiplatform.v1beta1.PredictionService"
_GRPC_CODES = {
    "3": "INVALID_ARGUMENT",
    "4": "DEADLINE_EXCEEDED",
    "8": "RESOURCE_EXHAUSTED",
    "13": "INTERNAL",
    "14": "UNAVAILABLE",
    "16": "UNAUTHENTICATED",
}
_LONGEST = 100


class Weather(BaseModel):
    """The weather at a place."""

    location: str
    units: Literal["imperial", "metric"]


class GoogleSearch(BaseModel):
    """A search of the web."""

    query: str


_TOOLS = Toolset(Iterable[Weather | GoogleSearch])


def write_page(page: str) -> str:
    """Return ``page`` with the generated part written again."""
    text = "\n".join(_write_all())
    return _MARKED.sub(lambda match: f"{match[1]}\n{text}\n\n{match[2]}", page)


def _write_all() -> Iterator[str]:
    found = {(one.wire, one.name): one for one in behaviours()}
    origins = Counter(one.provenance for one in found.values())
    missing = [(entry.name, cell) for entry in ENTRIES for cell in CELLS if _is_missing(entry, cell, found)]
    absent = sum(len(entry.absent) for entry in ENTRIES)
    total = len(ENTRIES) * len(CELLS)
    unrecorded = f", and {len(missing)} are not yet recorded" if missing else ""
    yield (
        f"There are {len(ENTRIES)} behaviours in {len(CELLS)} wire formats, which makes {total} combinations. "
        f"Of these, {len(found)} have a cassette ({origins['corpus']} `corpus`, {origins['standin']} `standin`), "
        f"{'' if missing else 'and '}{absent} do not occur{unrecorded}."
    )
    for entry in ENTRIES:
        yield from _write_entry(entry, [one for one in found.values() if one.name == entry.name], missing)


def _is_missing(entry: CatalogueEntry, cell: str, found: Iterable[tuple[str, str]]) -> bool:
    return cell not in entry.absent and (cell, entry.name) not in found


def _write_entry(
    entry: CatalogueEntry, found: Iterable[Behaviour], missing: Iterable[tuple[str, str]]
) -> Iterator[str]:
    yield from ("", f"### {entry.name}", "", entry.description, "")
    yield from (f"Seen: {', '.join(map(_format_link, entry.seen))}", "")
    yield from ("| wire format | recorded calls | origin | extraction |", "| --- | --- | --- | --- |")
    groups: dict[tuple[str, str, str], list[str]] = {}
    for one in found:
        groups.setdefault((_format_calls(one), _format_origin(one), describe_outcome(one)), []).append(one.wire)
    for (calls, origin, outcome), cells in groups.items():
        yield f"| {_join(cells)} | {calls} | {origin} | {outcome} |"
    reasons: dict[str, list[str]] = {}
    for cell in CELLS:
        if cell in entry.absent:
            reasons.setdefault(entry.absent[cell], []).append(cell)
    unrecorded = [cell for name, cell in missing if name == entry.name]
    if reasons or unrecorded:
        yield ""
    for reason, cells in reasons.items():
        yield f"- This behaviour does not occur in {_describe_cells(cells)}, because {_link_urls(reason)}."
    if unrecorded:
        yield f"- Not yet recorded: {_join(unrecorded)}."


def _describe_cells(cells: list[str]) -> str:
    wires = [wire for wire in WIRES if wire in cells]
    if wires == cells == list(WIRES):
        return "unstreamed answers"
    if cells == [cell for wire in wires for cell in (wire, f"{wire}.stream")]:
        return f"{_join(wires, ' and ')}, streamed or not"
    return _join(cells, " and ")


def _join(cells: Iterable[str], last: str = ", ") -> str:
    *others, end = (f"`{cell}`" for cell in cells)
    return last.join([*([", ".join(others)] if others else []), end])


def _format_link(source: str) -> str:
    return f"<{source}>" if source.startswith("https://") else source


def _link_urls(text: str) -> str:
    return re.sub(r"https://[^\s,]*[^\s,.:]", r"<\g<0>>", text)


def _format_calls(behaviour: Behaviour) -> str:
    calls = [str(call) for call in behaviour.calls]
    shown = [call if len(call) <= _LONGEST else f"{call[: _LONGEST - 1]}…" for call in calls]
    return "<br>".join(f"`{call.replace('|', '&#124;')}`".replace("\n", "\\n") for call in shown) or "none"


def _format_origin(behaviour: Behaviour) -> str:
    return f"corpus: `{behaviour.source.rpartition('/')[2]}`" if behaviour.source else behaviour.provenance


def ask(behaviour: Behaviour) -> list[Response]:
    """Return the responses of ``behaviour`` to requests that offer the two tools."""
    sent = build_request(behaviour.wire, RequestOptions())
    method = "StreamGenerateContent" if behaviour.wire.endswith(".stream") else "GenerateContent"
    request = Request("POST", sent.url or f"{_GRPC_URL}/{method}", (), json.dumps(sent.document).encode())
    answers = BehaviourAnswers(behaviour.wire, behaviour.name)
    return [answers.answer(request).response for _ in behaviour.interactions]


def describe_outcome(behaviour: Behaviour) -> str:
    """Return what extraction makes of the answers of ``behaviour``."""
    return ", then ".join(_describe(response, behaviour) for response in ask(behaviour))


def _describe(response: Response, behaviour: Behaviour) -> str:
    status = response.header("grpc-status") or "0"
    if response.ending == "unanswered":
        return f"the client's error for {'a timeout' if behaviour.name == 'read_timeout' else 'a closed connection'}"
    answer = wires.read_answer(response.body, behaviour.wire_format) if response.body else WireAnswer()
    if response.status >= 400:
        return f"the client's error for status {response.status}"
    if status != "0" and not answer.calls:
        return f"the client's error for {_GRPC_CODES[status]}"
    if behaviour.wire.endswith(".stream") and (not answer.is_complete or response.ending != "complete"):
        extraction = _TOOLS.parse(answer.calls, on_error="collect", allow_empty=True)
        return f"`StreamBroken`, {_count_models(len(extraction))} before it"
    try:
        return _count_models(len(_TOOLS.extract(answer)))
    except errors.ExtractionError as error:
        valid = f", {_count_models(len(error.models))}" if error.models else ""
        return f"`{type(error).__name__}`{valid}"


def _count_models(count: int) -> str:
    return f"{count} model{'' if count == 1 else 's'}"
