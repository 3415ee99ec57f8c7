"""What type checkers say of user code, at their default settings."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

APPLICATIONS = Path(__file__).parent / "applications"
ANSWERS = APPLICATIONS / "typing_answers.py"
MISTAKES = APPLICATIONS / "typing_mistakes.py"


def mypy(cache):
    command = ["mypy", "--config-file=", "--cache-dir", str(cache), "--no-error-summary", "--output", "json"]
    for line in check(*command).splitlines():
        found = json.loads(line)
        if found["severity"] == "error":
            yield found["file"], found["line"], found["message"]


def pyright(_):
    report = json.loads(check("pyright", "--pythonpath", sys.executable, "--outputjson"))
    for found in report["generalDiagnostics"]:
        yield found["file"], found["range"]["start"]["line"] + 1, found["message"]


def check(module, *arguments):
    command = [sys.executable, "-m", module, *arguments, str(ANSWERS), str(MISTAKES)]
    # out of reach of this project's own settings
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=600, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    return done.stdout


@pytest.fixture(scope="module", params=[mypy, pyright], ids=["mypy", "pyright"])
def found(request, tmp_path_factory):
    """Each error, as its file's name, its line, and what it says."""
    if find_spec(request.param.__name__) is None:
        pytest.skip(f"{request.param.__name__} is not installed")
    config = request.config
    cache = config.cache.mkdir("mypy") if hasattr(config, "cache") else tmp_path_factory.mktemp("cache")
    return [(Path(file).name, line, message) for file, line, message in request.param(cache)]


def test_answers_have_the_types_they_should(found):
    assert [error for error in found if error[0] == ANSWERS.name] == []


def test_mistakes_are_found(found):
    lines = MISTAKES.read_text(encoding="utf-8").splitlines()
    expected = {number for number, line in enumerate(lines, start=1) if line.endswith("# mistake")}
    assert {line for file, line, _ in found if file == MISTAKES.name} == expected
