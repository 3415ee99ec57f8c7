"""``multitrack accept``: move pending recordings into their cassettes."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from multitrack.errors import MultitrackError
from multitrack.shell_commands import ShellCommands
from multitrack.tape.failed_interactions import explain_refusal
from multitrack.tape.file import paths, storage
from multitrack.tape.foreign_redaction import make_foreign_redactor
from multitrack.tape.settings import Settings


@dataclass
class Acceptance:
    """The result of ``accept_recordings``."""

    accepted: list[Path] = field(default_factory=list)
    """The cassettes that have changed, or would change."""
    problems: list[tuple[str, str]] = field(default_factory=list)
    """The path of each pending recording that was not accepted, with the reason."""


def accept_recordings(
    files: Iterable[Path], settings: Settings, commands: ShellCommands, *, keep_errors: bool, dry_run: bool
) -> Acceptance:
    """Merge the pending recordings in ``files`` into their cassettes.

    Args:
        files: The files with pending recordings.
        settings: The project's settings.
        commands: Builds the commands that the descriptions of problems show.
        keep_errors: Whether to accept recordings in which a request failed.
        dry_run: Whether to leave all files unchanged.
    """
    adopt = make_foreign_redactor(settings)
    refuse: storage.Refuse = (lambda *_: None) if keep_errors or settings.keep_errors else explain_refusal
    result = Acceptance()
    for file in files:
        try:
            merged = storage.accept_pending(file, adopt, refuse, dry_run=dry_run)
        except MultitrackError as error:
            result.problems.append((str(file), str(error)))
            continue
        if merged.accepted:
            result.accepted.append(paths.cassette_path(file))
        result.problems += [
            (str(file), _explain_refusal(file, test, reason, commands)) for test, reason in merged.refused
        ]
    return result


def _explain_refusal(file: Path, test: str | None, reason: str, commands: ShellCommands) -> str:
    command = commands.record([] if test is None else [test])
    owner = "" if test is None else f" of {test}"
    return (
        f"{file}: not accepted, because a request{owner} failed: {reason}\n"
        f"  to record it again: {command}\n"
        f"  if the test expects this failure: multitrack accept --keep-errors {shlex.quote(str(file))}"
    )


def explain_nothing_pending(path: Path) -> str:
    """Return why there is nothing to accept for ``path``."""
    if path.is_dir():
        found = "this folder has no pending recordings"
    elif path.exists():
        found = "this file has no pending recording"
    else:
        found = "this file does not exist and has no pending recording"
    return f"{path}: {found}\n  pass a pending recording (*{paths.PENDING_SUFFIX}), its cassette, or its folder"
