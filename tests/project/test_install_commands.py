"""The commands that install a missing package: pip accepts each, and each names the required packages."""

import re
import shlex
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from multitrack.installation import find_install_command

ROOT = Path(__file__).parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
CLIENT = "import multitrack; multitrack.{}(None)"
# what is not installed, and the program that needs it
PROGRAMS = {
    "from_openai": ("openai", CLIENT.format("from_openai")),
    "patch": ("openai", CLIENT.format("patch")),
    "from_vertexai": ("vertexai", CLIENT.format("from_vertexai")),
    "from_genai": ("google.genai", CLIENT.format("from_genai")),
    "from_anthropic": ("anthropic", CLIENT.format("from_anthropic")),
    "from_bedrock": ("botocore", CLIENT.format("from_bedrock")),
    "multitrack": ("typer", "from multitrack.cli import main; main()"),
    "multitrack demo": ("trustme", "from multitrack.cli import main; sys.argv = ['multitrack', 'demo']; main()"),
    "multitrack.standin": ("trustme", "import runpy; runpy.run_module('multitrack.standin', run_name='__main__')"),
    "a cassette": ("yaml", "import pytest; pytest.main(['-q', 'test_cassette.py'])"),
    # pytest looks at the module of each plugin, so only the test module can remove syrupy
    "calls_snapshot": ("removed_by_the_test", "import pytest; pytest.main(['-q', '-p', 'no:syrupy', 'test_it.py'])"),
    "a compressed body": ("brotli", "from multitrack.cli import main; sys.argv = ['', 'show', 'old.yaml']; main()"),
}
CASSETTE = "import pytest\n\n@pytest.mark.cassette\ndef test_cassette(): pass\n"
SNAPSHOT = "import sys\n\nsys.modules['syrupy'] = None\n\ndef test_snapshot(calls_snapshot): pass\n"
OTHER_RECORDER = """
interactions:
- request: {body: null, headers: {}, method: GET, uri: http://example.test/x}
  response:
    body: {string: !!binary KLUv}
    headers: {content-encoding: [br]}
    status: {code: 200, message: OK}
version: 1
"""
# imports of the module fail
WITHOUT = "import sys; sys.modules[{missing!r}] = None; {program}"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    """The command in the message of each program."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "test_cassette.py").write_text(CASSETTE, encoding="utf-8")
    (folder / "old.yaml").write_text(OTHER_RECORDER, encoding="utf-8")
    (folder / "test_it.py").write_text(SNAPSHOT, encoding="utf-8")
    found = {}
    for name, (missing, program) in PROGRAMS.items():
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT.format(missing=missing, program=program)],
            cwd=ROOT if name == "multitrack demo" else folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        match = re.search(r"pip install .+", done.stdout + done.stderr)
        assert match, f"{name}: {done.stdout}{done.stderr}"
        found[name] = match[0]
    return found


def test_pip_accepts_the_command_in_each_message(commands):
    requirements = {one for command in commands.values() for one in shlex.split(command)[2:]}
    # all of these are installed, so that pip needs no index to say so
    dry_run = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", "--quiet", *sorted(requirements)]
    done = subprocess.run(dry_run, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("extra", EXTRAS)
def test_the_command_has_every_requirement_of_an_extra(extra):
    names = {re.match(r"[\w.-]+", one)[0].lower() for one in shlex.split(find_install_command(extra))[2:]}
    direct = [one for one in EXTRAS[extra] if not one.startswith("multitrack[")]
    nested = re.findall(r"[\w-]+", "".join(one.partition("[")[2] for one in EXTRAS[extra] if one not in direct))
    required = direct + [one for other in nested for one in EXTRAS[other]]
    assert names == {re.match(r"[\w.-]+", one)[0].lower() for one in required}


def test_packages_that_are_installed_are_left_out(monkeypatch):
    original = metadata.distribution

    def find_distribution(name):
        if name in ("syrupy", "vcrpy"):
            raise metadata.PackageNotFoundError(name)
        return original(name)

    monkeypatch.setattr(metadata, "distribution", find_distribution)
    assert find_install_command("test") == "pip install 'syrupy>=4.9' 'vcrpy>=8.0'"


def test_no_message_names_an_extra_that_pip_would_look_for_on_an_index():
    sources = [path for folder in ("harness", "pytest_plugin") for path in (ROOT / folder).rglob("*.py")]
    assert sources
    named = re.compile(r"^(?!.*``).*pip install '?multitrack", re.MULTILINE)
    assert [path for path in sources if named.search(path.read_text(encoding="utf-8"))] == []
