"""``python -m multitrack.standin``: run the stand-in until Ctrl-C or SIGTERM."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from typing import Annotated, NoReturn

import typer

from multitrack.standin.environment import exports
from multitrack.standin.script import ScriptError
from multitrack.standin.standin import StandIn


def run(
    script: Annotated[Path | None, typer.Option(help="Rules, in YAML: which request gets which answer.")] = None,
    answers: Annotated[
        Path | None, typer.Option(help="Recorded answers, one JSON object on each line, played first.")
    ] = None,
    host: Annotated[
        list[str] | None, typer.Option(help="Another host (or glob) to stand in for. May be repeated.")
    ] = None,
    port: Annotated[int, typer.Option(help="The port of plain HTTP and of the proxy; 0 takes a free one.")] = 0,
    env_file: Annotated[
        Path | None,
        typer.Option(help="Write the export lines here once ready, for `source`; removed at the end."),
    ] = None,
) -> None:
    """Stand in for OpenAI and Vertex AI on this machine.

    Prints the environment in which unmodified applications reach it, as export lines, then serves.
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
            _fail(f"port {port} cannot be had: {error.strerror}; name another, or none for a free one")
        lines = exports(standin.environment)
        sys.stdout.write(
            "# The environment in which applications reach the stand-in under the providers' own host names:\n"
            f"{lines}"
            "# Or, for OpenAI's clients alone:\n"
            f"# export OPENAI_BASE_URL={standin.openai_base_url}\n"
            "# Serving; Ctrl-C ends it.\n"
        )
        sys.stdout.flush()
        if env_file is not None:
            _write_private(env_file, lines)
            stack.callback(env_file.unlink, missing_ok=True)
        stopped.wait()


def _write_private(path: Path, text: str) -> None:
    """Write ``text`` at once, readable by its owner alone: whoever waits for the file finds it whole."""
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
