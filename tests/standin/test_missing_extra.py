"""What the commands say if a package of their extra is not installed."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


def run_without(package, program, cwd):
    source = f"""
        import runpy, sys

        class Blocker:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] == {package!r}:
                    raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

        sys.meta_path.insert(0, Blocker())
        {program}
    """
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("package", ["typer", "trustme", "cryptography"])
def test_the_stand_in_says_what_to_install(tmp_path, package):
    finished = run_without(package, "runpy.run_module('multitrack.standin', run_name='__main__')", tmp_path)
    assert finished.stderr.startswith(
        f"multitrack.standin requires {package}, which is not installed; run: pip install "
    )
    assert len(finished.stderr.splitlines()) == 1
    assert finished.returncode == 1


def test_the_demo_says_what_to_install():
    program = "from multitrack.cli import main; sys.argv = ['multitrack', 'demo']; main()"
    finished = run_without("trustme", program, ROOT)
    assert finished.stderr.startswith(
        "multitrack: multitrack demo requires trustme, which is not installed; run: pip install "
    )
    assert len(finished.stderr.splitlines()) == 1
    assert finished.returncode == 1


def test_the_demo_outside_of_the_repository_says_where_it_works(tmp_path):
    program = "from multitrack.cli import main; sys.argv = ['multitrack', 'demo']; main()"
    finished = run_without("none", program, tmp_path)
    assert finished.stderr == (
        "multitrack: examples: this folder does not contain the examples\n"
        "  multitrack demo requires the examples folder in Multitrack's repository\n"
    )
    assert finished.returncode == 1
