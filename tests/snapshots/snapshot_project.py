"""A project with tests that use ``calls_snapshot``, run by pytest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

CONFTEST = """
import pytest
from multitrack.snapshots.run_outcomes import register

def pytest_addoption(parser):
    parser.addoption("--rec", action="store_true")

def pytest_configure(config):
    register(config)

@pytest.fixture
def calls_snapshot(request):
    from multitrack.snapshots.calls_snapshot import make_calls_snapshot
    redact_text = lambda text: text.replace("sk-live-1", "[secret]")
    return make_calls_snapshot(request, redact_text=redact_text, record=request.config.getoption("--rec"))
"""
MODELS = """
from typing import Literal
from pydantic import BaseModel

class Weather(BaseModel):
    location: str
    units: Literal["imperial", "metric"]

class GoogleSearch(BaseModel):
    query: str

TORONTO = Weather(location="Toronto", units="metric")
DALLAS = Weather(location="Dallas", units="imperial")
SEARCH = GoogleSearch(query="who won the super bowl")
"""
TORONTO = "Weather(location='Toronto', units='metric')"
DALLAS = "Weather(location='Dallas', units='imperial')"
SEARCH = "GoogleSearch(query='who won the super bowl')"

# variables of the outer run and of a developer's shell that change what pytest prints and what syrupy counts
ENVIRONMENT = (
    "CI",
    "BUILD_NUMBER",
    "NO_COLOR",
    "FORCE_COLOR",
    "PY_COLORS",
    "PYTEST_ADDOPTS",
    "PYTEST_PLUGINS",
    "PYTEST_XDIST_WORKER",
    "PYTEST_XDIST_WORKER_COUNT",
    "PYTEST_XDIST_TESTRUNUID",
)


@dataclass
class Run:
    code: int
    outcomes: dict[str, int]
    text: str

    @property
    def failure(self) -> list[str]:
        """The lines of a failed assertion, without the prefix that pytest adds."""
        first, *lines = [line[8:] for line in self.text.splitlines() if line.startswith("E  ")]
        return [first, *(line[2:] for line in lines)]

    @property
    def summary(self) -> str:
        lines = self.text.splitlines()
        at = [number for number, line in enumerate(lines) if "snapshot report summary" in line]
        return lines[at[0] + 1] if at else ""


class Project:
    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.dir = pytester.path
        self.write("conftest.py", CONFTEST)
        self.write("models.py", MODELS)

    def write(self, name: str, text: str) -> Path:
        path = self.dir / name
        path.write_text(text, encoding="utf-8")
        return path

    def module(self, *tests: str, name: str = "test_trip.py") -> Path:
        return self.write(name, "\n\n".join(["import pytest\nfrom models import *", *tests]))

    def run(self, *arguments: str, apart: bool = False) -> Run:
        run = self.pytester.runpytest_subprocess if apart else self.pytester.runpytest_inprocess
        result = run("-p", "no:multitrack", *arguments)
        return Run(int(result.ret), result.parseoutcomes(), result.stdout.str())

    def file(self, name: str = "test_trip.calls") -> str | None:
        path = self.dir / "__snapshots__" / name
        return path.read_text(encoding="utf-8") if path.exists() else None


def stored(**entries: str) -> str:
    lines = ["# serializer version: 1"]
    for name, text in sorted(entries.items()):
        lines += [f"# name: {name}", *(f"  {line}" for line in text.splitlines()), "# ---"]
    return "\n".join(lines) + "\n"
