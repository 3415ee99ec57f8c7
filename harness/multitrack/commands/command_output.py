"""Print the output of the commands without secrets, which can come from a cassette that another recorder wrote."""

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
    """Return ``text`` without secrets from environment variables and without text that looks like a secret.

    Names of projects and regions are kept, because a command in ``text`` may contain them in a path.
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
