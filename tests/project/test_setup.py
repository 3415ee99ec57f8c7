"""``make`` with a Python that cannot run the project says so, and creates no environment."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed"),
]

OLD = """\
echo "Python 3.9.2"
"""
WITHOUT_VENV = f"""\
case "$*" in
  *ensurepip*) echo "ModuleNotFoundError: No module named 'ensurepip'" >&2; exit 1 ;;
  *) exec "{sys.executable}" "$@" ;;
esac
"""
NAME_ANOTHER = "name another one: make test PYTHON=/path/to/python3.11"


@pytest.fixture
def environment(tmp_path):
    return tmp_path / "environment"


def setup_with(python, environment):
    """Return what ``make test`` prints first if ``python`` is the Python."""
    command = ["make", "--no-print-directory", "test", f"PYTHON={python}", f"VENV={environment}"]
    # without the options of a `make test` that runs this
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    finished = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert finished.returncode == 2
    return finished.stderr.splitlines()[0]


def write_program(path, text):
    path.write_text("#!/bin/sh\n" + text, encoding="utf-8")
    path.chmod(0o755)
    return path


def test_an_old_python_is_refused(tmp_path, environment):
    python = write_program(tmp_path / "python3.9", OLD)
    line = setup_with(python, environment)
    assert line == f"{python} is Python 3.9.2, but Multitrack requires 3.11 or newer: {NAME_ANOTHER}"
    assert not environment.exists()


def test_a_python_without_venv_is_refused(tmp_path, environment):
    python = write_program(tmp_path / "python3", WITHOUT_VENV)
    line = setup_with(python, environment)
    assert line == f"{python} has no venv module: install it (Debian: apt install python3-venv), or {NAME_ANOTHER}"
    assert not environment.exists()


def test_a_python_that_does_not_exist_is_refused(tmp_path, environment):
    python = tmp_path / "python4"
    line = setup_with(python, environment)
    assert line == f"{python} was not found: install Python 3.11 or newer, or {NAME_ANOTHER}"
    assert not environment.exists()


def test_an_environment_of_an_old_python_is_refused(tmp_path, environment):
    (environment / "bin").mkdir(parents=True)
    write_program(environment / "bin" / "python", OLD)
    # creates nothing, so that the environment stays as it is
    python = write_program(tmp_path / "python3", f'[ "$1" = -m ] || exec "{sys.executable}" "$@"\n')
    line = setup_with(python, environment)
    assert line == (
        f"{environment} was created with Python 3.9.2, but Multitrack requires 3.11 or newer: rm -r {environment}"
    )
