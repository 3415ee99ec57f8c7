"""Today's models on every recorded answer, without running a test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from multitrack.diagnosis.call_results import parse_answer, validate_calls
from multitrack.diagnosis.error_location import locate_error
from multitrack.diagnosis.model_importer import ModelImporter, ModelNotFound
from multitrack.errors import CassetteCorrupt, CassetteMissing, InvalidArguments
from multitrack.tape.file import paths, recorded_answers
from multitrack.tape.file.recorded_answers import RecordedAnswer
from multitrack.wording import count_noun


@dataclass(frozen=True, slots=True)
class BrokenCall:
    """A recorded call that today's model refuses: the ``call`` (from 1) of the ``interaction`` (from 1) on a ``tape``;
    by what ``error``, in which field of which ``model``, and at which ``path`` of the arguments."""

    tape: str
    interaction: int
    call: int
    model: str
    field: str
    path: str
    error: str

    def __str__(self) -> str:
        place = f"{self.model}.{self.field}" if self.field else self.model
        return f"{self.tape}: interaction {self.interaction}, call {self.call}: {place} at {self.path}: {self.error}"


@dataclass(slots=True)
class RevalidationReport:
    """What `revalidate` found. ``unchecked`` counts the calls of each tool that no model is known for, with the reason;
    ``unreadable`` are tapes that are damaged, by why."""

    tapes: int = 0
    calls: int = 0
    breaks: list[BrokenCall] = field(default_factory=list)
    unchecked: Counter[tuple[str, str]] = field(default_factory=Counter)
    unreadable: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether all that could be read fits, and something was checked if there was anything to check."""
        checked = self.calls - sum(self.unchecked.values())
        return not self.breaks and not self.unreadable and (checked > 0 or self.calls == 0)

    def lines(self) -> Iterator[str]:
        """One line for each finding, and a last one for all."""
        yield from map(str, self.breaks)
        yield from self.unreadable
        for (tool, reason), count in self.unchecked.items():
            yield f"not checked: {count_noun(count, 'call')} of {tool}: {reason}"
        broken = len({(entry.tape, entry.interaction, entry.call) for entry in self.breaks})
        on = count_noun(self.tapes, "cassette")
        checked = self.calls - sum(self.unchecked.values())
        if broken:
            tapes = len({entry.tape for entry in self.breaks})
            yield f"{broken} of {count_noun(checked, 'call')} would break, in {tapes} of {on}"
        else:
            yield f"{count_noun(checked, 'call')} in {on} {'matches' if checked == 1 else 'match'} the current models"

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values."""
        return {
            "tapes": self.tapes,
            "calls": self.calls,
            "breaks": [asdict(entry) for entry in self.breaks],
            "unchecked": [
                {"tool": tool, "calls": count, "reason": reason} for (tool, reason), count in self.unchecked.items()
            ],
            "unreadable": self.unreadable,
        }


def revalidate(named: Iterable[Path], importer: ModelImporter) -> RevalidationReport:
    """Which calls on the tapes ``named``, or in folders of them, today's models refuse.

    A call that was refused when its test passed is what the test is about, and no finding. Raises `CassetteMissing`
    for a path where nothing is.
    """
    report = RevalidationReport()
    for path in _tapes(named):
        try:
            answers = recorded_answers.read(path)
        except CassetteCorrupt as error:
            report.unreadable.append(str(error).splitlines()[0])
            continue
        report.tapes += 1
        for position, recorded in enumerate(answers, start=1):
            _revalidate(path, position, recorded, importer, report)
    return report


def _tapes(named: Iterable[Path]) -> Iterator[Path]:
    for path in named:
        if path.is_dir():
            yield from sorted(one for one in path.rglob("*.yaml") if not one.name.endswith(paths.PENDING_SUFFIX))
        elif path.exists():
            yield path
        else:
            raise CassetteMissing(f"{path}: there is no such cassette")


def _revalidate(
    path: Path, position: int, recorded: RecordedAnswer, importer: ModelImporter, report: RevalidationReport
) -> None:
    answer = parse_answer(recorded.body)
    if answer is None or not answer.calls:
        return
    models: dict[str, type[BaseModel]] = {}
    report.calls += len(answer.calls)
    for call in answer.calls:
        if call.name in models:
            continue
        try:
            models[call.name] = importer.model(call.name, recorded.models.get(call.name))
        except ModelNotFound as error:
            report.unchecked[call.name, str(error)] += 1
    for number, result in enumerate(validate_calls(answer, models, offered=False)):
        model, came = result.model, result.outcome
        if model is None or isinstance(came, BaseModel):
            continue
        if not isinstance(came, InvalidArguments):
            report.unchecked[result.call.name, f"a validator raised {type(came).__name__}: {came}"] += 1
            continue
        before = recorded.results[number : number + 1]
        if before and before[0].startswith("invalid"):
            continue
        for detail in came.details or [{"loc": (), "msg": str(came)}]:
            place = locate_error(model, detail["loc"], result.call.arguments)
            report.breaks.append(
                BrokenCall(
                    str(paths.relative_to_cwd(path)),
                    position,
                    number + 1,
                    place.owner,
                    place.field,
                    place.path,
                    _told(detail),
                )
            )


def _told(detail: Any) -> str:
    given = "" if detail.get("type") == "missing" or "input" not in detail else f", not {detail['input']!r:.80}"
    return f"{detail['msg']}{given}"
