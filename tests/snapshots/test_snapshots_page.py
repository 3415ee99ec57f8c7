"""The examples of docs/snapshots.md pass, and write the file that the page shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "docs" / "snapshots.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^```\w+ title=\"([^\"]+)\"\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))


def test_the_examples_write_the_file_on_the_page_and_pass(tmp_path):
    shown = BLOCKS.pop("__snapshots__/test_trip.calls")
    for name, text in BLOCKS.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    for flags in (["--snapshot-update"], []):
        finished = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", *flags],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert finished.returncode == 0, finished.stdout + finished.stderr
        assert (tmp_path / "__snapshots__" / "test_trip.calls").read_text(encoding="utf-8") == shown
