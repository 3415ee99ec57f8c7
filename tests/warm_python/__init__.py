"""Start Python processes that have already imported the SDKs.

The imports take 0.8 seconds of CPU time for openai and 3 seconds for vertexai, and many tests start a process that does
little else. ``find_warm_python()`` returns the start of a command that behaves like ``[sys.executable]``. The command
asks a server, which is a process that has imported the SDKs, to fork. The fork gets the arguments, the environment, the
folder, the standard streams and the network of the command.

Tests about the start of a process (what an import loads, how streams are encoded) or about its end (signals, unclosed
files) require ``sys.executable``: a fork has all SDKs in ``sys.modules``, and exits without deleting its modules.
"""

from __future__ import annotations

import atexit
import functools
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent
PROGRAMS = {
    "pytest": "-m pytest -p no:cacheprovider",
    "multitrack": "-c 'import sys; from multitrack.cli import main; sys.argv[0] = \"multitrack\"; main()'",
    "python": "",
    "pip": "-m pip --disable-pip-version-check",
}


@functools.cache
def find_warm_python() -> tuple[str, ...]:
    """Return the start of a command that runs Python with the SDKs imported. The first call starts the server."""
    if not sys.platform.startswith("linux"):
        return (sys.executable,)
    address = str(_make_folder() / "socket")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST_"))}
    server = subprocess.Popen(
        [sys.executable, FOLDER / "server.py", address], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    # the server ends if its standard input does
    atexit.register(server.communicate)
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n"
    # without the search for packages, which the client does not need
    return (sys.executable, "-I", "-S", str(FOLDER / "client.py"), address)


@functools.cache
def find_programs() -> Path:
    """Return a folder for ``PATH`` with the programs ``pytest``, ``multitrack``, ``python`` and ``pip``."""
    folder = _make_folder()
    for name, arguments in PROGRAMS.items():
        program = folder / name
        # the SDKs of the server hide changes of the installed packages
        python = [sys.executable] if name == "pip" else find_warm_python()
        program.write_text(f'#!/bin/sh\nexec {shlex.join(python)} {arguments} "$@"\n')
        program.chmod(0o755)
    return folder


def _make_folder() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="warm-python-")
    atexit.register(folder.cleanup)
    return Path(folder.name)
