"""The options that all commands which change files share: ``--help``, ``--dry-run`` and ``--json``; and ``undo``."""

from __future__ import annotations

import json

import pytest
import yaml
from command_line import run_multitrack

INTERACTION = {
    "request": {"method": "GET", "uri": "http://127.0.0.1/", "headers": {}, "body": ""},
    "response": {"status": {"code": 200, "message": "OK"}, "headers": {}, "body": {"string": "yes"}},
}
OURS = {"provenance": "local", "tests": ["test_trip.py::test_plan"]}
FOLDER = "cassettes/test_trip"
CASES = {
    "mv": (["test_trip.py::test_plan", "test_trip.py::test_journey"], {f"{FOLDER}/test_plan.yaml": OURS}),
    "convert": ([FOLDER], {f"{FOLDER}/test_plan.yaml": {}}),
    "accept": ([], {f"{FOLDER}/test_plan.pending.yaml": OURS}),
    "reject": ([], {f"{FOLDER}/test_plan.pending.yaml": OURS}),
}


@pytest.fixture(params=CASES)
def command(request, tmp_path, monkeypatch):
    """The arguments of a command that changes a file in the folder ``tmp_path``."""

    def collect_tests(_):
        raise ValueError

    monkeypatch.setattr("multitrack.reporting.collected_tests.collect_tests", collect_tests)
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "test_trip.py").write_text("def test_journey():\n    pass\n")
    arguments, files = CASES[request.param]
    for name, keys in files.items():
        document = {"version": 1, "interactions": [{**INTERACTION, **keys}]}
        if keys:
            document["metadata"] = {"format": 1, "provenance": "local"}
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(yaml.safe_dump(document))
    return [request.param, *arguments]


def read_cassettes(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("cassettes/**/*.yaml")}


def test_a_dry_run_lists_the_changes_and_makes_none(command, tmp_path):
    before = read_cassettes(tmp_path)
    done = run_multitrack(*command, "--dry-run", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("would ")
    assert read_cassettes(tmp_path) == before
    assert json.loads(run_multitrack(*command, "--dry-run", "--json", cwd=tmp_path).stdout)["dry_run"] is True
    assert read_cassettes(tmp_path) == before


def test_undo_restores_what_a_command_changed(command, tmp_path):
    before = read_cassettes(tmp_path)
    report = json.loads(run_multitrack(*command, "--json", cwd=tmp_path).stdout)
    assert report["command"] == command[0]
    assert report["changes"]
    after = read_cassettes(tmp_path)
    assert after != before

    planned = run_multitrack("undo", "--dry-run", cwd=tmp_path)
    assert planned.stdout.startswith("would ")
    assert read_cassettes(tmp_path) == after
    undone = json.loads(run_multitrack("undo", "--json", cwd=tmp_path).stdout)
    assert undone["command"] == "undo"
    assert undone["changes"]
    assert read_cassettes(tmp_path) == before
    assert run_multitrack("undo", cwd=tmp_path).returncode == 0
    assert read_cassettes(tmp_path) == after


@pytest.mark.parametrize(
    "name", ["mv", "rebind", "prune", "convert", "accept", "reject", "undo", "review", "ignore", "diff"]
)
def test_the_help_has_an_example_and_an_unknown_option_is_a_usage_error(name, tmp_path):
    done = run_multitrack(name, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert f"multitrack {name}" in done.stdout.partition("Example: ")[2]
    assert "Exit codes: 0 " in done.stdout
    assert run_multitrack(name, "--no-such-option", cwd=tmp_path).returncode == 2
