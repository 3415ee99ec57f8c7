"""Which tests there are, as pytest says: collected in a process of its own, in which nothing runs.

The names of tests cannot be read from source: ids are made at run time, and conftests add and leave out tests.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class CollectedTests:
    """The node ids of all ``tests`` below the folder with the node id ``below``."""

    tests: frozenset[str]
    below: str

    def lacks(self, test: str) -> bool:
        """Whether ``test`` would have been found, and was not."""
        return test.startswith(self.below) and test not in self.tests


def collect_tests(folder: Path) -> CollectedTests:
    """The tests that pytest finds from ``folder``. Raises ValueError where it cannot collect them."""
    with tempfile.TemporaryDirectory() as scratch:
        answer = Path(scratch, "collected.json")
        command = [sys.executable, "-m", __spec__.name, str(answer)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if not answer.exists():
            lines = [line for line in done.stdout.splitlines() + done.stderr.splitlines() if line.strip()]
            raise ValueError(lines[-1] if lines else f"exit code {done.returncode}")
        told = json.loads(answer.read_text(encoding="utf-8"))
    return CollectedTests(frozenset(told["tests"]), told["below"])


def _main(answer: Path) -> None:
    import pytest

    class Collector:
        tests: Sequence[str] = ()

        # first: what -m and -k in the project's addopts leave out, exists all the same
        @pytest.hookimpl(tryfirst=True)
        def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
            self.tests = [item.nodeid for item in items]

        def pytest_collection_finish(self, session: pytest.Session) -> None:
            below = Path.cwd().relative_to(session.config.rootpath).as_posix()
            if not session.testsfailed:
                told = {"tests": self.tests, "below": "" if below == "." else f"{below}/"}
                answer.write_text(json.dumps(told), encoding="utf-8")

    pytest.main(["--collect-only", "-q"], plugins=[Collector()])


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
