"""Find problems with cassettes for ``multitrack check``, without replaying the cassettes."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from multitrack.errors import CassetteCorrupt
from multitrack.reporting.collected_tests import CollectedTests
from multitrack.tape.file import cassette_reader, paths, storage
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.interaction import Interaction
from multitrack.tape.redaction import secrets
from multitrack.tape.redaction.byte_arrays import find_in_byte_arrays
from multitrack.tape.redaction.environment_secrets import find_in_environment
from multitrack.tape.redaction.redactor import Redactor
from multitrack.tape.redaction.shapes import find_shapes
from multitrack.tape.redaction.word_boundaries import REDACTED
from multitrack.tape.settings import Settings
from multitrack.wording import enumerate_positions


@dataclass(frozen=True, slots=True)
class CassetteProblem:
    """A problem with a cassette.

    Args:
        path: The cassette. Empty if the problem does not concern a single cassette.
        kind: What is wrong, in one or two words.
        message: The details, and what to do next.
        line: The number of the line, from 1. None if the problem concerns the whole file.
    """

    path: str
    kind: str
    message: str
    line: int | None = None

    def __str__(self) -> str:
        location = self.path if self.line is None else f"{self.path}:{self.line}"
        return ": ".join(part for part in (location, self.kind, self.message) if part)


def find_cassettes(path: Path, *, pending: bool = False) -> Sequence[Path]:
    """Return all cassettes in the folder ``path``.

    Return ``path`` itself if it is a file, or if the folder has no cassettes.

    Args:
        path: A folder or a file.
        pending: Whether to include the files with pending recordings. Default False.
    """
    return paths.list_cassettes(path, pending=pending) or [path]


def find_problems(
    found: Sequence[Path], settings: Settings, now: datetime, collect: Callable[[], CollectedTests]
) -> Iterator[CassetteProblem]:
    """Yield the problems with the cassettes.

    It is a problem if a cassette

    - is missing or damaged
    - contains a secret
    - is older than the ``max_age`` setting
    - belongs to a test that no longer exists

    Args:
        found: The cassettes.
        settings: The project's settings.
        now: The time from which the age is computed.
        collect: Collects the project's tests. Called only if the cassettes contain names of tests.
    """
    readable: list[tuple[Path, Cassette]] = []
    for path in found:
        if path.is_dir():
            yield CassetteProblem(str(path), "no cassettes in this folder", "")
            continue
        if path.is_file() and not path.name.endswith(paths.SUFFIXES):
            requires = "multitrack check requires a cassette, or a folder with cassettes"
            yield CassetteProblem(str(path), "not a cassette", requires)
            continue
        try:
            cassette = storage.read(path)
        except CassetteCorrupt as error:
            kind, advice = ("damaged", "") if error.is_damaged else ("unreadable", f": {error.advice}")
            yield CassetteProblem(str(path), kind, f"{error.reason}{advice}", error.line)
            continue
        if cassette is None:
            yield CassetteProblem(str(path), "missing", "there is no such cassette")
            continue
        yield from _find_secrets(path, cassette, settings.allow_secrets)
        yield from _check_age(path, cassette, settings.max_age, now)
        for other in paths.find_other_formats(path):
            yield CassetteProblem(str(other), f"not replayed, because {path} has replaced it", "delete the old file")
        readable.append((path, cassette))
    yield from _find_orphans(readable, collect)


def _find_secrets(path: Path, cassette: Cassette, allowed: Collection[str]) -> Iterator[CassetteProblem]:
    held = {secret for secret in find_in_environment(os.environ).values if secret not in allowed}
    # other recorders may compress the file
    text = cassette_reader.decompress(path.read_bytes(), path).decode()
    # an array may have a line for each number
    for start, _, _ in find_in_byte_arrays(text, Redactor(os.environ, allow_secrets=tuple(allowed)).redact_secrets):
        number = text.count("\n", 0, start) + 1
        yield CassetteProblem(str(path), "secret", "an array of bytes that spells a credential", number)
    for number, line in enumerate(text.splitlines(), start=1):
        if find_shapes(line, allowed):
            yield CassetteProblem(str(path), "secret", "a value that looks like a credential", number)
        elif any(secret in line for secret in held):
            value = "the value of a credential variable in the environment"
            yield CassetteProblem(str(path), "secret", value, number)
    for position, interaction in enumerate(cassette.interactions, start=1):
        if any(REDACTED not in value and value not in allowed for value in _sent_credentials(interaction)):
            where = f"in the headers or the URL of interaction {position}"
            yield CassetteProblem(str(path), "secret", f"a credential {where}")


def _sent_credentials(interaction: Interaction) -> Iterator[str]:
    yield from secrets.find_in_request(interaction.request.headers, interaction.request.url)
    yield from secrets.find_in_request(interaction.response.headers, "")


def _check_age(path: Path, cassette: Cassette, max_age: int, now: datetime) -> Iterator[CassetteProblem]:
    recorded = cassette.recorded_at
    if max_age and recorded is not None and (days := (now - recorded).days) > max_age:
        yield CassetteProblem(str(path), "old", f"recorded {days} days ago; max_age is {max_age} days")


def _find_orphans(
    readable: Sequence[tuple[Path, Cassette]], collect: Callable[[], CollectedTests]
) -> Iterator[CassetteProblem]:
    owned = [
        (path, position, test)
        for path, cassette in readable
        if not path.name.endswith(paths.PENDING_SUFFIX)
        for position, interaction in enumerate(cassette.interactions, start=1)
        for test in interaction.tests
        if "::" in test  # a name without "::" belongs to a fixture
    ]
    if not owned:
        return
    try:
        collected = collect()
    except ValueError as error:
        reason = f"not checked, because pytest could not collect the tests: {error}"
        yield CassetteProblem("", "orphans", reason)
        return
    in_use = {_default_name(test) for test in collected.tests}
    lost: dict[tuple[Path, str], list[int]] = {}
    for path, position, test in owned:
        # if the cassette of a renamed test was moved as well, it still contains the old name
        if collected.lacks(test) and (path.parent.name, path.stem) not in in_use:
            lost.setdefault((path, test), []).append(position)
    for (path, test), positions in lost.items():
        advice = _advise(path, test, owned)
        message = f"there is no test {test} ({enumerate_positions(positions)}): {advice}"
        yield CassetteProblem(str(path), "orphan", message)


def _default_name(test: str) -> tuple[str, str]:
    """Return the folder and the name of the default cassette of ``test``, a node id."""
    file, _, name = test.partition("::")
    function, bracket, parameters = name.partition("[")
    qualified_name = function.replace("::", ".") + bracket + parameters
    return paths.file_name(Path(file).stem), paths.file_name(qualified_name)


def _advise(path: Path, test: str, owned: Sequence[tuple[Path, int, str]]) -> str:
    """Return advice about the recordings of a missing ``test`` in the cassette at ``path``."""
    if any(other != test for owner, _, other in owned if owner == path):
        return "other tests share this cassette: delete the file, and record those tests again (pytest --record)"
    return "if the test was renamed, run the tests, and then: multitrack mv --find; otherwise delete the file"
