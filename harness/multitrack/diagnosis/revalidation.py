"""Validate every recorded tool call with the current models, without running a test."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from multitrack.diagnosis.call_results import parse_answer, validate_calls
from multitrack.diagnosis.error_location import locate_error
from multitrack.diagnosis.model_importer import ModelImporter, ModelNotFound, format_toml_key
from multitrack.errors import CassetteCorrupt, CassetteMissing, InvalidArguments
from multitrack.progress import track
from multitrack.tape.file import paths, storage
from multitrack.tape.interaction import Interaction
from multitrack.tape.project import find_pyproject
from multitrack.wording import count_noun


@dataclass(frozen=True, slots=True)
class BrokenCall:
    """A recorded tool call that fails validation with the current Pydantic model.

    Args:
        tape: The path of the cassette, as shown in reports.
        interaction: The position of the interaction, starting at 1.
        call: The position of the call in its response, starting at 1.
        model: The name of the model's class.
        field: The field of the class. Empty if the error concerns the whole class.
        path: The JSON path of the invalid value in the call's arguments.
        error: The error message.
    """

    tape: str
    interaction: int
    call: int
    model: str
    field: str
    path: str
    error: str

    def __str__(self) -> str:
        location = f"{self.model}.{self.field}" if self.field else self.model
        return f"{self.tape}: interaction {self.interaction}, call {self.call}: {location} at {self.path}: {self.error}"


@dataclass(slots=True)
class RevalidationReport:
    """The result of ``revalidate``.

    Args:
        tapes: The number of cassettes that were read.
        calls: The number of recorded calls.
        breaks: The calls that do not match the current models.
        unchecked: The number of calls that could not be validated, for each pair of a tool and a reason.
        unreadable: A message for each damaged cassette.
        is_configured: Whether pyproject.toml lists models, or packages that define models.
        settings: Lines to add to pyproject.toml, so that more calls can be checked.
    """

    tapes: int = 0
    calls: int = 0
    breaks: list[BrokenCall] = field(default_factory=list)
    unchecked: Counter[tuple[str, str]] = field(default_factory=Counter)
    unreadable: list[str] = field(default_factory=list)
    is_configured: bool = True
    settings: Sequence[str] = ()

    @property
    def is_good(self) -> bool:
        """True if every checked call is valid, every cassette can be read, and at least one call was checked.

        If the cassettes contain no calls, or the project configures no models, no call needs to be checked.
        """
        is_checked = self.checked > 0 or self.calls == 0 or not self.is_configured
        return not self.breaks and not self.unreadable and is_checked

    @property
    def checked(self) -> int:
        """The number of calls that were validated."""
        return self.calls - sum(self.unchecked.values())

    def lines(self) -> Iterator[str]:
        """Yield one line for each problem, and a last line with the totals."""
        yield from map(str, self.breaks)
        yield from self.unreadable
        if self.calls and not self.checked and not self.is_configured and self.settings:
            yield f"{count_noun(self.calls, 'recorded call')} in {count_noun(self.tapes, 'cassette')}, none checked yet"
            yield "To check these calls, add the modules that define their models to pyproject.toml:"
            yield from (f"  {line}" for line in self.settings)
            return
        for (tool, reason), count in self.unchecked.items():
            yield f"not checked: {count_noun(count, 'call')} of {tool}: {reason}"
        broken = len({(entry.tape, entry.interaction, entry.call) for entry in self.breaks})
        checked_calls = count_noun(self.checked, "call")
        cassettes = count_noun(self.tapes, "cassette")
        if broken:
            affected_cassettes = f"{len({entry.tape for entry in self.breaks})} of {cassettes}"
            verb = "does" if broken == 1 else "do"
            yield f"{broken} of {checked_calls} {verb} not match the current models, in {affected_cassettes}"
        else:
            verb = "matches" if self.checked == 1 else "match"
            yield f"{checked_calls} in {cassettes} {verb} the current models"

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data, for ``--json``."""
        return {
            "tapes": self.tapes,
            "calls": self.calls,
            "breaks": [asdict(entry) for entry in self.breaks],
            "unchecked": [
                {"tool": tool, "calls": count, "reason": reason} for (tool, reason), count in self.unchecked.items()
            ],
            "unreadable": self.unreadable,
        }


def revalidate(targets: Iterable[Path], importer: ModelImporter) -> RevalidationReport:
    """Validate the calls in cassettes with the current models. ``targets`` are cassettes or folders.

    A call that was already invalid when its test passed is not reported, because the test expects the error.

    Raises:
        CassetteMissing: A path does not exist.
    """
    report = RevalidationReport(is_configured=importer.is_configured)
    pyproject = find_pyproject(Path.cwd())
    root = pyproject.parent if pyproject is not None else Path.cwd()
    for path in track(_find_cassettes(targets), "revalidating cassettes"):
        try:
            cassette = storage.read(path)
        except CassetteCorrupt as error:
            report.unreadable.append(str(error).splitlines()[0])
            continue
        report.tapes += 1
        for position, interaction in enumerate(cassette.interactions if cassette else (), start=1):
            importer.add_test_folders(root, interaction.tests)
            _revalidate(path, position, interaction, importer, report)
    report.settings = list(_suggest_settings(importer))
    return report


def _suggest_settings(importer: ModelImporter) -> Iterator[str]:
    if importer.suggested_packages or importer.unknown_tools:
        yield "[tool.multitrack.models]"
    if importer.suggested_packages:
        yield f"packages = [{', '.join(map(json.dumps, sorted(importer.suggested_packages)))}]"
    if importer.unknown_tools:
        tools = ", ".join(
            f'{format_toml_key(name)} = "package.module:{name}"' for name in sorted(importer.unknown_tools)
        )
        yield f"tools = {{{tools}}}"


def _find_cassettes(targets: Iterable[Path]) -> Iterator[Path]:
    for path in targets:
        if path.is_dir():
            yield from paths.list_cassettes(path)
        elif path.exists():
            yield path
        else:
            raise CassetteMissing(f"{path}: there is no such cassette")


def _revalidate(
    path: Path, position: int, interaction: Interaction, importer: ModelImporter, report: RevalidationReport
) -> None:
    answer = parse_answer(interaction.response.body)
    if answer is None or not answer.calls:
        return
    models: dict[str, type[BaseModel]] = {}
    import_paths = dict(interaction.models)
    report.calls += len(answer.calls)
    for call in answer.calls:
        if call.name in models:
            continue
        try:
            models[call.name] = importer.import_model(call.name, import_paths.get(call.name))
        except ModelNotFound as error:
            report.unchecked[call.name, str(error)] += 1
    for number, result in enumerate(validate_calls(answer, models, offered=False)):
        model, outcome = result.model, result.outcome
        if model is None or isinstance(outcome, BaseModel):
            continue
        if not isinstance(outcome, InvalidArguments):
            report.unchecked[result.call.name, f"a validator raised {type(outcome).__name__}: {outcome}"] += 1
            continue
        before = (interaction.results or ())[number : number + 1]
        if before and before[0].startswith("invalid"):
            continue
        for detail in outcome.details or [{"loc": (), "msg": str(outcome)}]:
            location = locate_error(model, detail["loc"], result.call.arguments)
            report.breaks.append(
                BrokenCall(
                    str(paths.relative_to_cwd(path)),
                    position,
                    number + 1,
                    location.owner,
                    location.field,
                    location.path,
                    _describe_error(detail),
                )
            )


def _describe_error(detail: Any) -> str:
    received = "" if detail.get("type") == "missing" or "input" not in detail else f", not {detail['input']!r:.80}"
    return f"{detail['msg']}{received}"
