"""Run the command line within the process of the tests."""

from __future__ import annotations

import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import BytesIO, TextIOWrapper
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from multitrack.cli import main


def run_multitrack(*arguments: str, cwd: Path, **environment: str) -> CompletedProcess[str]:
    """Run ``multitrack`` with ``arguments`` as a new process would, but without the second that its start takes.

    The command sees only the variables in ``environment`` and those that every process has. The modules that it imports
    from ``cwd`` are forgotten afterwards.
    """
    out, err = (TextIOWrapper(BytesIO(), write_through=True) for _ in range(2))
    variables = {"PATH": os.environ["PATH"], "HOME": str(cwd), "NO_COLOR": "1", "COLUMNS": "120", **environment}
    modules = set(sys.modules)
    code = 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(cwd)
        for name in os.environ:
            patch.delenv(name)
        for name, value in variables.items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", ["multitrack", *arguments])
        patch.setattr(sys, "path", sys.path[:])
        patch.setattr(sys, "dont_write_bytecode", True)
        try:
            main()
        except SystemExit as leaving:
            if isinstance(leaving.code, str):
                print(leaving.code, file=err)
                code = 1
            else:
                code = leaving.code or 0
    for name in set(sys.modules) - modules:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(cwd)):
            del sys.modules[name]
    for stream in (out, err):
        stream.flush()
    return CompletedProcess(arguments, code, *(stream.buffer.getvalue().decode() for stream in (out, err)))
