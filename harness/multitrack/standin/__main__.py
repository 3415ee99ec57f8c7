"""``python -m multitrack.standin``: run the stand-in provider until Ctrl-C or SIGTERM."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from typing import Annotated, NoReturn

try:
    import cryptography  # noqa: F401 - the stand-in imports these two when it starts
    import trustme  # noqa: F401
    import typer

    from multitrack.standin.environment import format_exports
    from multitrack.standin.script import ScriptError
    from multitrack.standin.standin import StandIn
except ImportError as error:
    from multitrack.installation import find_install_command

    sys.exit(
        f"multitrack.standin requires {error.name}, which is not installed; run: {find_install_command('standin')}"
    )


def run(
    script: Annotated[
        Path | None, typer.Option(help="YAML file with rules that select the answer to each request.")
    ] = None,
    answers: Annotated[
        Path | None,
        typer.Option(
            help="File of recorded responses, one JSON object per line. The stand-in uses them before the rules."
        ),
    ] = None,
    host: Annotated[
        list[str] | None, typer.Option(help="Another host name, or a glob, to stand in for. Can be repeated.")
    ] = None,
    port: Annotated[int, typer.Option(help="Port for plain HTTP and for the proxy; 0 picks a free port.")] = 0,
    env_file: Annotated[
        Path | None,
        typer.Option(
            help="File to write the export lines to, for use with `source`. The stand-in removes the file on exit."
        ),
    ] = None,
) -> None:
    """Run a local server that imitates the providers.

    Prints export lines for the variables that let unmodified applications reach the server, then serves requests.
    """
    stopped = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with ExitStack() as stack:
        try:
            standin = stack.enter_context(StandIn(script=script, answers=answers, hosts=host or (), port=port))
        except ScriptError as error:
            _fail(str(error))
        except OSError as error:
            _fail(
                f"cannot listen on port {port}: {error.strerror}; choose another --port, or omit --port to use a free "
                "port"
            )
        lines = format_exports(standin.environment)
        sys.stdout.write(
            "# With these variables, applications reach the stand-in under the providers' own host names:\n"
            f"{lines}"
            "# OpenAI's and Anthropic's clients can also reach it with one of the following variables alone:\n"
            f"# export OPENAI_BASE_URL={standin.openai_base_url}\n"
            f"# export ANTHROPIC_BASE_URL={standin.anthropic_base_url}\n"
            "# Serving; press Ctrl-C to stop.\n"
        )
        sys.stdout.flush()
        if env_file is not None:
            _write_private_file(env_file, lines)
            stack.callback(env_file.unlink, missing_ok=True)
        stopped.wait()


def _write_private_file(path: Path, text: str) -> None:
    """Write a file that only its owner can read. Other processes see either the whole file or no file."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    unfinished.replace(path)


def _fail(message: str) -> NoReturn:
    sys.stderr.write(f"multitrack.standin: {message}\n")
    raise SystemExit(2)


def main() -> None:
    """Run the command line."""
    typer.run(run)


if __name__ == "__main__":
    main()
