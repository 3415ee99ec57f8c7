"""Print the output of the commands. A cassette may contain secrets, for example if another recorder wrote it."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from multitrack.printable import escape_controls

if TYPE_CHECKING:
    from multitrack.tape.redaction.redactor import Redactor


def echo(text: str, *, bold: bool = False, err: bool = False) -> None:
    """Print ``text`` without secrets, and with escaped control characters. ``bold`` only affects terminals."""
    typer.secho(escape_controls(redact_output(text)), bold=bold or None, err=err)


def redact_output(text: str) -> str:
    """Return ``text`` without the secrets that the environment holds, and without those that have a known shape.

    Names of projects and regions stay, because a command in ``text`` may contain them in a path.
    """
    return _create_redactor(Path.cwd(), tuple(os.environ.items())).redact_secrets(text)


@lru_cache(maxsize=1)
def _create_redactor(folder: Path, environment: tuple[tuple[str, str], ...]) -> Redactor:
    from multitrack.errors import BadOption
    from multitrack.tape import project
    from multitrack.tape.redaction.redactor import Redactor
    from multitrack.tape.settings import Settings

    try:
        settings = project.read_nearest(folder).settings
    except BadOption:  # the message about the bad option is printed, too
        settings = Settings()
    return Redactor(dict(environment), allow_secrets=settings.allow_secrets)
