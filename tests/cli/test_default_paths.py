"""Without paths, the commands use the folders with the cassettes of the project."""

import shutil
from pathlib import Path

import pytest
from command_line import run_multitrack

PLAN = Path(__file__).parents[2] / "cassettes" / "examples" / "test_openai" / "test_plan.yaml"


def add_cassette(folder, name="cassettes/a.yaml"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(PLAN, path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("command", ["check", "revalidate"])
def test_all_folders_of_cassettes_are_found(tmp_path, command):
    for name in ("cassettes/a.yaml", "tests/cassettes/test_b/b.yaml", "tests/deep/cassettes/c.yaml"):
        add_cassette(tmp_path, name)
    for name in (".venv/cassettes/a.yaml", "node_modules/cassettes/a.yaml", "lib/site-packages/x/cassettes/a.yaml"):
        add_cassette(tmp_path, name)
    finished = run_multitrack(command, cwd=tmp_path)
    assert "3 cassettes" in finished.stdout or finished.stdout.count("orphan: ") == 3


@pytest.mark.parametrize("command", ["check", "revalidate", "accept"])
def test_a_project_without_cassettes(tmp_path, command):
    finished = run_multitrack(command, cwd=tmp_path)
    assert finished.stderr == (
        "multitrack: there is no folder 'cassettes' in the current directory or below it\n"
        "  pass the cassettes, or record some: pytest --record\n"
    )
    assert finished.returncode == 1


def test_the_folder_of_the_project_is_used(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.multitrack]\ncassettes_dir = 'recorded'\n")
    finished = run_multitrack("accept", cwd=tmp_path)
    assert f"{tmp_path}/recorded: this folder is set as cassettes_dir in pyproject.toml, but does not exist" in (
        finished.stderr
    )
    add_cassette(tmp_path)
    add_cassette(tmp_path, "recorded/x/a.pending.yaml")
    finished = run_multitrack("accept", cwd=tmp_path)
    assert finished.stdout == "accepted recorded/x/a.yaml\n"
    assert finished.returncode == 0


def test_accept_takes_all_pending_recordings(tmp_path):
    add_cassette(tmp_path, "cassettes/a.pending.yaml")
    add_cassette(tmp_path, "tests/cassettes/b.pending.yaml")
    finished = run_multitrack("accept", cwd=tmp_path)
    assert finished.stdout == "accepted cassettes/a.yaml\naccepted tests/cassettes/b.yaml\n"
    assert finished.returncode == 0


def test_accept_says_if_nothing_is_pending(tmp_path):
    add_cassette(tmp_path)
    finished = run_multitrack("accept", cwd=tmp_path)
    assert finished.stderr == "multitrack: there are no pending recordings in cassettes\n"
    assert finished.returncode == 1


def test_the_version_is_printed(tmp_path):
    from importlib.metadata import version

    finished = run_multitrack("--version", cwd=tmp_path)
    assert finished.stdout == f"multitrack {version('multitrack')}\n"
    assert finished.returncode == 0
