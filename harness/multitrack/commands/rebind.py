"""``multitrack rebind``: replace recorded requests whose wording changed, and keep their answers."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from multitrack.commands.file_changes import FileChange
from multitrack.errors import CassetteCorrupt
from multitrack.run_facts import ChangedRequest, RunFacts
from multitrack.shell_commands import ShellCommands
from multitrack.tape import miss
from multitrack.tape.canonicalization import create_canonicalizer
from multitrack.tape.exchange import Request
from multitrack.tape.file import cassette_reader, paths, storage
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.file.cassette_writer import dump_cassette
from multitrack.tape.file.rebinding import Rebinding, apply_rebindings
from multitrack.tape.interaction import Interaction
from multitrack.tape.matching.index import RecordedEntry
from multitrack.tape.matching.matching_key import MatchingKey
from multitrack.tape.miss.nearest_recording import NearestRecording
from multitrack.tape.redaction.shapes import has_credential_shape
from multitrack.tape.settings import Settings


@dataclass(frozen=True, slots=True)
class ReboundRequest:
    """A recorded request that is replaced with the request of a later run."""

    test: str
    cassette: str
    interaction: int
    """The position of the interaction in the cassette, from 1."""
    differences: Sequence[str]
    """The lines that show how the new request differs from the recorded one."""

    def lines(self) -> Iterator[str]:
        """Yield the lines that describe this request in the output."""
        yield f"{self.test or self.cassette}: interaction {self.interaction} of {self.cassette}"
        yield from self.differences

    def to_dict(self) -> dict[str, Any]:
        """Return the request as plain data, for ``--json``."""
        return {
            "test": self.test,
            "cassette": self.cassette,
            "interaction": self.interaction,
            "differences": list(self.differences),
        }


@dataclass
class RebindingPlan:
    """The result of ``plan_rebinding``."""

    changes: list[FileChange] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    """Why a request is not replaced, by its test or its cassette."""
    requests: list[ReboundRequest] = field(default_factory=list)


def plan_rebinding(facts: RunFacts, tests: Sequence[str], settings: Settings) -> RebindingPlan:
    """Plan the replacement of recorded requests with the requests that the last run sent.

    A request is replaced if only its wording changed.

    Args:
        facts: The facts about the last run.
        tests: The node ids of tests, test files or folders. Empty for all tests in the run.
        settings: The project's settings.
    """
    plan = RebindingPlan()
    found = list(_select(facts, tests, plan))
    by_cassette: dict[str, list[ChangedRequest]] = {}
    for request in found:
        if problem := _find_problem(request, facts.commands):
            plan.problems[request.test or request.cassette] = problem
        else:
            by_cassette.setdefault(request.cassette, []).append(request)
    for name, requests in by_cassette.items():
        _rebind(facts, name, requests, settings, plan)
    return plan


def _select(facts: RunFacts, tests: Sequence[str], plan: RebindingPlan) -> Iterator[ChangedRequest]:
    requests = (*facts.misses, *facts.audited)
    if not tests:
        yield from requests
        return
    selected: dict[int, ChangedRequest] = {}
    for text in tests:
        names = _list_names(text, facts.root)
        matching = {number: one for number, one in enumerate(requests) if _belongs_to(one.test, names)}
        if not matching:
            plan.problems[text] = (
                f"{text}: nothing to rebind: the last run left out this test, or all its requests have recordings\n"
                f"  to run the test: {_format_run(names, facts)}"
            )
        selected |= matching
    yield from (selected[number] for number in sorted(selected))


def _list_names(text: str, root: Path) -> Sequence[str]:
    """Return the test name ``text`` in two forms: as given, and with its path relative to pytest's root."""
    path, separator, rest = text.partition("::")
    here = Path(os.path.relpath(Path.cwd() / path, root)).as_posix()
    return text, f"{here}{separator}{rest}"


def _format_run(names: Sequence[str], facts: RunFacts) -> str:
    """Return the command that runs the last entry of ``names`` whose file or folder exists."""
    name = next((one for one in reversed(names) if (facts.root / one.partition("::")[0]).exists()), "")
    # a path is passed from pytest's root; without a path, the name is that of a fixture
    return facts.commands.run([name], *([] if "::" in name or not name else [name]))


def _belongs_to(test: str, names: Sequence[str]) -> bool:
    # the last name starts at pytest's root, so that "." means the current folder
    return names[-1] == "." or any(
        test == name or test.startswith((f"{name}::", f"{name}[", f"{name}/")) for name in names
    )


def _find_problem(request: ChangedRequest, commands: ShellCommands) -> str | None:
    """Return why ``request`` cannot replace a recorded request. None if it can."""
    name = request.test or request.cassette
    if request.moved_from is not None:
        return (
            f"{name}: the request is recorded in the cassette of {request.moved_from[0]}\n"
            "  to find the command that moves the cassette: multitrack mv --find"
        )
    if not request.is_only_wording or request.nearest is None:
        differs = "has no recording" if request.nearest is None else "differs in more than its wording"
        return f"{name}: the request {differs}\n  to record it: {commands.record([request.test])}"
    if request.request is None:
        command = commands.run([request.test])
        return (
            f"{name}: the last run did not store this request, because the run had too many large requests\n"
            f"  run fewer tests: {command}"
        )
    return None


def _rebind(
    facts: RunFacts, name: str, requests: Sequence[ChangedRequest], settings: Settings, plan: RebindingPlan
) -> None:
    path = facts.root / name
    shown = str(paths.relative_to_cwd(path))
    tests = list(dict.fromkeys(request.test for request in requests))
    repeat = f"run {'the test' if len(tests) == 1 else 'the tests'} again: {facts.commands.run(tests)}"
    storage.merge_journal(path)
    if facts.find_problem(path) is not None:
        plan.problems[shown] = f"{shown}: changed since the last run\n  {repeat}"
        return
    content = path.read_bytes()
    try:
        cassette = cassette_reader.load_cassette(content, path)
    except CassetteCorrupt as error:
        plan.problems[shown] = str(error)
        return
    rebindings: dict[Rebinding, ReboundRequest] = {}
    canonicalizer = create_canonicalizer(settings)
    strip, redact = canonicalizer.rules.strip_ignored, canonicalizer.normalizer.redactor.redact_text
    for one in requests:
        position, recorded, sent = _locate(one, cassette)
        entry = RecordedEntry(position, recorded, MatchingKey.from_request(recorded.request))
        nearest = NearestRecording(entry, strip(recorded.request), strip(sent), moved=False)
        differences = [redact(line) for line in miss.list_differences(nearest, {})]
        rebinding = Rebinding(recorded, sent.body, one.test or None, frozenset(one.pseudonyms))
        rebindings[rebinding] = ReboundRequest(one.test, shown, position, differences)
    changed, lost = apply_rebindings(cassette, rebindings)
    after = dump_cassette(changed)
    if lost:
        plan.problems[shown] = f"{shown}: several tests changed the same request in different ways\n  {repeat}"
    elif has_credential_shape(after, settings.allow_secrets):
        plan.problems[shown] = (
            f"{shown}: not changed, because the new text would contain a string that looks like a credential\n"
            "  if the string is not a secret, list it in allow_secrets"
        )
    else:
        plan.requests += rebindings.values()
        plan.changes.append(FileChange(path, content, after.encode()))


def _locate(changed: ChangedRequest, cassette: Cassette) -> tuple[int, Interaction, Request]:
    """Find the recording nearest to a changed request. Return its position, the recording, and the new request."""
    if changed.request is None or changed.nearest is None:
        raise ValueError(f"{changed.test}: the facts lack the request")
    stored = changed.request
    sent = Request(stored.method, stored.url, tuple(stored.headers), stored.body)
    return changed.nearest, cassette.interactions[changed.nearest - 1], sent
