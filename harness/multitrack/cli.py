"""The command line: ``multitrack show``, ``check``, ``accept``, ``revalidate``, ``init`` and ``demo``."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

from multitrack.errors import MultitrackError
from multitrack.wording import count_noun

try:
    import typer
except ImportError:  # the base install has no command line
    sys.exit("the multitrack command needs: pip install 'multitrack[test]'")

_EXIT_CODES = "Exit codes: 0 all is well; 1 something is wrong, and printed; 2 the command was not understood."

app = typer.Typer(
    name="multitrack",
    help="Parallel tool calls, recorded once and tested forever.",
    epilog=_EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_IGNORED = "*.pending.yaml"
_ATTRIBUTES = "cassettes/**/*.yaml text eol=lf"


@app.command(epilog=_EXIT_CODES)
def show(
    tape: Annotated[Path, typer.Argument(help="a cassette")],
    textconv: Annotated[
        bool, typer.Option("--textconv", help="for git: print a damaged tape as it is, and exit with 0")
    ] = False,
) -> None:
    """Print the tool calls of a tape, and what was said beside them; for git, too, as its textconv."""
    from multitrack.errors import CassetteCorrupt, CassetteMissing
    from multitrack.reporting import cassette_text
    from multitrack.tape.file import storage

    try:
        cassette = storage.read(tape)
    except CassetteCorrupt as error:
        if not textconv or not tape.is_file():
            raise
        # git shows no file of a commit at all if its textconv fails for one
        typer.echo(f"damaged: {error.reason}")
        typer.echo(tape.read_bytes())
        return
    if cassette is None:
        raise CassetteMissing(f"{tape}: there is no such cassette")
    for line, is_heading in cassette_text.describe_cassette(cassette):
        # without a terminal, typer leaves the style out
        typer.secho(line, bold=is_heading)


@app.command(epilog=_EXIT_CODES)
def check(
    paths: Annotated[list[Path], typer.Argument(help="cassettes, or folders of them")],
    max_age: Annotated[int | None, typer.Option(help="days; without it, max_age in pyproject.toml")] = None,
) -> None:
    """Say what is wrong with tapes: damaged, old, holding a secret, or of a test that no longer exists."""
    from dataclasses import replace
    from datetime import UTC, datetime

    from multitrack.reporting import check as checking
    from multitrack.reporting import collected_tests
    from multitrack.tape import project

    folder = Path.cwd()
    settings = project.read_nearest(folder).settings
    settings = settings if max_age is None else replace(settings, max_age=max_age)
    tapes = [tape for path in paths for tape in checking.tapes(path)]
    findings = list(
        checking.findings(tapes, settings, datetime.now(UTC), lambda: collected_tests.collect_tests(folder))
    )
    for finding in findings:
        typer.echo(finding)
    if findings:
        raise typer.Exit(1)
    typer.echo(f"{count_noun(len(tapes), 'cassette')}: no problems")


@app.command()
def accept(paths: Annotated[list[Path], typer.Argument(help="pending recordings, tapes, or folders of them")]) -> None:
    """Put pending recordings onto their tapes. Nothing goes live."""
    from multitrack.tape import project
    from multitrack.tape.file import storage
    from multitrack.tape.foreign_redaction import make_foreign_redactor

    adopt = make_foreign_redactor(project.read_nearest(Path.cwd()).settings)
    for path in paths:
        accepted = list(storage.accept_pending(path, adopt))
        if not accepted:
            raise MultitrackError(f"{path}: there is no pending recording")
        for tape in accepted:
            typer.echo(f"accepted {tape}")


@app.command()
def revalidate(
    paths: Annotated[list[Path], typer.Argument(help="cassettes, or folders of them")],
    json: Annotated[bool, typer.Option("--json", help="print what is found as JSON")] = False,
) -> None:
    """Run today's models on every recorded answer: which tapes would break, by class, field and JSON path."""
    from json import dumps

    from multitrack.diagnosis import model_importer, revalidation
    from multitrack.tape import project

    folder = Path.cwd()
    # before what is installed, as pytest has it: the models that the tests import
    sys.path[:0] = model_importer.import_folders(folder)
    report = revalidation.revalidate(paths, model_importer.ModelImporter(project.read_nearest(folder).models))
    typer.echo(dumps(report.to_dict(), indent=2) if json else "\n".join(report.lines()))
    if not report.is_good:
        raise typer.Exit(1)


@app.command()
def init(folder: Annotated[Path, typer.Argument(help="the root of a repository")] = Path()) -> None:
    """Tell git to ignore pending recordings, and to leave the line ends of tapes alone."""
    for name, line in ((".gitignore", _IGNORED), (".gitattributes", _ATTRIBUTES)):
        file = folder / name
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        if line in lines:
            typer.echo(f"{file} already has the line: {line}")
            continue
        file.write_text("\n".join([*lines, line, ""]), encoding="utf-8", newline="\n")
        typer.echo(f"added to {file}: {line}")


@app.command()
def demo(
    examples: Annotated[Path, typer.Argument(help="the folder of the examples")] = Path("examples"),
) -> None:
    """Record the examples from a local stand-in provider, replay them with nothing, and show what was asserted."""
    from multitrack import demo as demonstration

    sys.exit(demonstration.run(examples))


def main() -> None:
    """Run the command line; an error of Multitrack's own is told in its words, with exit code 1."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # a locale may lack what stands on a tape; git, and who else reads from a pipe, takes UTF-8
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="replace")
    try:
        app()
    except MultitrackError as error:
        sys.exit(f"multitrack: {error}")
