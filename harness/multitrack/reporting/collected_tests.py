"""Collect a project's tests with pytest in a separate process, without running them.

The node ids of tests cannot be read from the source, because parameter ids are made at run time, and conftest files
add and remove tests.
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
    """The node ids of all ``tests`` in a folder.

    Each node id begins with the path from the root folder to this folder. The attribute ``below`` holds this path.
    The path is empty if this folder is the root folder.
    """

    tests: frozenset[str]
    below: str

    def lacks(self, test: str) -> bool:
        """Return whether ``test`` belongs to the collected folder but was not collected."""
        return test.startswith(self.below) and test not in self.tests


def collect_tests(folder: Path) -> CollectedTests:
    """Collect the tests in ``folder``. Raises ValueError if pytest cannot collect them."""
    with tempfile.TemporaryDirectory() as scratch:
        answer = Path(scratch, "collected.json")
        command = [sys.executable, "-m", __spec__.name, str(answer)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if not answer.exists():
            lines = [line for line in done.stdout.splitlines() + done.stderr.splitlines() if line.strip()]
            raise ValueError(lines[-1] if lines else f"exit code {done.returncode}")
        collected = json.loads(answer.read_text(encoding="utf-8"))
    return CollectedTests(frozenset(collected["tests"]), collected["below"])


def _main(answer: Path) -> None:
    import pytest

    class Collector:
        tests: Sequence[str] = ()

        # first, because -m and -k in the project's addopts would remove tests from `items`, and these tests exist, too
        @pytest.hookimpl(tryfirst=True)
        def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
            self.tests = [item.nodeid for item in items]

        def pytest_collection_finish(self, session: pytest.Session) -> None:
            below = Path.cwd().relative_to(session.config.rootpath).as_posix()
            if not session.testsfailed:
                collected = {"tests": self.tests, "below": "" if below == "." else f"{below}/"}
                answer.write_text(json.dumps(collected), encoding="utf-8")

    pytest.main(["--collect-only", "-q"], plugins=[Collector()])


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
