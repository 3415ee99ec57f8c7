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
    sys.exit("the multitrack command requires the extra 'test': pip install 'multitrack[test]'")

_EXIT_CODES = "Exit codes: 0 success, 1 problems found, 2 usage error."

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
    cassette: Annotated[Path, typer.Argument(help="the cassette")],
    textconv: Annotated[
        bool, typer.Option("--textconv", help="for git: print a damaged cassette as it is, and exit with 0")
    ] = False,
) -> None:
    """Print the tool calls and messages of a cassette. Also usable as a textconv command of git."""
    from multitrack.errors import CassetteCorrupt, CassetteMissing
    from multitrack.reporting import cassette_text
    from multitrack.tape.file import storage

    try:
        content = storage.read(cassette)
    except CassetteCorrupt as error:
        if not textconv or not cassette.is_file():
            raise
        # git does not show any file of a commit if its textconv command fails for one of them
        typer.echo(f"damaged: {error.reason}")
        typer.echo(cassette.read_bytes())
        return
    if content is None:
        raise CassetteMissing(f"{cassette}: there is no such cassette")
    for line, is_heading in cassette_text.describe_cassette(content):
        # typer leaves the style out if the output is not a terminal
        typer.secho(line, bold=is_heading)


@app.command(epilog=_EXIT_CODES)
def check(
    paths: Annotated[list[Path], typer.Argument(help="cassettes, or folders with cassettes")],
    max_age: Annotated[
        int | None, typer.Option(help="the allowed age in days; the default is max_age in pyproject.toml")
    ] = None,
) -> None:
    """Find cassettes that are damaged, too old, contain a secret, or belong to a test that no longer exists."""
    from dataclasses import replace
    from datetime import UTC, datetime

    from multitrack.reporting import check as checking
    from multitrack.reporting import collected_tests
    from multitrack.tape import project

    folder = Path.cwd()
    settings = project.read_nearest(folder).settings
    settings = settings if max_age is None else replace(settings, max_age=max_age)
    cassettes = [cassette for path in paths for cassette in checking.find_cassettes(path)]
    problems = list(
        checking.find_problems(cassettes, settings, datetime.now(UTC), lambda: collected_tests.collect_tests(folder))
    )
    for problem in problems:
        typer.echo(problem)
    if problems:
        raise typer.Exit(1)
    typer.echo(f"{count_noun(len(cassettes), 'cassette')}: no problems")


@app.command()
def accept(
    paths: Annotated[list[Path], typer.Argument(help="pending recordings, their cassettes, or folders with them")],
) -> None:
    """Move pending recordings into their cassettes. No request is sent."""
    from multitrack.tape import project
    from multitrack.tape.file import storage
    from multitrack.tape.foreign_redaction import make_foreign_redactor

    adopt = make_foreign_redactor(project.read_nearest(Path.cwd()).settings)
    for path in paths:
        accepted = list(storage.accept_pending(path, adopt))
        if not accepted:
            raise MultitrackError(f"{path}: there is no pending recording")
        for cassette in accepted:
            typer.echo(f"accepted {cassette}")


@app.command()
def revalidate(
    paths: Annotated[list[Path], typer.Argument(help="cassettes, or folders with cassettes")],
    json: Annotated[bool, typer.Option("--json", help="print the result as JSON")] = False,
) -> None:
    """Validate every recorded tool call with the current models, and report those that fail by field and JSON path."""
    from json import dumps

    from multitrack.diagnosis import model_importer, revalidation
    from multitrack.tape import project

    folder = Path.cwd()
    # before installed packages, as in pytest, so that the same models are found as by the tests
    sys.path[:0] = model_importer.import_folders(folder)
    report = revalidation.revalidate(paths, model_importer.ModelImporter(project.read_nearest(folder).models))
    typer.echo(dumps(report.to_dict(), indent=2) if json else "\n".join(report.lines()))
    if not report.is_good:
        raise typer.Exit(1)


@app.command()
def init(folder: Annotated[Path, typer.Argument(help="the root of the repository")] = Path()) -> None:
    """Add the lines for cassettes to .gitignore and .gitattributes: ignore pending recordings, keep line endings."""
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
    examples: Annotated[Path, typer.Argument(help="the folder with the examples")] = Path("examples"),
) -> None:
    """Record the examples from a local stand-in provider, replay them offline, and print what they assert."""
    from multitrack import demo as demonstration

    sys.exit(demonstration.run(examples))


def main() -> None:
    """Run the command line. For an error of Multitrack, print its message and exit with code 1."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # the locale may not be able to encode the text of a cassette; git and other readers of a pipe expect UTF-8
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="replace")
    try:
        app()
    except MultitrackError as error:
        sys.exit(f"multitrack: {error}")
