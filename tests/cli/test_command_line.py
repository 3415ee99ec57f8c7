"""The ``multitrack`` command in a process, as users run it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from command_line import run_multitrack
from warm_python import find_warm_python

ROOT = Path(__file__).parents[2]
OTHER_EXAMPLES = ("anthropic", "bedrock", "instructor", "ollama", "vertex", "xai")
PLAN = ROOT / "cassettes" / "examples" / "test_openai" / "test_plan.yaml"


def multitrack_process(*arguments, cwd):
    program = "import sys; from multitrack.cli import main; sys.argv[0] = 'multitrack'; main()"
    return subprocess.run(
        [*find_warm_python(), "-c", program, *arguments],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "HOME": str(cwd), "NO_COLOR": "1", "COLUMNS": "120"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("run", [run_multitrack, pytest.param(multitrack_process, marks=pytest.mark.slow)])
def test_show_prints_the_calls(tmp_path, run):
    finished = run("show", str(PLAN), cwd=tmp_path)
    assert finished.stdout.splitlines() == [
        "1 · openai.chat gpt-4o-mini · 3 calls",
        "  Weather(location='Toronto', units='metric')",
        "  Weather(location='Dallas', units='imperial')",
        "  GoogleSearch(query='who won the super bowl')",
        "provenance: standin",
    ]
    assert finished.returncode == 0


def test_show_reports_a_missing_cassette(tmp_path):
    finished = run_multitrack("show", "no.yaml", cwd=tmp_path)
    assert finished.stderr == (
        "multitrack: no.yaml: there is no such cassette\n"
        "  multitrack show requires a cassette, or a folder with cassettes\n"
    )
    assert finished.returncode == 1


def test_show_prints_each_cassette_of_a_folder(tmp_path):
    (tmp_path / "cassettes" / "test_it").mkdir(parents=True)
    for name in ("cassettes/b.yaml", "cassettes/test_it/a.yaml", "cassettes/test_it/a.pending.yaml"):
        shutil.copy(PLAN, tmp_path / name)
    alone = run_multitrack("show", "cassettes/b.yaml", cwd=tmp_path).stdout
    finished = run_multitrack("show", "cassettes", cwd=tmp_path)
    assert finished.returncode == 0
    assert finished.stdout == (
        f"cassettes/b.yaml\n{alone}\ncassettes/test_it/a.pending.yaml\n{alone}\ncassettes/test_it/a.yaml\n{alone}"
    )


def test_show_prints_the_readable_cassettes_of_a_folder_and_the_errors_of_the_others(tmp_path):
    shutil.copy(PLAN, tmp_path / "b.yaml")
    (tmp_path / "a.yaml").write_text("version: 1\ninteractions: [\n", encoding="utf-8")
    finished = run_multitrack("show", ".", cwd=tmp_path)
    assert "a.yaml, line 3: the cassette is damaged: " in finished.stdout
    assert "Weather(location='Toronto', units='metric')" in finished.stdout
    assert finished.returncode == 1


WRONG_PATHS = {
    "nope": "there is no such",
    "empty": "this folder has no",
    "README.md": "not a cassette",
}


@pytest.mark.parametrize("wrong", WRONG_PATHS)
@pytest.mark.parametrize("command", ["show", "revalidate"])
def test_a_wrong_path_is_named_with_what_the_command_requires(tmp_path, command, wrong):
    (tmp_path / "empty").mkdir()
    (tmp_path / "README.md").write_text("# interactions: [\n", encoding="utf-8")
    finished = run_multitrack(command, wrong, cwd=tmp_path)
    first, second = finished.stderr.splitlines()
    assert first.startswith(f"multitrack: {wrong}: {WRONG_PATHS[wrong]}")
    assert second == f"  multitrack {command} requires a cassette, or a folder with cassettes"
    assert finished.stdout == ""
    assert finished.returncode == 1


def test_check_does_not_call_another_file_a_damaged_cassette(tmp_path):
    (tmp_path / "README.md").write_text("# interactions: [\n", encoding="utf-8")
    finished = run_multitrack("check", "README.md", cwd=tmp_path)
    assert finished.stdout == (
        "README.md: not a cassette: multitrack check requires a cassette, or a folder with cassettes\n"
    )
    assert finished.returncode == 1


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("nope", "this file does not exist and has no pending recording"),
        ("empty", "this folder has no pending recordings"),
        ("README.md", "this file has no pending recording"),
    ],
)
def test_accept_says_what_it_requires(tmp_path, wrong, reason):
    (tmp_path / "empty").mkdir()
    (tmp_path / "README.md").touch()
    finished = run_multitrack("accept", wrong, cwd=tmp_path)
    assert finished.stderr == (
        f"multitrack: {wrong}: {reason}\n  pass a pending recording (*.pending.yaml), its cassette, or its folder\n"
    )
    assert finished.returncode == 1


@pytest.mark.parametrize(
    ("command", "required"), [("init", "the root of a repository"), ("demo", "the examples folder")]
)
def test_a_wrong_folder_is_named_with_what_the_command_requires(tmp_path, command, required):
    finished = run_multitrack(command, "nope", cwd=tmp_path)
    first, second = finished.stderr.splitlines()
    assert first.startswith("multitrack: nope: ")
    assert second.startswith(f"  multitrack {command} requires {required}")
    assert finished.returncode == 1


def test_show_reports_the_line_of_the_damage(tmp_path):
    (tmp_path / "bad.yaml").write_text("version: 1\ninteractions: [\n", encoding="utf-8")
    finished = run_multitrack("show", "bad.yaml", cwd=tmp_path)
    assert finished.returncode == 1
    assert finished.stderr.startswith("multitrack: bad.yaml, line 3: the cassette is damaged: ")


@pytest.mark.parametrize("named", ["a.pending.yaml", "a.yaml", "."])
def test_accept_replaces_the_cassette_with_its_pending_recording(tmp_path, named):
    shutil.copy(PLAN, tmp_path / "a.pending.yaml")
    shutil.copy(PLAN, tmp_path / "a.yaml")
    finished = run_multitrack("accept", named, cwd=tmp_path)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout == "accepted a.yaml\n"
    assert (tmp_path / "a.yaml").read_bytes() == PLAN.read_bytes()
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".yaml"] == ["a.yaml"]


def test_accept_fails_if_nothing_is_pending(tmp_path):
    finished = run_multitrack("accept", "a.yaml", cwd=tmp_path)
    assert finished.stderr.startswith("multitrack: a.yaml: this file does not exist and has no pending recording\n")
    assert finished.returncode == 1


def test_accept_rejects_a_damaged_recording(tmp_path):
    (tmp_path / "a.pending.yaml").write_text("interactions: 1", encoding="utf-8")
    (tmp_path / "a.yaml").write_text("the previous content", encoding="utf-8")
    assert run_multitrack("accept", "a.yaml", cwd=tmp_path).returncode == 1
    assert (tmp_path / "a.yaml").read_text(encoding="utf-8") == "the previous content"


def test_init_adds_its_lines_once(tmp_path):
    (tmp_path / ".gitignore").write_text("*.pyc\n", encoding="utf-8")
    for _ in range(2):
        assert run_multitrack("init", cwd=tmp_path).returncode == 0
    assert (tmp_path / ".gitignore").read_text(encoding="utf-8") == "*.pyc\n*.pending.yaml\n*.yaml.journal\n"
    assert (tmp_path / ".gitattributes").read_text(encoding="utf-8") == (
        "**/cassettes/**/*.yaml text eol=lf\n**/cassettes/**/*.yaml diff=multitrack\n"
    )


@pytest.mark.slow
def test_the_lines_of_init_apply_to_all_cassettes(tmp_path):
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    shown = run_multitrack("init", cwd=tmp_path).stdout.splitlines()
    assert shown[-1] == (
        "to see tool calls in the output of git diff, run once in each clone: "
        'git config diff.multitrack.textconv "multitrack show --textconv"'
    )
    files = ["cassettes/test_it/test_a.yaml", "cassettes/shared.yaml", "tests/deep/cassettes/test_it/test_a.yaml"]
    for attribute, value in (("eol", "lf"), ("diff", "multitrack")):
        command = ["git", "check-attr", attribute, *files, "docs/a.yaml"]
        found = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout.splitlines()
        assert found == [*(f"{file}: {attribute}: {value}" for file in files), f"docs/a.yaml: {attribute}: unspecified"]


def test_init_uses_the_folder_of_the_project(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.multitrack]\ncassettes_dir = 'recorded/http'\n", encoding="utf-8")
    run_multitrack("init", cwd=tmp_path)
    assert (tmp_path / ".gitattributes").read_text(encoding="utf-8").splitlines() == [
        "recorded/http/**/*.yaml text eol=lf",
        "recorded/http/**/*.yaml diff=multitrack",
    ]


@pytest.mark.slow
def test_demo_fails_if_a_committed_cassette_has_different_calls(tmp_path):
    # `make demo` runs the examples of all providers, which import SDKs for a minute
    others = ("library", "__pycache__", *(f"test_{name}*" for name in OTHER_EXAMPLES))
    for name in ("examples", "cassettes"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns(*others))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    assert multitrack_process("demo", cwd=tmp_path).returncode == 0
    cassette = tmp_path / "cassettes" / "examples" / "test_openai" / "test_plan.yaml"
    cassette.write_text(cassette.read_text(encoding="utf-8").replace("Dallas", "Paris"), encoding="utf-8")
    finished = multitrack_process("demo", cwd=tmp_path)
    assert finished.returncode == 1
    assert (
        "demo failed: the calls in the committed cassette test_openai/test_plan.yaml differ from the calls in the new "
        "cassette" in finished.stdout
    )
