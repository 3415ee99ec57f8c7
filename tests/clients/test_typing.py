"""Check user code with mypy and pyright, at their default settings."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

APPLICATIONS = Path(__file__).parent / "applications"
RESULT_TYPES = APPLICATIONS / "typing_results.py"
MISTAKES = APPLICATIONS / "typing_mistakes.py"


def mypy(cache):
    command = ["mypy", "--config-file=", "--cache-dir", str(cache), "--no-error-summary", "--output", "json"]
    for line in run_checker(*command).splitlines():
        error = json.loads(line)
        if error["severity"] == "error":
            yield error["file"], error["line"], error["message"]


def pyright(_):
    report = json.loads(run_checker("pyright", "--pythonpath", sys.executable, "--outputjson"))
    for error in report["generalDiagnostics"]:
        yield error["file"], error["range"]["start"]["line"] + 1, error["message"]


def run_checker(module, *arguments):
    command = [sys.executable, "-m", module, *arguments, str(RESULT_TYPES), str(MISTAKES)]
    # from a different folder, so that the settings of this project do not apply
    process = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=600, check=False)
    assert process.stderr == ""
    assert process.returncode == 1
    return process.stdout


@pytest.fixture(scope="module", params=[mypy, pyright], ids=["mypy", "pyright"])
def errors(request, tmp_path_factory):
    """Each error as file name, line number and message."""
    if find_spec(request.param.__name__) is None:
        pytest.skip(f"{request.param.__name__} is not installed")
    config = request.config
    cache = config.cache.mkdir("mypy") if hasattr(config, "cache") else tmp_path_factory.mktemp("cache")
    return [(Path(file).name, line, message) for file, line, message in request.param(cache)]


def test_results_have_the_expected_types(errors):
    assert [error for error in errors if error[0] == RESULT_TYPES.name] == []


def test_mistakes_are_reported(errors):
    lines = MISTAKES.read_text(encoding="utf-8").splitlines()
    expected = {number for number, line in enumerate(lines, start=1) if line.endswith("# mistake")}
    assert {line for file, line, _ in errors if file == MISTAKES.name} == expected
