"""The main job at one command: record the examples from the stand-in provider, replay them with nothing, compare."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from multitrack import wires
from multitrack.errors import MultitrackError
from multitrack.standin import StandIn
from multitrack.tape.file import storage
from multitrack.tape.file.cassette import Cassette
from multitrack.tool_call import ToolCall

# what a Python process needs of its surroundings; nothing here is a credential or tells of a provider
_NEUTRAL = ("PATH", "LANG", "LC_ALL", "SYSTEMROOT", "VIRTUAL_ENV")


class DemoFailed(MultitrackError):
    """A step of the demo did not go as it must."""


def run(examples: Path) -> int:
    """Run the demo on the tests in ``examples``, whose tapes are committed in ``cassettes`` beside that folder.

    Records and replays below a temporary folder; no file of the project is written. Returns the exit code: 0, or 1
    if a step failed, which it then prints.
    """
    console = Console(highlight=False, soft_wrap=True)
    try:
        with tempfile.TemporaryDirectory(prefix="multitrack-demo-") as scratch:
            _run(examples, Path(scratch), console)
    except DemoFailed as error:
        console.print(f"demo failed: {error}", style="red", markup=False)
        return 1
    return 0


def _run(examples: Path, scratch: Path, console: Console) -> None:
    cassettes = scratch / "cassettes"
    committed_folder = examples.parent / "cassettes" / examples.name
    with StandIn(script=examples / "standin.yaml") as standin:
        environment = dict(standin.environment)
        console.print("1  record: a stand-in provider on real sockets (HTTPS and gRPC), pytest --record")
        output = _pytest(examples, cassettes, environment, scratch, "--record")
        console.print(f"   {_last_line(output)}; the stand-in answered {len(standin.requests)} requests")
    console.print("2  replay: provider stopped; no key, no project, an empty home")
    isolated = _isolation()
    output = _pytest(examples, cassettes, {}, scratch, before=isolated)
    console.print(f"   {_last_line(output)}" + (", in a network namespace without an interface" if isolated else ""))

    recorded, committed = _tapes(cassettes / examples.name), _tapes(committed_folder)
    _compare(committed, recorded)
    console.print(
        f"3  the calls on the {len(recorded)} new tapes are those on the committed ones in {committed_folder}"
    )
    for tapes, lines in _by_calls(committed):
        for line in lines:
            console.print(f"     {line}", markup=False)
        console.print(f"     on {', '.join(tapes)}", markup=False)

    console.print("4  what was asserted: these calls, in whatever order they came")
    for file in sorted((examples / "__snapshots__").glob("*.calls")):
        names = re.findall(r"^# name: (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
        console.print(f"     {file}: {', '.join(names)}", markup=False)

    leaked = _leaks(cassettes, environment)
    if leaked:
        raise DemoFailed(f"the new tapes hold {', '.join(leaked)} of the environment they were recorded in")
    console.print("5  no credential and no project name of the recording is on any tape")


def _pytest(
    examples: Path,
    cassettes: Path,
    environment: Mapping[str, str],
    scratch: Path,
    *options: str,
    before: Sequence[str] = (),
) -> str:
    home = scratch / "home"
    home.mkdir(exist_ok=True)
    neutral = {name: os.environ[name] for name in _NEUTRAL if name in os.environ}
    command = [sys.executable, "-m", "pytest", str(examples), "-q", "-p", "no:cacheprovider"]
    finished = subprocess.run(
        [*before, *command, f"--cassettes-dir={cassettes}", *options],
        env={**neutral, "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        check=False,
    )
    if finished.returncode != 0:
        raise DemoFailed(f"{' '.join(command)} ended with {finished.returncode}\n{finished.stdout}")
    return finished.stdout


def _isolation() -> Sequence[str]:
    """What to put before a command to take the network from it; nothing where the machine does not permit it: then
    the tape alone keeps the run offline."""
    if (unshare := shutil.which("unshare")) is None:
        return ()
    command = (unshare, "--map-root-user", "--net", "--")
    permitted = subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0
    return command if permitted else ()


def _last_line(output: str) -> str:
    lines = output.strip().splitlines()
    return re.sub(r" in [\d.]+s.*$", "", lines[-1]) if lines else "no output"


def _tapes(folder: Path) -> dict[str, Cassette]:
    return {
        str(path.relative_to(folder)): cassette
        for path in sorted(folder.rglob("*.yaml"))
        if (cassette := storage.read(path)) is not None
    }


def _compare(committed: Mapping[str, Cassette], recorded: Mapping[str, Cassette]) -> None:
    if committed.keys() != recorded.keys():
        differing = ", ".join(sorted(committed.keys() ^ recorded.keys()))
        raise DemoFailed(f"the committed tapes are not those recorded: {differing}")
    for name, cassette in recorded.items():
        if _calls(committed[name]) != _calls(cassette):
            raise DemoFailed(f"the calls on the committed tape {name} are not those recorded")


def _calls(cassette: Cassette) -> list[ToolCall]:
    """The calls of a tape; the names of arguments in order, since protobuf keeps none."""
    bodies = [interaction.response.body for interaction in cassette.interactions]
    return [
        replace(call, id=None, arguments=json.dumps(json.loads(call.arguments or "{}"), sort_keys=True))
        for body in bodies
        if wires.recognize(body)
        for call in wires.decode(body)
    ]


def _by_calls(tapes: Mapping[str, Cassette]) -> Iterator[tuple[list[str], list[str]]]:
    """Tapes that hold the same calls, and these calls."""
    groups: dict[tuple[ToolCall, ...], list[str]] = {}
    for name, cassette in tapes.items():
        groups.setdefault(tuple(_calls(cassette)), []).append(name)
    return ((names, [str(call) for call in calls]) for calls, names in groups.items())


def _leaks(folder: Path, environment: Mapping[str, str]) -> list[str]:
    text = "".join(path.read_text(encoding="utf-8") for path in folder.rglob("*") if path.is_file())
    return [name for name, value in _private(environment) if value in text]


def _private(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in environment.items():
        if name.endswith(("_KEY", "_PROJECT")):
            yield name, value
