from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import multitrack

CREDENTIALS = ("OPENAI_", "AZURE_", "GOOGLE_", "GEMINI_", "GCLOUD_", "CLOUD", "GCE_", "NO_GCE_", "ANTHROPIC_", "AWS_")


@pytest.fixture
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Remove every credential that an SDK would read from the environment. The test must not set one."""
    for name in list(os.environ):
        if name.startswith(CREDENTIALS):
            monkeypatch.delenv(name)
    before = {name: value for name, value in os.environ.items() if name.startswith(CREDENTIALS)}
    yield
    assert {name: value for name, value in os.environ.items() if name.startswith(CREDENTIALS)} == before


@pytest.fixture
def bare_process(starts_server, tmp_path: Path) -> Callable[..., str]:
    """Return a function that runs source code with an empty environment and no home, and returns its output."""

    def run(source: str, *, offline: bool = False, **env: str) -> str:
        command = [sys.executable, "-W", "error::ResourceWarning", "-c", textwrap.dedent(source)]
        if offline:
            unshare = shutil.which("unshare")
            if unshare is None or subprocess.run([unshare, "-rn", "true"], capture_output=True).returncode:
                pytest.skip("`unshare -rn` cannot create a network namespace on this machine")
            command = [unshare, "-rn", *command]
        path = os.pathsep.join([str(Path(__file__).parent), str(Path(multitrack.__file__).parents[1])])
        done = subprocess.run(
            command,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(tmp_path / "nowhere"),
                "PYTHONPATH": path,
                **env,
            },
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
