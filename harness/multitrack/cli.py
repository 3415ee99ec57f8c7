"""The ``multitrack`` command line: the commands in this module and those in ``multitrack.commands``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from multitrack.errors import MultitrackError
from multitrack.printable import escape_controls
from multitrack.wording import count_noun

try:
    import typer
except ImportError:  # the base install has no command line
    from multitrack.installation import find_install_command

    sys.exit(f"the multitrack command requires typer, which is not installed; run: {find_install_command('test')}")

from multitrack.commands import command_line
from multitrack.commands.command_output import echo, redact_output

if TYPE_CHECKING:
    from multitrack.tape.file.cassette import Cassette

_EXIT_CODES = "Exit codes: 0 success, 1 problems found, 2 usage error."

app = typer.Typer(
    name="multitrack",
    help="Parallel tool calls, recorded once and tested forever.",
    epilog=_EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_Json = Annotated[bool, typer.Option("--json", help="print the result as JSON")]
_IGNORED = ("*.pending.yaml", "*.yaml.journal")
_DEFAULT = (
    "the default is cassettes_dir in pyproject.toml, otherwise every folder 'cassettes' below the current directory"
)
_TEXTCONV = 'git config diff.multitrack.textconv "multitrack show --textconv"'


def _print_version(is_set: bool) -> None:
    if is_set:
        from importlib.metadata import version

        echo(f"multitrack {version('multitrack')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="print the version", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    del version


@app.command(epilog=_EXIT_CODES)
def show(
    cassette: Annotated[Path, typer.Argument(help="a cassette, or a folder with cassettes and pending recordings")],
    textconv: Annotated[
        bool, typer.Option("--textconv", help="for git: print a damaged cassette unchanged instead of failing")
    ] = False,
    request: Annotated[
        bool, typer.Option("--request", help="also print the model, tools and messages of each request")
    ] = False,
    json: _Json = False,
) -> None:
    """Print the tool calls and messages of cassettes. This command can also serve as git's textconv command."""
    from multitrack.errors import CassetteCorrupt
    from multitrack.reporting.check import find_cassettes

    if textconv and json:
        raise typer.BadParameter("pass either --textconv or --json")
    if textconv and cassette.is_file():
        try:
            _show(cassette, requests=request)
        except CassetteCorrupt as error:
            # git does not show any file of a commit if its textconv command fails for one of them
            echo(f"damaged: {error.reason}")
            content = redact_output(cassette.read_bytes().decode("utf-8", "surrogateescape"))
            typer.echo(content.encode("utf-8", "surrogateescape"))
        return
    _require_cassettes("show", cassette)
    if json:
        _show_json(find_cassettes(cassette, pending=True), requests=request)
        return
    if not cassette.is_dir():
        _show(cassette, requests=request)
        return
    has_errors = False
    for number, path in enumerate(find_cassettes(cassette, pending=True)):
        echo(f"{chr(10) if number else ''}{path}", bold=True)
        try:
            _show(path, requests=request)
        except CassetteCorrupt as error:
            has_errors = True
            echo(str(error))
    if has_errors:
        raise typer.Exit(1)


def _show_json(found: Sequence[Path], *, requests: bool) -> None:
    from json import dumps

    from multitrack.errors import CassetteCorrupt
    from multitrack.reporting import cassette_data

    cassettes: list[dict[str, object]] = []
    for path in found:
        try:
            # the URLs of other recorders may hold secrets, too
            cassette = _read(path, redacted=True)
        except CassetteCorrupt as error:
            cassettes.append({"path": str(path), "problem": str(error)})
        else:
            cassettes.append({"path": str(path), **cassette_data.describe_cassette(cassette, requests=requests)})
    # outside JSON strings, nothing looks like a secret
    echo(_make_text_redactor()(dumps({"command": "show", "cassettes": cassettes}, indent=2)))
    if any("problem" in one for one in cassettes):
        raise typer.Exit(1)


def _read(path: Path, *, redacted: bool) -> Cassette:
    from multitrack.tape import project
    from multitrack.tape.file import storage
    from multitrack.tape.file.cassette import Cassette
    from multitrack.tape.foreign_redaction import make_foreign_redactor

    cassette = storage.read(path) or Cassette()
    return make_foreign_redactor(project.read_nearest(Path.cwd()).settings)(cassette) if redacted else cassette


def _show(path: Path, *, requests: bool) -> None:
    from multitrack.reporting import cassette_text

    # the requests of other recorders may hold secrets
    cassette = _read(path, redacted=requests)
    redact = _make_text_redactor()
    for line, is_heading in cassette_text.describe_cassette(cassette, requests=requests):
        echo(redact(line), bold=is_heading)


def _make_text_redactor() -> Callable[[str], str]:
    """Return a function that removes secrets from a string.

    Tapes redact what they record, but a cassette can contain secrets that were added by hand.
    """
    from multitrack.errors import BadOption
    from multitrack.tape import project
    from multitrack.tape.canonicalization import create_canonicalizer
    from multitrack.tape.settings import Settings

    try:
        settings = project.read_nearest(Path.cwd()).settings
    except BadOption:  # git shows nothing if its textconv command fails
        settings = Settings()
    return create_canonicalizer(settings).normalizer.redactor.redact_text


def _require_cassettes(command: str, path: Path) -> None:
    """Raise ``CassetteMissing`` if ``path`` is neither a cassette nor a folder with cassettes.

    Cassettes are recognized by their file suffix.
    """
    from multitrack.errors import CassetteMissing
    from multitrack.reporting.check import find_cassettes
    from multitrack.tape.file import paths

    expected = f"  multitrack {command} requires a cassette, or a folder with cassettes"
    if path.is_dir():
        if find_cassettes(path, pending=command == "show") == [path]:
            raise CassetteMissing(f"{path}: this folder has no cassettes\n{expected}")
    elif not path.exists():
        raise CassetteMissing(f"{path}: there is no such cassette\n{expected}")
    elif not path.name.endswith(paths.SUFFIXES):
        # without this check, a mistyped file name would be reported as a damaged cassette
        raise CassetteMissing(f"{path}: not a cassette\n{expected}")


def _find_folders() -> list[Path]:
    """Return the project's cassette folders: its ``cassettes_dir``, or every folder that is named ``cassettes``.

    Raises:
        MultitrackError: There is no such folder.
    """
    from multitrack.tape import project
    from multitrack.tape.file import paths

    folder = Path.cwd()
    configured = project.read_nearest(folder).cassettes_dir
    if configured is None:
        found = [paths.relative_to_cwd(path) for path in paths.find_cassette_folders(folder)]
        missing = "there is no folder 'cassettes' in the current directory or below it"
    else:
        found = [paths.relative_to_cwd(configured)] if configured.is_dir() else []
        missing = f"{configured}: this folder is set as cassettes_dir in pyproject.toml, but does not exist"
    if not found:
        raise MultitrackError(f"{missing}\n  pass the cassettes, or record some: pytest --record")
    return found


@app.command(epilog=_EXIT_CODES)
def check(
    paths: Annotated[
        list[Path] | None, typer.Argument(help=f"cassettes, or folders that contain cassettes; {_DEFAULT}")
    ] = None,
    max_age: Annotated[
        int | None, typer.Option(help="the allowed age in days; the default is max_age in pyproject.toml")
    ] = None,
    json: _Json = False,
) -> None:
    """Find cassettes that are damaged or too old, contain a secret, or belong to a test that no longer exists.

    To check a pending recording, pass its file.
    """
    from dataclasses import asdict, replace
    from datetime import UTC, datetime

    from multitrack.reporting import check as checking
    from multitrack.reporting import collected_tests
    from multitrack.tape import project

    folder = Path.cwd()
    settings = project.read_nearest(folder).settings
    settings = settings if max_age is None else replace(settings, max_age=max_age)
    paths = paths or _find_folders()
    cassettes = [cassette for path in paths for cassette in checking.find_cassettes(path)]
    problems = list(
        checking.find_problems(cassettes, settings, datetime.now(UTC), lambda: collected_tests.collect_tests(folder))
    )
    if json:
        from json import dumps

        pending = _count_pending(paths)
        listed = [asdict(problem) for problem in problems]
        echo(dumps({"command": "check", "cassettes": len(cassettes), "problems": listed, "pending": pending}, indent=2))
    else:
        for problem in problems:
            echo(str(problem))
        if not problems:
            echo(f"{count_noun(len(cassettes), 'cassette')}: no problems")
        _report_pending(paths)
    if problems:
        raise typer.Exit(1)


def _report_pending(paths: list[Path]) -> None:
    """Print how many files with pending recordings are in the folders ``paths``, and that they were not checked."""
    if count := _count_pending(paths):
        files = count_noun(count, "file")
        echo(f"not checked: {files} with pending recordings (multitrack accept moves them into the cassettes)")


def _count_pending(paths: list[Path]) -> int:
    from multitrack.tape.file import storage

    return sum(len(storage.find_pending(path)) for path in paths if path.is_dir())


@app.command(epilog=f"Example: multitrack diff main..HEAD\n\n{_EXIT_CODES}")
def diff(
    old: Annotated[
        str, typer.Argument(help="a cassette, a folder with cassettes, or two revisions such as main..HEAD")
    ],
    new: Annotated[
        list[Path] | None,
        typer.Argument(help="the other cassette or folder; after two revisions, the files and folders to compare"),
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="print Markdown")] = False,
    json: _Json = False,
) -> None:
    """Print which requests and tool calls differ between two cassettes, folders or git revisions.

    The comparison ignores ids, times, the layout of the file and the text that accompanies tool calls. The exit code is
    1 if the cassettes differ.
    """
    from multitrack.drift import cassette_diff, compared_files
    from multitrack.reporting import diff_formats
    from multitrack.tape import project
    from multitrack.tape.foreign_redaction import make_foreign_redactor

    if compared_files.is_revision_range(old):
        files = compared_files.find_changed_in_git(old, new or ())
    elif new is None or len(new) != 1:
        raise typer.BadParameter("pass two cassettes, two folders, or two revisions such as main..HEAD")
    else:
        files = compared_files.find_compared_files(Path(old), new[0])
    redact = make_foreign_redactor(project.read_nearest(Path.cwd()).settings)
    found = {file.name: diffs for file in files if (diffs := cassette_diff.compare_cassettes(*file.read(redact)))}
    formats = {"json": json, "markdown": markdown}
    style = next((name for name, is_set in formats.items() if is_set), "text")
    typer.echo(_make_text_redactor()(diff_formats.FORMATS[style](found)))
    if found:
        raise typer.Exit(1)


@app.command()
def revalidate(
    paths: Annotated[
        list[Path] | None, typer.Argument(help=f"cassettes, or folders that contain cassettes; {_DEFAULT}")
    ] = None,
    json: _Json = False,
) -> None:
    """Validate every recorded tool call with the current models, and list each failure with its field and JSON path.

    To validate a pending recording, pass its file.
    """
    from json import dumps

    from multitrack.diagnosis import model_importer, revalidation
    from multitrack.tape import project

    folder = Path.cwd()
    # before installed packages, as in pytest, so that the importer finds the same models as the tests do
    own_folders = model_importer.import_folders(folder)
    sys.path[:0] = own_folders
    importer = model_importer.ModelImporter(project.read_nearest(folder).models, own_folders)
    paths = paths or _find_folders()
    for path in paths:
        _require_cassettes("revalidate", path)
    report = revalidation.revalidate(paths, importer)
    echo(dumps(report.to_dict(), indent=2) if json else "\n".join(report.lines()))
    if not json:
        _report_pending(paths)
    if not report.is_good:
        raise typer.Exit(1)


@app.command()
def init(folder: Annotated[Path, typer.Argument(help="the root of the repository")] = Path()) -> None:
    """Set up git: ignore pending recordings, keep the line endings of cassettes, and show tool calls in diffs.

    Adds lines to .gitignore and .gitattributes.
    """
    if not folder.is_dir():
        raise MultitrackError(f"{folder}: there is no such folder\n  multitrack init requires the root of a repository")
    pattern = _find_pattern(folder)
    for name, line in (
        *((".gitignore", ignored) for ignored in _IGNORED),
        (".gitattributes", f"{pattern} text eol=lf"),
        (".gitattributes", f"{pattern} diff=multitrack"),
    ):
        file = folder / name
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        if line in lines:
            echo(f"{file} already has the line: {line}")
            continue
        file.write_text("\n".join([*lines, line, ""]), encoding="utf-8", newline="\n")
        echo(f"added to {file}: {line}")
    echo(f"to see tool calls in the output of git diff, run once in each clone: {_TEXTCONV}")


def _find_pattern(folder: Path) -> str:
    """Return the .gitattributes pattern that matches the cassettes in the repository at ``folder``."""
    from multitrack.tape import project

    root = folder.resolve()
    configured = project.read_nearest(root).cassettes_dir
    if configured is None or not configured.resolve().is_relative_to(root):
        return "**/cassettes/**/*.yaml"
    return f"{configured.resolve().relative_to(root).as_posix()}/**/*.yaml"


@app.command()
def demo(
    examples: Annotated[Path, typer.Argument(help="the folder with the examples")] = Path("examples"),
) -> None:
    """Record the examples from a local stand-in provider, replay them offline, and print the asserted calls."""
    if not (examples / "standin.yaml").is_file():
        raise MultitrackError(
            f"{examples}: this folder does not contain the examples\n"
            f"  multitrack demo requires the examples folder in Multitrack's repository"
        )
    try:
        # the stand-in imports these two when it starts
        import cryptography  # noqa: F401
        import trustme  # noqa: F401

        from multitrack import demo as demonstration
    except ImportError as error:
        from multitrack.installation import find_install_command

        raise MultitrackError(
            f"multitrack demo requires {error.name}, which is not installed; run: {find_install_command('all')}"
        ) from error

    sys.exit(demonstration.run(examples))


command_line.register(app, _find_folders)


def main() -> None:
    """Run the command line. If it raises a ``MultitrackError``, print the message and exit with code 1."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # the locale may not be able to encode the text of a cassette; git and other readers of a pipe expect UTF-8
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="replace")
    try:
        app()
    except MultitrackError as error:
        sys.exit(escape_controls(redact_output(f"multitrack: {error}")))
    except OSError as error:
        sys.exit(escape_controls(redact_output(f"multitrack: {error.filename or ''}: {error.strerror or error}")))
