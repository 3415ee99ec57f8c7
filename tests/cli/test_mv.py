"""``multitrack mv``: cassettes, pending recordings and snapshots follow renamed and moved tests."""

from __future__ import annotations

import json
import subprocess

import pytest
from command_line import run_multitrack

CASSETTE = """\
# a comment
version: 1
interactions:
- request:
    method: POST
    uri: https://api.example.com/ask
    headers: {{content-type: [text/plain]}}
    body: {body}
  response:
    status: {{code: 200, message: OK}}
    headers: {{content-type: [text/plain]}}
    body:
      string: yes
  provenance: live
  tests: [{tests}]
metadata:
  format: 1
  provenance: live
"""
SNAPSHOTS = """\
# serializer version: 1
# name: test_other
  Weather(location='Dallas')
# ---
# name: test_plan
  Weather(location='Toronto')
# ---
# name: test_plan.1
  Weather(location='Toronto')
# ---
# name: test_plan[fr]
  Weather(location='Paris')
# ---
"""


class Project:
    def __init__(self, root):
        self.root = root
        self.write("pyproject.toml", "[tool.pytest.ini_options]\n")

    def write(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def cassette(self, path, *tests, body="ask"):
        self.write(path, CASSETTE.format(tests=", ".join(tests), body=body))

    def run(self, *arguments, cwd=None):
        return run_multitrack(*arguments, cwd=cwd or self.root)

    def files(self):
        """The names of all files except those of the project and of the undo log."""
        return sorted(
            path.relative_to(self.root).as_posix()
            for path in self.root.rglob("*")
            if path.is_file() and not path.relative_to(self.root).parts[0].startswith((".", "pyproject"))
        )

    def tests_in(self, path):
        lines = (self.root / path).read_text(encoding="utf-8").splitlines()
        return next(line for line in lines if line.startswith("  tests: "))


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def test_a_renamed_test(project):
    project.cassette("t/cassettes/test_trip/test_plan.yaml", "t/test_trip.py::test_plan")
    project.cassette("t/cassettes/test_trip/test_plan[fr].yaml", "'t/test_trip.py::test_plan[fr]'")
    project.cassette("t/cassettes/test_trip/test_plan.pending.yaml", "t/test_trip.py::test_plan")
    project.cassette("t/cassettes/test_trip/test_planet.yaml", "t/test_trip.py::test_planet")
    project.cassette("t/cassettes/shared.yaml", "t/test_trip.py::test_plan", "t/test_trip.py::test_other")
    project.write("t/__snapshots__/test_trip.calls", SNAPSHOTS)

    done = project.run("mv", "t/test_trip.py::test_plan", "t/test_trip.py::test_journey")

    assert done.stderr == ""
    assert done.returncode == 0
    assert project.files() == [
        "t/__snapshots__/test_trip.calls",
        "t/cassettes/shared.yaml",
        "t/cassettes/test_trip/test_journey.pending.yaml",
        "t/cassettes/test_trip/test_journey.yaml",
        "t/cassettes/test_trip/test_journey[fr].yaml",
        "t/cassettes/test_trip/test_planet.yaml",
    ]
    assert project.tests_in("t/cassettes/test_trip/test_journey[fr].yaml") == (
        "  tests: ['t/test_trip.py::test_journey[fr]']"
    )
    assert project.tests_in("t/cassettes/shared.yaml") == (
        "  tests: ['t/test_trip.py::test_journey', t/test_trip.py::test_other]"
    )
    assert project.tests_in("t/cassettes/test_trip/test_planet.yaml") == "  tests: [t/test_trip.py::test_planet]"
    snapshots = (project.root / "t/__snapshots__/test_trip.calls").read_text()
    names = [line.removeprefix("# name: ") for line in snapshots.splitlines() if line.startswith("# name: ")]
    assert names == ["test_journey", "test_journey.1", "test_journey[fr]", "test_other"]
    assert done.stdout.splitlines() == [
        "change t/cassettes/shared.yaml",
        "move t/cassettes/test_trip/test_plan.pending.yaml to t/cassettes/test_trip/test_journey.pending.yaml",
        "move t/cassettes/test_trip/test_plan.yaml to t/cassettes/test_trip/test_journey.yaml",
        "move t/cassettes/test_trip/test_plan[fr].yaml to t/cassettes/test_trip/test_journey[fr].yaml",
        "change t/__snapshots__/test_trip.calls",
    ]


def test_all_other_bytes_of_a_cassette_stay(project):
    name = "test_trip.py::test_plan"
    project.cassette("cassettes/test_trip/test_plan.yaml", name, body="'run test_trip.py::test_plan'")
    before = (project.root / "cassettes/test_trip/test_plan.yaml").read_text()
    project.run("mv", name, "test_trip.py::test_journey")
    after = (project.root / "cassettes/test_trip/test_journey.yaml").read_text()
    assert after == before.replace(f"[{name}]", "['test_trip.py::test_journey']")


def test_a_renamed_parameter(project):
    for name in ("fr", "fr-CA"):
        project.cassette(f"cassettes/test_trip/test_plan[{name}].yaml", f"'test_trip.py::test_plan[{name}]'")
    project.run("mv", "test_trip.py::test_plan[fr]", "test_trip.py::test_plan[french]")
    assert project.files() == [
        "cassettes/test_trip/test_plan[fr-CA].yaml",
        "cassettes/test_trip/test_plan[french].yaml",
    ]


def test_a_parameter_that_pytest_escapes(project):
    project.cassette("cassettes/test_trip/test_plan[Zürich].yaml", "'test_trip.py::test_plan[Z\\xfcrich]'")
    project.run("mv", r"test_trip.py::test_plan[Z\xfcrich]", r"test_trip.py::test_plan[K\xf6ln]")
    assert project.files() == ["cassettes/test_trip/test_plan[Köln].yaml"]
    assert project.tests_in(project.files()[0]) == r"  tests: ['test_trip.py::test_plan[K\xf6ln]']"


def test_a_renamed_class(project):
    project.cassette("cassettes/test_trip/TestOld.test_plan.yaml", "test_trip.py::TestOld::test_plan")
    project.cassette("cassettes/test_trip/TestOlder.test_plan.yaml", "test_trip.py::TestOlder::test_plan")
    project.run("mv", "test_trip.py::TestOld", "test_trip.py::TestNew")
    assert project.files() == [
        "cassettes/test_trip/TestNew.test_plan.yaml",
        "cassettes/test_trip/TestOlder.test_plan.yaml",
    ]


def test_a_test_that_moved_into_a_class_of_another_file(project):
    project.cassette("a/cassettes/test_one/test_plan.yaml", "a/test_one.py::test_plan")
    project.write("a/__snapshots__/test_one.calls", SNAPSHOTS)
    project.write("b/__snapshots__/test_two.calls", SNAPSHOTS.replace("test_", "test_b_"))
    project.run("mv", "a/test_one.py::test_plan", "b/test_two.py::TestTrip::test_plan")
    assert "b/cassettes/test_two/TestTrip.test_plan.yaml" in project.files()
    assert "test_plan" not in (project.root / "a/__snapshots__/test_one.calls").read_text()
    assert "# name: TestTrip.test_plan[fr]\n" in (project.root / "b/__snapshots__/test_two.calls").read_text()


def test_a_renamed_test_file(project):
    project.cassette("cassettes/test_one/test_plan.yaml", "test_one.py::test_plan")
    project.cassette("cassettes/test_one/agent.yaml", "fixture agent of test_one")
    project.write("__snapshots__/test_one.calls", SNAPSHOTS)
    project.run("mv", "test_one.py", "test_two.py")
    assert project.files() == [
        "__snapshots__/test_two.calls",
        "cassettes/test_two/agent.yaml",
        "cassettes/test_two/test_plan.yaml",
    ]
    assert project.tests_in("cassettes/test_two/agent.yaml") == "  tests: [fixture agent of test_two]"


def test_a_moved_folder_with_a_folder_of_all_cassettes(project):
    project.write("pyproject.toml", '[tool.multitrack]\ncassettes_dir = "tapes"\n')
    project.cassette("tapes/unit/test_one/test_plan.yaml", "unit/test_one.py::test_plan")
    project.run("mv", "unit", "fast/unit")
    assert project.files() == ["tapes/fast/unit/test_one/test_plan.yaml"]
    assert project.tests_in(project.files()[0]) == "  tests: ['fast/unit/test_one.py::test_plan']"


def test_a_name_that_is_too_long_for_a_file(project):
    from multitrack.tape.file.paths import file_name

    old, new = (f"test_plan[{letter * 300}]" for letter in "ab")
    project.cassette(f"cassettes/test_trip/{file_name(old)}.yaml", f"'test_trip.py::{old}'")
    project.run("mv", "test_trip.py::" + old, "test_trip.py::" + new)
    assert project.files() == [f"cassettes/test_trip/{file_name(new)}.yaml"]


def test_a_name_relative_to_the_current_folder(project):
    project.cassette("t/cassettes/test_trip/test_plan.yaml", "t/test_trip.py::test_plan")
    done = project.run("mv", "test_trip.py::test_plan", "test_trip.py::test_journey", cwd=project.root / "t")
    assert done.returncode == 0
    assert project.files() == ["t/cassettes/test_trip/test_journey.yaml"]


def test_an_existing_file_is_never_overwritten(project):
    for name in ("test_plan", "test_journey"):
        project.cassette(f"cassettes/test_trip/{name}.yaml", f"test_trip.py::{name}")
    done = project.run("mv", "test_trip.py::test_plan", "test_trip.py::test_journey")
    assert done.returncode == 1
    assert "test_journey.yaml: this file already exists" in done.stderr
    assert len(project.files()) == 2


def test_a_test_without_recordings(project):
    done = project.run("mv", "test_trip.py::test_plan", "test_trip.py::test_journey")
    assert done.returncode == 1
    assert done.stderr.startswith(
        "multitrack: test_trip.py::test_plan has no cassette, no pending recording and no snap"
    )


@pytest.mark.parametrize(
    "names",
    [
        ("test_a.py", "test_a.py"),
        ("test_a.py", "test_a.py::test_x"),
        ("test_a.py::test_x[1]", "test_a.py::test_x"),
        ("folder", "test_a.py"),
        ("test_a.py",),
    ],
)
def test_names_that_do_not_fit_are_usage_errors(project, names):
    assert project.run("mv", *names).returncode == 2


def test_a_dry_run_changes_nothing(project):
    project.cassette("cassettes/test_trip/test_plan.yaml", "test_trip.py::test_plan")
    arguments = ("mv", "test_trip.py::test_plan", "test_trip.py::test_journey", "--dry-run")
    assert project.run(*arguments).stdout == (
        "would move cassettes/test_trip/test_plan.yaml to cassettes/test_trip/test_journey.yaml\n"
    )
    assert json.loads(project.run(*arguments, "--json").stdout) == {
        "command": "mv",
        "dry_run": True,
        "changes": [
            {
                "action": "move",
                "path": "cassettes/test_trip/test_journey.yaml",
                "from": "cassettes/test_trip/test_plan.yaml",
            }
        ],
        "problems": [],
    }
    assert project.files() == ["cassettes/test_trip/test_plan.yaml"]
    assert project.run("undo").returncode == 1


def test_undo_restores_everything_and_a_second_undo_repeats_it(project):
    project.cassette("cassettes/test_trip/test_plan.yaml", "test_trip.py::test_plan")
    project.write("__snapshots__/test_trip.calls", SNAPSHOTS)
    before = {name: (project.root / name).read_text() for name in project.files()}
    project.run("mv", "test_trip.py::test_plan", "test_trip.py::test_journey")
    moved = project.files()

    undone = project.run("undo")
    assert undone.stdout.splitlines()[-1] == (
        "restored: the state before multitrack mv test_trip.py::test_plan test_trip.py::test_journey"
    )
    assert {name: (project.root / name).read_text() for name in project.files()} == before

    project.run("undo")
    assert project.files() == moved


def test_undo_does_not_overwrite_a_later_change(project):
    project.cassette("cassettes/test_trip/test_plan.yaml", "test_trip.py::test_plan")
    project.run("mv", "test_trip.py::test_plan", "test_trip.py::test_journey")
    project.write("cassettes/test_trip/test_journey.yaml", "edited")
    done = project.run("undo")
    assert done.returncode == 1
    assert "cassettes/test_trip/test_journey.yaml\n  to overwrite these changes: multitrack undo --force" in done.stderr
    assert project.files() == ["cassettes/test_trip/test_journey.yaml"]
    project.run("undo", "--force")
    assert project.files() == ["cassettes/test_trip/test_plan.yaml"]


@pytest.mark.slow
def test_uncommitted_changes_are_refused(project):
    def git(*arguments):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments], cwd=project.root, check=True)

    project.cassette("cassettes/test_trip/test_plan.yaml", "test_trip.py::test_plan")
    git("init", "-q")
    git("add", "cassettes")
    git("commit", "-qm", "Add a cassette")
    project.cassette("cassettes/test_trip/test_plan.yaml", "test_trip.py::test_plan", body="changed")
    names = ("test_trip.py::test_plan", "test_trip.py::test_journey")
    refused = project.run("mv", *names)
    assert refused.returncode == 1
    assert refused.stderr == (
        "multitrack: uncommitted changes in cassettes/test_trip/test_plan.yaml\n"
        "  commit them, or repeat the command with --force\n"
    )
    git("commit", "-qam", "Change it")
    assert project.run("mv", *names).returncode == 0
    assert project.run("mv", *reversed(names)).returncode == 0

    project.cassette("cassettes/test_trip/test_plan.yaml", "test_trip.py::test_plan", body="changed again")
    assert project.run("mv", *names, "--force").returncode == 0
