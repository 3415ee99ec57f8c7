"""The contents of the wheel and the source distribution, and the modules that an import loads."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from documentation_page import read_blocks
from nested_runs import FEWER_PLUGINS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    # build isolation would download the build backend
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return folder


def test_the_wheel_contains_two_packages_and_no_other_top_level_names(built):
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names} == {
        "multitrack",
        "pytest_multitrack",
        "multitrack-0.1.0.dist-info",
    }
    assert {"multitrack/py.typed", "pytest_multitrack/py.typed"} <= set(names)


def test_the_source_distribution_contains_the_tests_and_what_they_need(built):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        folders = {name.split("/")[1] for name in archive.getnames() if "/" in name}
    assert {"harness", "pytest_plugin", "tests", "examples", "cassettes", "Makefile", "README.md"} <= folders


def test_the_unpacked_wheel_can_be_imported(built, tmp_path):
    (wheel,) = built.glob("*.whl")
    target = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    program = (
        f"import sys; sys.path.insert(0, {str(target)!r}); import multitrack; "
        "print(multitrack.__file__.startswith(sys.path[0]), multitrack.decode(b'{\"choices\": []}'))"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert finished.stdout == "True []\n", finished.stderr


def test_the_wheel_contains_the_cassettes_of_the_library(built):
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packaged = {name.removeprefix("multitrack/library/cassettes/") for name in archive.namelist()}
    folder = ROOT / "cassettes" / "library"
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files <= packaged
    assert len(files) > 290


def install_wheel(wheel, target):
    # pip would look for a wheel of the build backend
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target)]
    subprocess.run([*command, str(wheel)], check=True, capture_output=True)
    return target


# a wheel is a zip file, from which Python imports
@pytest.mark.parametrize(("is_zip", "passed"), [(False, "6 passed"), (True, "2 passed")], ids=["wheel", "zip"])
def test_behaviours_work_without_the_repository(built, tmp_path, is_zip, passed):
    (wheel,) = built.glob("*.whl")
    site = wheel if is_zip else install_wheel(wheel, tmp_path / "site")
    project = tmp_path / "project"
    project.mkdir()
    for block in read_blocks("docs/behaviours.md"):
        if block.is_written:
            (project / block.title).write_text(block.text, encoding="utf-8")
    (project / "conftest.py").write_text(
        f"import multitrack, pytest_multitrack\n"
        f"for module in (multitrack, pytest_multitrack):\n"
        f"    assert module.__file__.startswith({str(site)!r}), module.__file__\n",
        encoding="utf-8",
    )
    # the SDKs take seconds to import
    selection = ["test_all.py"] if is_zip else []
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *selection]
    environment = {**os.environ, **FEWER_PLUGINS, "PYTHONPATH": str(site), "PYTHONWARNINGS": "ignore::FutureWarning"}
    finished = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert passed in finished.stdout, finished.stdout + finished.stderr


def test_importing_multitrack_loads_no_heavy_module():
    program = "import sys, multitrack; print(sorted({'pydantic', 'openai', 'yaml', 'grpc', 'vcr'} & set(sys.modules)))"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert finished.stdout == "[]\n", finished.stderr


def test_an_unused_plugin_loads_no_heavy_module(tmp_path):
    (tmp_path / "test_plain.py").write_text(
        "import sys\n"
        "def test_plain(tmp_path):\n"
        "    heavy = {'pydantic', 'openai', 'yaml', 'grpc', 'vcr', 'httpx'}\n"
        "    heavy |= {'multitrack.errors', 'multitrack.tape.active', 'multitrack.tape.credentials'}\n"
        "    assert not heavy & set(sys.modules)\n"
        # the import of each module takes 0.1 ms, or 3 ms if Python may not write byte code
        "    ours = [name for name in sys.modules if name.startswith('multitrack')]\n"
        "    assert len(ours) <= 12, ours\n",
        encoding="utf-8",
    )
    # the plugins of other packages import more
    others = ["-p", "no:hypothesispytest", "-p", "no:respx", "-p", "no:anyio"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *others]
    command += ["-p", "no:inline_snapshot"]  # it imports pydantic itself
    finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout


def test_without_the_test_extra_only_a_cassette_asks_for_it(tmp_path):
    (tmp_path / "conftest.py").write_text(
        "import sys\nsys.modules['yaml'] = None  # imports of it fail\n", encoding="utf-8"
    )
    (tmp_path / "test_plain.py").write_text(
        "import warnings\n"
        "def test_plain():\n"
        "    pass\n"
        # each of these is redacted
        "def test_output():\n"
        "    print('printed')\n"
        "    warnings.warn('warned')\n"
        "    assert 1 == 2\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    plain = subprocess.run([*command, "test_plain.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert plain.returncode == 1
    assert "1 failed, 1 passed, 1 warning" in plain.stdout
    assert "multitrack" not in plain.stdout + plain.stderr
    (tmp_path / "test_taped.py").write_text("def test_taped(tape):\n    pass\n", encoding="utf-8")
    taped = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert taped.returncode == 4
    assert "ERROR: using a cassette requires yaml, which is not installed; run: pip install " in taped.stderr


# imports of these two fail; only `multitrack demo` needs them
WITHOUT_STANDIN = "import sys\nsys.modules['multitrack.standin'] = sys.modules['multitrack.demo'] = None\n"


def test_the_public_names_do_not_import_the_stand_in():
    program = WITHOUT_STANDIN + "import multitrack\nfor name in multitrack.__all__: getattr(multitrack, name)"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr


def test_the_help_of_each_command_does_not_import_the_stand_in():
    program = WITHOUT_STANDIN + (
        "from typer.testing import CliRunner\n"
        "from multitrack import cli\n"
        "commands = [command.name or command.callback.__name__ for command in cli.app.registered_commands]\n"
        "for arguments in ['--help'], *([command, '--help'] for command in commands):\n"
        "    print(*arguments, CliRunner().invoke(cli.app, arguments).exit_code)\n"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "show --help 0" in finished.stdout.splitlines(), finished.stderr
    assert {line.split()[-1] for line in finished.stdout.splitlines()} == {"0"}


def test_the_plugin_does_not_import_the_stand_in(tmp_path):
    (tmp_path / "conftest.py").write_text(WITHOUT_STANDIN, encoding="utf-8")
    (tmp_path / "test_taped.py").write_text(
        "def test_taped(tape, calls_snapshot):\n    assert [] == calls_snapshot\n", encoding="utf-8"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--snapshot-update"]
    command += ["--calls-report=report.html", "--cassettes-unused"]
    finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert (tmp_path / "report.html").is_file()
