"""The commands that change files, such as ``multitrack accept`` and ``multitrack undo``."""

from __future__ import annotations

import json as json_module
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from multitrack.commands.command_output import echo
from multitrack.errors import MultitrackError
from multitrack.wording import count_noun

if TYPE_CHECKING:
    from multitrack.commands.file_changes import FileChange
    from multitrack.commands.review_decisions import Decisions
    from multitrack.commands.review_items import ReviewItem
    from multitrack.run_facts import RunFacts
    from multitrack.shell_commands import ShellCommands
    from multitrack.tape.undo_log import UndoLog

_EXIT_CODES = "Exit codes: 0 success, 1 problems found, 2 usage error."

_PENDING = (
    "pending recordings, cassettes, folders, or ids from the output of multitrack review; the default is every "
    "pending recording of the project"
)
_DryRun = Annotated[bool, typer.Option("--dry-run", help="print what would be changed, and change nothing")]
_Json = Annotated[bool, typer.Option("--json", help="print the result as JSON")]
_Force = Annotated[bool, typer.Option("--force", help="also change files that have uncommitted changes")]


def register(app: typer.Typer, find_folders: Callable[[], list[Path]]) -> None:
    """Add Multitrack's commands to ``app``.

    Args:
        app: The command line.
        find_folders: Returns the project's cassette folders.
    """

    @app.command(epilog=f"Example: multitrack accept cassettes/test_trip/test_plan.pending.yaml\n\n{_EXIT_CODES}")
    def accept(
        paths: Annotated[list[Path] | None, typer.Argument(help=_PENDING)] = None,
        keep_errors: Annotated[
            bool, typer.Option("--keep-errors", help="also accept recordings in which a request failed")
        ] = False,
        dry_run: _DryRun = False,
        json: _Json = False,
        force: Annotated[
            bool, typer.Option("--force", help="if you pass ids: also change files that have uncommitted changes")
        ] = False,
    ) -> None:
        """Move each pending recording into its cassette. A recording with a failed request stays pending.

        No request is sent.

        To accept changed snapshots or reworded requests, pass their ids, which multitrack review prints.
        """
        from multitrack.commands.accept import accept_recordings, explain_nothing_pending
        from multitrack.commands.review_decisions import Decisions
        from multitrack.tape import project
        from multitrack.tape.file import storage
        from multitrack.tape.file.paths import cassette_path

        if paths and (ids := _split_ids(paths)):
            if keep_errors:
                raise typer.BadParameter("--keep-errors applies to paths, not to item ids")
            accepted = Decisions(dict.fromkeys(ids, "accept"))
            _decide("accept", accepted, find_folders, dry_run=dry_run, json=json, force=force)
            return
        named = paths or find_folders()
        pending = {path: storage.find_pending(path) for path in named}
        found = list(dict.fromkeys(file for files in pending.values() for file in files))
        if paths is None and not found:
            raise MultitrackError(f"there are no pending recordings in {', '.join(map(str, named))}")
        problems = [
            (str(path), explain_nothing_pending(path)) for path, files in pending.items() if not files and paths
        ]
        is_logged = bool(found) and not dry_run
        changed = [*found, *map(cassette_path, found)]
        with open_log().recording(format_command(), changed) if is_logged else nullcontext():
            settings = project.read_nearest(Path.cwd()).settings
            result = accept_recordings(found, settings, _find_commands(), keep_errors=keep_errors, dry_run=dry_run)
        problems += result.problems
        if json:
            changes = [{"action": "accept", "path": str(path)} for path in result.accepted]
            echo(json_module.dumps(to_report("accept", changes, problems, dry_run=dry_run), indent=2))
        else:
            for path in result.accepted:
                echo(f"would accept {path}" if dry_run else f"accepted {path}")
            for _, message in problems:
                echo(f"multitrack: {message}", err=True)
        if problems:
            raise typer.Exit(1)

    @app.command(epilog=f"Example: multitrack ignore s-0f3a9c21d4 --path Weather.day\n\n{_EXIT_CODES}")
    def ignore(
        ids: Annotated[
            list[str], typer.Argument(help="ids of changed snapshots, from the output of multitrack review")
        ],
        path: Annotated[
            list[str] | None,
            typer.Option("--path", help="a path to ignore; can be repeated; the default is every path of the items"),
        ] = None,
        dry_run: _DryRun = False,
        json: _Json = False,
    ) -> None:
        """Ignore arguments that differ from a snapshot: add their paths to pyproject.toml.

        multitrack review --json prints the paths. multitrack ignore adds them to snapshot_ignore in [tool.multitrack].
        After that, no calls_snapshot of the project compares them.
        """
        from multitrack.commands.review_decisions import Decisions

        decided = Decisions(ignored={id_: path or [] for id_ in ids})
        _decide("ignore", decided, find_folders, dry_run=dry_run, json=json, force=False)

    @app.command(epilog=f"Example: multitrack mv test_trip.py::test_old test_trip.py::test_new\n\n{_EXIT_CODES}")
    def mv(
        old: Annotated[
            str | None, typer.Argument(help="a folder, a test file, or the node id of a class or a test")
        ] = None,
        new: Annotated[str | None, typer.Argument(help="its new name")] = None,
        find: Annotated[
            bool,
            typer.Option(
                "--find",
                help="instead, print the commands for tests that seem to have been renamed or moved: they have no "
                "cassette, but the requests that they sent in the last run are in the cassette of a removed test",
            ),
        ] = False,
        dry_run: _DryRun = False,
        json: _Json = False,
        force: _Force = False,
    ) -> None:
        """Rename the cassettes, pending recordings and snapshots of a test that you have renamed or moved."""
        from multitrack.commands import move
        from multitrack.tape.owned_files import OwnedFiles

        files = OwnedFiles.of_project(Path.cwd())
        if find:
            if old is not None:
                raise typer.BadParameter("pass either --find, or the old and the new name")
            _print_moves(json=json)
            return
        if old is None or new is None:
            raise typer.BadParameter("pass the old and the new name, or --find")
        try:
            renaming = move.with_root((old, new), files)
        except move.BadNames as error:
            raise typer.BadParameter(str(error)) from None
        changes = move.plan_move(renaming, files)
        if not changes:
            raise MultitrackError(
                f"{renaming.old} has no cassette, no pending recording and no snapshot\n"
                "  pass the earlier name as pytest printed it, for example tests/test_trip.py::test_plan"
            )
        _finish("mv", changes, {}, dry_run=dry_run, json=json, force=force)

    @app.command(epilog=f"Example: multitrack convert tests/cassettes\n\n{_EXIT_CODES}")
    def convert(
        paths: Annotated[
            list[Path], typer.Argument(help="cassettes of other recorders, or folders that contain such cassettes")
        ],
        dry_run: _DryRun = False,
        json: _Json = False,
        force: _Force = False,
    ) -> None:
        """Convert cassettes of vcrpy and other recorders to Multitrack's format, and remove secrets from them."""
        from multitrack.commands import convert as converting
        from multitrack.reporting import collected_tests
        from multitrack.tape import project
        from multitrack.tape.foreign_redaction import make_foreign_redactor
        from multitrack.tape.owned_files import OwnedFiles

        folder = Path.cwd()
        settings = project.read_nearest(folder).settings
        if missing := next((path for path in paths if not path.exists()), None):
            raise MultitrackError(f"{missing}: there is no such cassette")
        found = [file.resolve() for path in paths for file in converting.find_cassettes(path)]
        try:
            tests = collected_tests.collect_tests(folder).tests
        except ValueError:  # the names of the tests are useful, but not necessary
            tests = frozenset()
        result = converting.plan_conversion(
            dict.fromkeys(found),
            make_foreign_redactor(settings),
            tests,
            OwnedFiles.of_project(folder),
            allowed=settings.allow_secrets,
        )
        counts = f"{count_noun(result.converted, 'cassette')} converted, {result.unchanged} already in this format"
        _finish("convert", result.changes, result.problems, dry_run=dry_run, json=json, force=force, summary=counts)

    @app.command(epilog=f"Example: pytest && multitrack prune --dry-run\n\n{_EXIT_CODES}")
    def prune(
        paths: Annotated[
            list[Path] | None,
            typer.Argument(
                help="cassettes, or folders that contain cassettes; the default is every cassette of the project"
            ),
        ] = None,
        dry_run: _DryRun = False,
        json: _Json = False,
        force: _Force = False,
    ) -> None:
        """Remove interactions that the last pytest run did not use. The run must have included all tests, and passed.

        Cassettes that no test uses are listed, but not removed.
        """
        from multitrack.commands import prune as pruning
        from multitrack.reporting.check import find_cassettes
        from multitrack.run_facts import read_facts
        from multitrack.tape.file import paths as cassette_paths

        found = [file.resolve() for path in paths or find_folders() for file in find_cassettes(path) if file.is_file()]
        result = pruning.plan_pruning(dict.fromkeys(found), read_facts(Path.cwd()))
        if not json:
            for path in result.unused:
                echo(f"no test uses {cassette_paths.relative_to_cwd(path)}")
        summary = f"{count_noun(result.removed, 'interaction')} removed"
        _finish("prune", result.changes, result.problems, dry_run=dry_run, json=json, force=force, summary=summary)

    @app.command(epilog=f"Example: multitrack rebind test_trip.py::test_plan --dry-run\n\n{_EXIT_CODES}")
    def rebind(
        tests: Annotated[
            list[str] | None,
            typer.Argument(help="node ids of tests, test files or folders; the default is all tests of the last run"),
        ] = None,
        dry_run: _DryRun = False,
        json: _Json = False,
        force: _Force = False,
    ) -> None:
        """Replace recorded requests with the reworded requests of the last run, and keep the recorded answers.

        Wording is the text of messages and instructions, and descriptions of tools and fields. No request is sent.
        """
        from multitrack.commands import rebind as rebinding
        from multitrack.run_facts import read_facts
        from multitrack.tape import project

        folder = Path.cwd()
        plan = rebinding.plan_rebinding(read_facts(folder), tests or (), project.read_nearest(folder).settings)
        if not json:
            for line in (line for request in plan.requests for line in request.lines()):
                echo(line)
            if not plan.requests and not plan.problems:
                echo("no test of the last run sent a request with a new wording")
        details = {"requests": [request.to_dict() for request in plan.requests]}
        _finish("rebind", plan.changes, plan.problems, dry_run=dry_run, json=json, force=force, details=details)

    @app.command(epilog=f"Example: multitrack reject cassettes/test_trip/test_plan.pending.yaml\n\n{_EXIT_CODES}")
    def reject(
        paths: Annotated[
            list[Path] | None,
            typer.Argument(help=_PENDING),
        ] = None,
        dry_run: _DryRun = False,
        json: _Json = False,
        force: _Force = False,
    ) -> None:
        """Remove pending recordings. The cassettes stay unchanged."""
        from multitrack.commands.file_changes import FileChange
        from multitrack.commands.review_decisions import Decisions
        from multitrack.tape.file import storage

        if paths and (ids := _split_ids(paths)):
            rejected = Decisions(dict.fromkeys(ids, "reject"))
            _decide("reject", rejected, find_folders, dry_run=dry_run, json=json, force=force)
            return
        named = paths or find_folders()
        files = dict.fromkeys(file.resolve() for path in named for file in storage.find_pending(path))
        if not files:
            raise MultitrackError(f"there are no pending recordings in {', '.join(map(str, named))}")
        changes = [FileChange(file, file.read_bytes(), None) for file in files]
        _finish("reject", changes, {}, dry_run=dry_run, json=json, force=force)

    @app.command(epilog=f"Example: multitrack review --json\n\n{_EXIT_CODES}")
    def review(json: _Json = False, force: _Force = False) -> None:
        """Go through everything that needs a decision: pending recordings, and problems of the last pytest run.

        A problem is a changed snapshot, a request without a recording, drift, or an audit finding.
        Without a terminal, the command only lists what needs a decision, with an id for each.
        The exit code is 1 if something is still undecided.
        """
        items = _list_items(find_folders)
        if json:
            echo(json_module.dumps({"version": 1, "items": [item.to_dict() for item in items]}, indent=2))
        elif not items:
            echo("there is nothing to review")
        elif _has_terminal():
            items = _review_in_terminal(items, find_folders, force=force)
        else:
            _print_items(items)
        if items:
            raise typer.Exit(1)

    @app.command(epilog=f"Example: multitrack undo --dry-run\n\n{_EXIT_CODES}")
    def undo(
        dry_run: _DryRun = False,
        json: _Json = False,
        force: Annotated[
            bool, typer.Option("--force", help="also restore files that have changed again since that command")
        ] = False,
    ) -> None:
        """Restore the files that the last mv, convert, prune, rebind, reject, accept, ignore or review changed.

        If pytest --calls-rebind changed cassettes after that command, restore those cassettes instead.

        A second undo reverts the first.
        """
        from multitrack.commands.file_changes import plan_undo

        command, changes = plan_undo(open_log(), force=force)
        summary = f"restored: the state before {command}"
        _finish("undo", changes, {}, dry_run=dry_run, json=json, force=True, summary=summary)


def _split_ids(names: Sequence[Path]) -> list[str]:
    """Return the item ids among the arguments. Empty if all arguments are paths.

    Raises:
        typer.BadParameter: Some arguments are ids, and others are paths.
    """
    from multitrack.commands.review_items import is_id

    ids = [str(name) for name in names if is_id(str(name)) and not name.exists()]
    if ids and len(ids) < len(names):
        raise typer.BadParameter("pass either paths or item ids, not both")
    return ids


def _read_last_run() -> RunFacts | None:
    from multitrack.run_facts import read_facts

    try:
        return read_facts(Path.cwd())
    except MultitrackError:  # pending recordings can be reviewed without a run
        return None


def _find_commands() -> ShellCommands:
    """Return an object that builds commands. If the options of the last run are known, the commands repeat them."""
    from multitrack.shell_commands import ShellCommands
    from multitrack.tape.owned_files import OwnedFiles

    facts = _read_last_run()
    return ShellCommands(OwnedFiles.of_project(Path.cwd()).root, Path.cwd()) if facts is None else facts.commands


def _list_items(find_folders: Callable[[], list[Path]]) -> list[ReviewItem]:
    from multitrack.commands.review_items import list_items
    from multitrack.tape import project
    from multitrack.tape.file import storage

    facts = _read_last_run()
    try:
        folders = find_folders()
    except MultitrackError:
        if facts is None:
            raise
        folders = []  # for example in a subfolder
    pending = dict.fromkeys(file for folder in folders for file in storage.find_pending(folder))
    settings = project.read_nearest(Path.cwd()).settings
    ignored = () if facts is None else project.read(facts.root / "pyproject.toml").snapshot_ignore
    return list_items(list(pending), facts, settings, ignored)


def _has_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _print_items(items: Sequence[ReviewItem]) -> None:
    from multitrack.commands.review_terminal import format_item

    for item in items:
        for line in format_item(item):
            echo(line)
    echo("")
    echo(f"{count_noun(len(items), 'item')} to review; to decide: multitrack accept|reject|ignore ID")


def _review_in_terminal(
    items: Sequence[ReviewItem], find_folders: Callable[[], list[Path]], *, force: bool
) -> list[ReviewItem]:
    """Ask for a decision about each item, and carry out the decisions. Return the items that are left."""
    from multitrack.commands.review_terminal import go_through, print_side_by_side

    decided = go_through(items, typer.getchar, echo, print_side_by_side)
    if decided.words or decided.ignored:
        _decide("review", decided, find_folders, dry_run=False, json=False, force=force)
    return [item for item in items if not decided.settles(item)]


def _decide(
    command: str,
    decisions: Decisions,
    find_folders: Callable[[], list[Path]],
    *,
    dry_run: bool,
    json: bool,
    force: bool,
) -> None:
    """Carry out the decisions about items. A single ``multitrack undo`` reverts all of them."""
    from multitrack.commands.accept import accept_recordings
    from multitrack.commands.file_changes import apply_changes, check_changes, list_shown
    from multitrack.commands.review_decisions import plan_decisions
    from multitrack.tape import project
    from multitrack.tape.file.paths import cassette_path

    settings = project.read_nearest(Path.cwd()).settings
    plan = plan_decisions(decisions, _list_items(find_folders), _read_last_run(), settings)
    problems = dict(plan.problems)
    if not dry_run:
        # before the log replaces that of the previous command
        check_changes(plan.changes, force=force)
    files = [*plan.pending, *map(cassette_path, plan.pending), *(change.path for change in plan.changes)]
    with open_log().recording(format_command(), files) if files and not dry_run else nullcontext():
        merged = accept_recordings(plan.pending, settings, _find_commands(), keep_errors=False, dry_run=dry_run)
        if not dry_run:
            apply_changes(plan.changes, None, "", force=force)
    problems |= dict(merged.problems)
    shown = [{"action": "accept", "path": str(path)} for path in merged.accepted]
    shown += [change.to_dict() for change in list_shown(plan.changes)]
    if json:
        echo(json_module.dumps(to_report(command, shown, problems.items(), dry_run=dry_run), indent=2))
    else:
        for change in shown:
            echo(f"{'would ' if dry_run else ''}{change['action']} {change['path']}")
        for message in problems.values():
            echo(f"multitrack: {message}", err=True)
    if problems:
        raise typer.Exit(1)


def _print_moves(*, json: bool) -> None:
    """Print the ``multitrack mv`` commands for the tests of the last run that seem to have been renamed or moved."""
    from multitrack.commands import move
    from multitrack.run_facts import read_facts
    from multitrack.tape.owned_files import OwnedFiles

    facts, files = read_facts(Path.cwd()), OwnedFiles.of_project(Path.cwd())
    commands: list[str] = []
    problems: list[tuple[str, str]] = []
    for moved in dict.fromkeys(one.moved_from for one in facts.misses if one.moved_from is not None):
        try:
            changes = move.plan_move(move.Renaming(*moved), files)
        except MultitrackError as error:
            problems.append((moved[0], str(error)))
            continue
        if changes:  # otherwise, the cassette has moved since the last run
            commands.append(facts.commands.move(moved))
    if json:
        report = to_report("mv", [], problems, dry_run=True)
        echo(json_module.dumps({**report, "commands": commands}, indent=2))
    else:
        for command in commands:
            echo(command)
        for _, message in problems:
            echo(f"multitrack: {message}", err=True)
        if not commands and not problems:
            echo(
                "no renamed test found: no cassette of a removed test contains the requests that missed in the last run"
            )
    if problems:
        raise typer.Exit(1)


def open_log() -> UndoLog:
    """Return the undo log for the project in the current directory."""
    from multitrack.tape.undo_log import UndoLog

    return UndoLog.of_project(Path.cwd())


def format_command() -> str:
    """Return the command line of this process, as the user typed it."""
    return shlex.join(["multitrack", *sys.argv[1:]])


def _finish(
    command: str,
    changes: Sequence[FileChange],
    problems: Mapping[str, str],
    *,
    dry_run: bool,
    json: bool,
    force: bool,
    summary: str = "",
    details: Mapping[str, object] | None = None,
) -> None:
    """Make the changes unless this is a dry run, print them, and exit with 1 if there are problems."""
    from multitrack.commands.file_changes import apply_changes, list_shown

    if changes and not dry_run:
        apply_changes(changes, open_log(), format_command(), force=force)
    if json:
        shown = [change.to_dict() for change in list_shown(changes)]
        report = {**to_report(command, shown, problems.items(), dry_run=dry_run), **(details or {})}
        echo(json_module.dumps(report, indent=2))
    else:
        for change in list_shown(changes):
            echo(f"would {change}" if dry_run else str(change))
        for problem in problems.values():
            echo(f"multitrack: {problem}", err=True)
        if summary and not dry_run:
            echo(summary)
    if problems:
        raise typer.Exit(1)


def to_report(
    command: str, changes: Sequence[Mapping[str, str]], problems: Iterable[tuple[str, str]], *, dry_run: bool
) -> dict[str, object]:
    """Return the result of a command as plain data, for ``--json``.

    Args:
        command: The name of the command.
        changes: The changes that the command made, or would make.
        problems: The files that the command could not change, each with a message.
        dry_run: Whether this was a dry run, which changes nothing.
    """
    listed = [{"path": path, "message": message} for path, message in problems]
    return {"command": command, "dry_run": dry_run, "changes": list(changes), "problems": listed}
