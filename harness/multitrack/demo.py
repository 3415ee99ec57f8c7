"""``multitrack demo``: record the examples from the stand-in provider, replay them offline, and compare the cassettes.

The new cassettes are compared with the committed ones. The replay has no API key, no cloud project, and no
network if the operating system can block it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from multitrack import wires
from multitrack.errors import MultitrackError
from multitrack.printable import escape_controls, escape_line
from multitrack.standin import StandIn
from multitrack.tape.file import storage
from multitrack.tape.file.cassette import Cassette
from multitrack.tool_call import ToolCall

# The variables that a Python process needs. None of them is a credential or configures a provider.
_KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "SYSTEMROOT", "VIRTUAL_ENV")


class DemoFailed(MultitrackError):
    """A step of the demo failed."""


def run(examples: Path) -> int:
    """Run the demo on the tests in ``examples``, and print each step.

    The committed cassettes are in the ``cassettes`` folder next to ``examples``. New cassettes are recorded in a
    temporary folder, so that no project file is written.

    Returns:
        The exit code: 0 for success, 1 if a step failed.
    """
    console = Console(highlight=False, soft_wrap=True)
    try:
        with tempfile.TemporaryDirectory(prefix="multitrack-demo-") as scratch:
            _run_steps(examples, Path(scratch), console)
    except DemoFailed as error:
        console.print(escape_controls(f"demo failed: {error}"), style="red", markup=False)
        return 1
    return 0


def _run_steps(examples: Path, scratch: Path, console: Console) -> None:
    cassettes = scratch / "cassettes"
    committed_folder = examples.parent / "cassettes" / examples.name
    with StandIn(script=examples / "standin.yaml") as standin:
        environment = dict(standin.environment)
        console.print("1  record: pytest --record, with a stand-in provider on real sockets (HTTPS and gRPC)")
        output = _run_pytest(examples, cassettes, environment, scratch, "--record")
        console.print(f"   {_last_line(output)}; the stand-in answered {len(standin.requests)} requests")
    console.print("2  replay: the provider is stopped; no key, no project, an empty home folder")
    isolation = _find_isolation_command()
    output = _run_pytest(examples, cassettes, {}, scratch, prefix=isolation)
    console.print(f"   {_last_line(output)}" + (", in a network namespace without any interface" if isolation else ""))

    recorded = _load_cassettes(cassettes / examples.name)
    committed = _load_cassettes(committed_folder)
    skipped = _find_skipped_modules(committed, recorded)
    committed = {name: cassette for name, cassette in committed.items() if Path(name).parts[0] not in skipped}
    _compare(committed, recorded)
    console.print(
        f"3  compare: the {len(recorded)} new cassettes have the same calls as the committed ones in {committed_folder}"
    )
    if skipped:
        modules = ", ".join(sorted(skipped))
        console.print(f"   the cassettes of these tests were not compared, because an SDK is not installed: {modules}")
    for names, lines in _group_by_calls(committed):
        for line in lines:
            console.print(f"     {escape_line(line)}", markup=False)
        console.print(f"     in {', '.join(names)}", markup=False)

    console.print("4  snapshots: the tests assert these calls, in any order")
    for file in sorted((examples / "__snapshots__").glob("*.calls")):
        if file.stem in skipped:
            continue
        names = re.findall(r"^# name: (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
        console.print(f"     {file}: {', '.join(names)}", markup=False)

    leaked = _find_leaked_variables(cassettes, environment)
    if leaked:
        raise DemoFailed(f"the new cassettes contain values from the recording environment: {', '.join(leaked)}")
    console.print("5  redaction: the cassettes contain no credential and no project name")


def _run_pytest(
    examples: Path,
    cassettes: Path,
    environment: Mapping[str, str],
    scratch: Path,
    *options: str,
    prefix: Sequence[str] = (),
) -> str:
    home = scratch / "home"
    home.mkdir(exist_ok=True)
    variables = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    command = [sys.executable, "-m", "pytest", str(examples), "-q", "-p", "no:cacheprovider"]
    finished = subprocess.run(
        [*prefix, *command, f"--cassettes-dir={cassettes}", *options],
        env={**variables, "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        check=False,
    )
    if finished.returncode != 0:
        raise DemoFailed(f"{' '.join(command)} failed with exit code {finished.returncode}:\n{finished.stdout}")
    return finished.stdout


def _find_isolation_command() -> Sequence[str]:
    """Return the command prefix that runs a command without network access.

    Empty if the operating system does not permit isolation. The command then has network access, but sends nothing,
    because every request is replayed.
    """
    if (unshare := shutil.which("unshare")) is None:
        return ()
    command = (unshare, "--map-root-user", "--net", "--")
    is_permitted = subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0
    return command if is_permitted else ()


def _last_line(output: str) -> str:
    lines = output.strip().splitlines()
    return re.sub(r" in [\d.]+s.*$", "", lines[-1]) if lines else "no output"


def _load_cassettes(folder: Path) -> dict[str, Cassette]:
    return {
        str(path.relative_to(folder)): cassette
        for path in sorted(folder.rglob("*.yaml"))
        if (cassette := storage.read(path)) is not None
    }


def _find_skipped_modules(committed: Iterable[str], recorded: Iterable[str]) -> set[str]:
    """Return the test modules without a new recording. pytest skips a module if its SDK is not installed."""
    modules, ran = ({Path(name).parts[0] for name in names} for names in (committed, recorded))
    return modules - ran


def _compare(committed: Mapping[str, Cassette], recorded: Mapping[str, Cassette]) -> None:
    if committed.keys() != recorded.keys():
        differing = ", ".join(sorted(committed.keys() ^ recorded.keys()))
        raise DemoFailed(
            f"the names of the new cassettes differ from the names of the committed cassettes: {differing}; "
            "record the examples again"
        )
    for name, cassette in recorded.items():
        if _read_calls(committed[name]) != _read_calls(cassette):
            raise DemoFailed(
                f"the calls in the committed cassette {name} differ from the calls in the new cassette; "
                "record the examples again"
            )


def _read_calls(cassette: Cassette) -> list[ToolCall]:
    """Return the calls in a cassette. Sort the arguments, because protobuf does not keep their order."""
    bodies = [interaction.response.body for interaction in cassette.interactions]
    return [
        replace(call, id=None, arguments=json.dumps(json.loads(call.arguments or "{}"), sort_keys=True))
        for body in bodies
        if wires.recognize(body)
        for call in wires.decode(body)
    ]


def _group_by_calls(cassettes: Mapping[str, Cassette]) -> Iterator[tuple[list[str], list[str]]]:
    """Group the cassettes by their calls. Yield the names of the cassettes in each group, and the calls."""
    groups: dict[tuple[ToolCall, ...], list[str]] = {}
    for name, cassette in cassettes.items():
        groups.setdefault(tuple(_read_calls(cassette)), []).append(name)
    return ((names, [str(call) for call in calls]) for calls, names in groups.items())


def _find_leaked_variables(folder: Path, environment: Mapping[str, str]) -> list[str]:
    text = "".join(path.read_text(encoding="utf-8") for path in folder.rglob("*") if path.is_file())
    return [name for name, value in _private_variables(environment) if value in text]


def _private_variables(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in environment.items():
        if name.endswith(("_KEY", "_PROJECT")):
            yield name, value
