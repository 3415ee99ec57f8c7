"""inline-snapshot's ``snapshot()`` creates, fixes and compares the models of an ``Extraction`` as a list."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip(
    "inline_snapshot.plugin", reason="inline-snapshot is not installed, or is older than its plugin API"
)

MODULE = """
from datetime import date
from enum import Enum

from inline_snapshot import snapshot
from pydantic import BaseModel

from multitrack import Extraction


class Units(Enum):
    METRIC = "metric"


class Weather(BaseModel):
    location: str
    units: Units = Units.METRIC


class Search(BaseModel):
    query: str
    day: date


EXTRACTION = Extraction([Weather(location="Toronto"), Search(query="who won", day=date(2024, 5, 1))])


def test_plan():
    assert EXTRACTION == snapshot(VALUE)


def test_reversed():
    assert snapshot(VALUE) == EXTRACTION
"""
WRITTEN = 'Weather(location="Toronto"), Search(query="who won", day=date(2024, 5, 1))'


@pytest.fixture
def run(starts_server, tmp_path):
    module = tmp_path / "test_trip.py"

    def run(value: str, *flags: str) -> tuple[int, str]:
        module.write_text(MODULE.replace("VALUE", value), encoding="utf-8")
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "PYTEST_ADDOPTS": "-p no:hypothesispytest -p no:respx -p no:xdist",
        }
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *flags]
        finished = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        text = module.read_text(encoding="utf-8")
        return finished.returncode, "".join(text.split()).replace("'", '"').replace(",)", ")").replace(",]", "]")

    return run


def test_a_list_of_models_is_compared(run):
    assert run(f"[{WRITTEN}]")[0] == 0
    assert run(f"[{WRITTEN.replace('won', 'lost')}]")[0] == 1


@pytest.mark.parametrize(
    ("value", "flag"),
    [("", "create"), ("[Weather(location='Dallas')]", "fix"), (f"[{WRITTEN}, {WRITTEN}]", "fix"), ("[]", "fix")],
)
def test_a_list_is_created_and_fixed(run, value, flag):
    expected = "".join(MODULE.replace("VALUE", f"[{WRITTEN}]").split())
    _, text = run(value, f"--inline-snapshot={flag}")
    assert text == expected
    assert run(f"[{WRITTEN}]", "--inline-snapshot=disable")[0] == 0
