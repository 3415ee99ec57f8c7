"""``multitrack review``: what needs a decision, and ``multitrack accept`` and ``reject`` with the ids of items."""

import json
import re
import subprocess
import sys

import pytest
from command_line import run_multitrack

from multitrack.commands.review_decisions import Decisions
from multitrack.commands.review_items import FieldDifference, ReviewItem, list_items
from multitrack.commands.review_terminal import format_item, go_through, print_side_by_side
from multitrack.run_facts import (
    CACHE_KEY,
    AuditFinding,
    ChangedRequest,
    ChangedSnapshot,
    DriftedCassette,
    RunFacts,
    StoredRequest,
    UsedCassette,
    digest_file,
)
from multitrack.shell_commands import RunOptions
from multitrack.snapshots.calls_file import format_file
from multitrack.tape.exchange import Request, Response
from multitrack.tape.file.cassette import Cassette
from multitrack.tape.file.cassette_writer import dump_cassette
from multitrack.tape.interaction import Interaction
from multitrack.tape.settings import Settings

TEST = "test_trip.py::test_plan"
URL = "https://api.openai.com/v1/chat/completions"
SNAPSHOT = "# serializer version: 1\n# name: test_plan\n  Weather(location='Toronto')\n  # request 1, reply 2\n# ---\n"
RECEIVED = "Weather(location='Paris')"


def exchange(prompt, city, test=TEST):
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "Weather", "arguments": f'{{"location":"{city}"}}'},
    }
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    answer = {"id": "c", "object": "chat.completion", "model": "gpt-4o-mini", "choices": [choice]}
    headers = (("content-type", "application/json"),)
    response = Response(200, "OK", headers, json.dumps(answer).encode())
    return Interaction(Request("POST", URL, headers, make_body(prompt)), response, tests=(test,))


def make_body(prompt):
    return json.dumps({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": prompt}]}).encode()


class Project:
    def __init__(self, path):
        self.path = path
        self.cassette = self.write_cassette("test_plan.yaml", exchange("Plan", "Toronto"))
        self.pending = self.write_cassette("test_plan.pending.yaml", exchange("Plan", "Lima"))
        self.worded = self.write_cassette(
            "test_words.yaml", exchange("Plan a trip", "Rome", "test_trip.py::test_words")
        )
        self.snapshot = path / "__snapshots__" / "test_trip.calls"
        self.snapshot.parent.mkdir()
        self.snapshot.write_text(SNAPSHOT, encoding="utf-8")

    def write_cassette(self, name, *interactions):
        file = self.path / "cassettes" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(dump_cassette(Cassette(interactions, {"format": 1})), encoding="utf-8")
        return file

    def write_facts(self, findings=(), snapshots=(), misses=(), **facts):
        sent = StoredRequest.from_body("POST", URL, [("content-type", "application/json")], make_body("Plan my trip"))
        worded = ChangedRequest(
            "test_trip.py::test_words", "cassettes/test_words.yaml", "no recording", sent, 1, is_only_wording=True
        )
        changed = ChangedRequest("test_trip.py::test_new", "cassettes/new.yaml", "CassetteMiss: POST\n  reason", sent)
        snapshot = ChangedSnapshot(
            TEST,
            "__snapshots__/test_trip.calls",
            "test_plan",
            "Weather(location='Toronto')\n# request 1, reply 2",
            RECEIVED,
            "changed: Weather(location='Toronto')\n    location: was 'Toronto', now 'Paris'",
            "# request 3, reply 4",
        )
        drift = DriftedCassette(TEST, "cassettes/test_plan.yaml", "arguments changed", ["changed: Weather"])
        finding = AuditFinding("a tool was renamed", "changed", [TEST], ["Weather"], "pytest --record")
        used = {f"cassettes/{file.name}": UsedCassette(digest_file(file), [1]) for file in (self.cassette, self.worded)}
        facts = RunFacts(
            cassettes=used,
            misses=[worded, changed, *misses],
            snapshots=[snapshot, *snapshots],
            drift=[drift],
            findings=[*findings] or [finding],
            **facts,
        )
        file = self.path.joinpath(".pytest_cache", "v", *CACHE_KEY.split("/"))
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(facts.to_plain()), encoding="utf-8")

    def run(self, *arguments):
        return run_multitrack(*arguments, cwd=self.path)

    def list_items(self):
        done = self.run("review", "--json")
        document = json.loads(done.stdout)
        assert document["version"] == 1
        assert done.returncode == (1 if document["items"] else 0)
        return document["items"]

    def items(self):
        return {
            item["kind"] if item["kind"] != "changed request" else item["title"]: item for item in self.list_items()
        }


@pytest.fixture
def project(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.multitrack]\n", encoding="utf-8")
    return Project(tmp_path)


@pytest.fixture
def reviewed(project):
    project.write_facts()
    return project


def test_review_lists_what_needs_a_decision(reviewed):
    items = reviewed.items()
    pending = items["pending recording"]
    assert pending["file"] == "cassettes/test_plan.pending.yaml"
    assert pending["tests"] == [TEST]
    assert "      location: was 'Toronto', now 'Lima'" in pending["lines"]
    assert "  request user: Plan" in pending["request"]
    assert pending["changes"] == [{"field": "Weather.location", "old": "'Toronto'", "new": "'Lima'"}]
    assert pending["decisions"] == ["accept", "reject"]
    assert items["changed snapshot"]["decisions"] == ["accept", "ignore"]
    assert items["changed snapshot"]["paths"] == ["Weather.location"]
    assert pending["paths"] == []
    assert items["changed snapshot"]["changes"] == [{"field": "Weather.location", "old": "'Toronto'", "new": "'Paris'"}]
    assert items["changed snapshot"]["lines"][1] == "    location: was 'Toronto', now 'Paris'"
    assert items["only the wording changed"]["decisions"] == ["accept"]
    assert items["only the wording changed"]["request"][1] == "  request user: Plan my trip"
    assert items["CassetteMiss: POST"]["command"] == "pytest --record test_trip.py::test_new"
    assert items["drift"]["command"] == f"pytest --record {TEST}"
    assert items["drift"]["title"] == "arguments changed"
    assert items["audit finding"]["title"] == "changed: a tool was renamed"
    assert len({item["id"] for item in items.values()}) == len(items) == 6


def test_an_id_is_valid_until_its_file_changes(reviewed):
    before = reviewed.items()
    assert reviewed.items() == before
    reviewed.write_cassette("test_plan.pending.yaml", exchange("Plan", "Oslo"))
    after = reviewed.items()
    changed = {kind for kind in before if after[kind]["id"] != before[kind]["id"]}
    assert changed == {"pending recording"}
    done = reviewed.run("accept", before["pending recording"]["id"])
    assert done.returncode == 1
    assert (
        "there is no such item, or its file has changed\n  to list the items: multitrack review --json" in done.stderr
    )


@pytest.fixture
def shared(project):
    """A cassette with recordings of two tests, both of which sent a request with a new wording."""
    project.write_cassette(
        "test_words.yaml",
        exchange("Plan a trip", "Rome", "test_trip.py::test_words"),
        exchange("Plan a meal", "Rome", "test_trip.py::test_meal"),
    )
    sent = StoredRequest.from_body("POST", URL, [("content-type", "application/json")], make_body("Plan my meal"))
    meal = ChangedRequest(
        "test_trip.py::test_meal", "cassettes/test_words.yaml", "no meal", sent, 2, is_only_wording=True
    )
    project.write_facts(misses=[meal])
    (accepted,) = (one["id"] for one in project.list_items() if one["tests"] == ["test_trip.py::test_words"])
    assert project.run("accept", accepted).returncode == 0
    return project


def test_other_requests_of_a_changed_cassette_stay_listed(shared):
    (meal,) = (one for one in shared.list_items() if one["tests"] == ["test_trip.py::test_meal"])
    assert meal["lines"] == ["no meal", "the cassette has changed since the run"]
    assert meal["command"] == "pytest test_trip.py::test_meal"
    assert meal["decisions"] == []
    assert "  to run the test again: pytest test_trip.py::test_meal\n" in shared.run("review").stdout
    refused = shared.run("accept", meal["id"])
    assert refused.returncode == 1
    assert "the cassette has changed since the run\n  run: pytest test_trip.py::test_meal" in refused.stderr


def test_a_request_that_its_cassette_now_holds_is_not_listed(shared):
    assert all(one["tests"] != ["test_trip.py::test_words"] for one in shared.list_items())


def test_commands_repeat_the_options_of_the_run_and_fit_the_current_folder(project):
    sent = StoredRequest.from_body("POST", URL, [("content-type", "application/json")], make_body("Moved"))
    moved = ChangedRequest(
        "test_trip.py::test_b", "cassettes/b.yaml", "moved", sent, moved_from=("test_trip.py::a", "test_trip.py::b")
    )
    options = RunOptions("--multitrack-record", ["--cassettes-dir=/x y", "-pmine"], has_configuration=False)
    fixture = ChangedRequest("client", "cassettes/client.yaml", "in a fixture", sent)
    project.write_facts(misses=[moved, fixture], options=options)
    folder = project.path / "inner"
    folder.mkdir()
    document = json.loads(run_multitrack("review", "--json", cwd=folder).stdout)
    found = {item["kind"] if item["kind"] != "changed request" else item["title"]: item for item in document["items"]}
    record = "pytest --multitrack-record '--cassettes-dir=/x y' -pmine"
    at_root = record.replace("pytest", "pytest --rootdir=..")
    assert found["CassetteMiss: POST"]["command"] == f"{at_root} ../test_trip.py::test_new"
    assert found["drift"]["command"] == f"{at_root} ../{TEST}"
    assert found["in a fixture"]["command"] == f"cd .. && {record}"
    assert found["moved"]["command"] == "multitrack mv ../test_trip.py::a ../test_trip.py::b"
    assert found["audit finding"]["command"] == "cd .. && pytest --record"
    (problem, *_) = json.loads(run_multitrack("rebind", "test_trip.py::test_new", "--json", cwd=folder).stdout)[
        "problems"
    ]
    assert problem["message"].endswith(f"to record it: {at_root} ../test_trip.py::test_new")


def test_a_snapshot_that_has_changed_since_the_run_is_not_listed(reviewed):
    reviewed.snapshot.write_text(SNAPSHOT.replace("Toronto", "Bern"), encoding="utf-8")
    assert "changed snapshot" not in reviewed.items()


def test_accept_with_ids_changes_the_files_and_can_be_undone(reviewed):
    items = reviewed.items()
    files = (reviewed.cassette, reviewed.pending, reviewed.worded, reviewed.snapshot)
    before = [file.read_bytes() for file in files]
    ids = [items[kind]["id"] for kind in ("pending recording", "changed snapshot", "only the wording changed")]
    dry = reviewed.run("accept", *ids, "--dry-run")
    assert dry.returncode == 0
    assert [file.read_bytes() for file in files] == before
    done = reviewed.run("accept", *ids, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["command"] == "accept"
    assert {change["path"] for change in report["changes"]} == {
        "cassettes/test_plan.yaml",
        "cassettes/test_words.yaml",
        "__snapshots__/test_trip.calls",
    }
    assert "Lima" in reviewed.cassette.read_text("utf-8")
    assert "Plan my trip" in reviewed.worded.read_text("utf-8")
    assert "  Weather(location='Paris')\n  # request 3, reply 4\n# ---" in reviewed.snapshot.read_text("utf-8")
    assert not reviewed.pending.exists()
    assert reviewed.run("undo").returncode == 0
    assert [file.read_bytes() for file in files] == before


def test_other_snapshots_in_the_file_of_an_accepted_one_stay(project):
    project.snapshot.write_text(f"{SNAPSHOT}# name: test_other\n  Weather(location='Rome')\n# ---\n", encoding="utf-8")
    project.write_facts(
        snapshots=[
            ChangedSnapshot(
                "test_trip.py::test_other",
                "__snapshots__/test_trip.calls",
                "test_other",
                "Weather(location='Rome')",
                RECEIVED,
                "changed",
            )
        ]
    )
    document = json.loads(project.run("review", "--json").stdout)
    first, other = (item for item in document["items"] if item["kind"] == "changed snapshot")
    assert project.run("accept", first["id"]).returncode == 0
    assert [item["tests"] for item in json.loads(project.run("review", "--json").stdout)["items"]].count(
        other["tests"]
    ) == 1


def test_reject_with_an_id_removes_the_pending_recording(reviewed):
    before = reviewed.cassette.read_bytes()
    assert reviewed.run("reject", reviewed.items()["pending recording"]["id"]).returncode == 0
    assert not reviewed.pending.exists()
    assert reviewed.cassette.read_bytes() == before


@pytest.mark.slow
def test_a_refused_decision_leaves_the_undo_of_the_command_before(reviewed):
    reviewed.snapshot.write_text("# serializer version: 1\n", encoding="utf-8")
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.com"]
    for arguments in (["init", "-q"], ["add", "__snapshots__"], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *arguments], cwd=reviewed.path, check=True)
    reviewed.snapshot.write_text(SNAPSHOT, encoding="utf-8")
    items = reviewed.items()
    assert reviewed.run("reject", items["pending recording"]["id"]).returncode == 0
    refused = reviewed.run("accept", items["changed snapshot"]["id"])
    assert refused.returncode == 1
    assert "uncommitted changes in __snapshots__/test_trip.calls" in refused.stderr
    assert reviewed.run("undo").returncode == 0
    assert reviewed.pending.exists()


def test_a_cassette_with_an_accepted_recording_is_not_rebound_at_the_same_time(project):
    pending = project.write_cassette("test_words.pending.yaml", exchange("Plan", "Lima", "test_trip.py::test_words"))
    project.write_facts()
    document = json.loads(project.run("review", "--json").stdout)
    ids = [item["id"] for item in document["items"] if "test_trip.py::test_words" in item["tests"]]
    assert len(ids) == 2
    done = project.run("accept", *ids)
    assert done.returncode == 1
    assert "cassettes/test_words.yaml: reworded requests are not accepted together" in done.stderr
    assert "accept cassettes/test_words.yaml" in done.stdout
    assert not pending.exists()
    assert "Plan my trip" not in project.worded.read_text("utf-8")


def test_rebind_in_a_folder_leaves_the_other_folders(reviewed):
    folder = reviewed.path / "other"
    folder.mkdir()
    before = reviewed.worded.read_bytes()
    done = run_multitrack("rebind", ".", cwd=folder)
    assert done.returncode == 1
    assert reviewed.worded.read_bytes() == before


def test_a_finding_without_a_command_says_what_to_do(project):
    finding = AuditFinding("a timestamp", "noise", [TEST], ["to ignore it, add: ignore"], "")
    project.write_facts(findings=[finding])
    found = project.items()["audit finding"]
    assert found["command"] == ""
    assert found["decisions"] == []
    assert "multitrack review shows what to do" in project.run("accept", found["id"]).stderr


@pytest.mark.parametrize(
    ("word", "kind", "message"),
    [
        ("accept", "drift", f"the item cannot be accepted\n  run: pytest --record {TEST}"),
        ("accept", "audit finding", "the item cannot be accepted\n  run: pytest --record"),
        ("reject", "drift", f"only a pending recording can be rejected\n  run: pytest --record {TEST}"),
        ("reject", "changed snapshot", "only a pending recording can be rejected\n  change the code, or accept it"),
    ],
)
def test_a_decision_that_is_not_possible_is_a_problem(reviewed, word, kind, message):
    done = reviewed.run(word, reviewed.items()[kind]["id"])
    assert done.returncode == 1
    assert message in done.stderr


@pytest.mark.parametrize(
    "arguments", [("p-0123456789", "cassettes"), ("p-0123456789", "--keep-errors")], ids=["a path", "an option"]
)
def test_ids_beside_paths_are_a_usage_error(reviewed, arguments):
    assert reviewed.run("accept", *arguments).returncode == 2


def test_without_a_terminal_the_items_are_printed(project):
    done = project.run("review")
    assert done.returncode == 1
    assert done.stdout.splitlines()[1].endswith("  pending recording  cassettes/test_plan.pending.yaml")
    assert "1 item to review; to decide: multitrack accept|reject|ignore ID" in done.stdout
    project.pending.unlink()
    done = project.run("review")
    assert (done.returncode, done.stdout) == (0, "there is nothing to review\n")


def item(name, kind="pending recording", title="a", command=""):
    return ReviewItem(name, kind, (), "", title, (f"line of {name}",), command=command)


ITEMS = [item("1"), item("2"), item("3", title="b"), item("4", "drift", command="pytest --record")]


@pytest.mark.parametrize(
    ("keys", "decided"),
    [
        ("asss", {"1": "accept"}),
        ("rsss", {"1": "reject"}),
        ("ssss", {}),
        ("Ass", {"1": "accept", "2": "accept"}),
        ("Sas", {"3": "accept"}),
        ("aq", {"1": "accept"}),
        ("a", {"1": "accept"}),
        ("?xaaas", {"1": "accept", "2": "accept", "3": "accept"}),
        ("issss", {}),
        ("sssas", {}),
        ("sssrs", {}),
    ],
    ids=[
        "accept",
        "reject",
        "skip",
        "accept all",
        "skip all",
        "quit",
        "end of input",
        "help",
        "ignore",
        "live only",
        "no reject",
    ],
)
def test_each_key_decides(keys, decided):
    waiting = iter(keys)
    shown = []
    decisions = go_through(ITEMS, lambda: next(waiting, ""), shown.append)
    assert decisions == Decisions(decided)
    assert next(waiting, None) is None
    assert "    line of 1" in shown
    assert ("a  accept the item" in shown) == ("?" in keys)
    assert ("a pending recording has no path to ignore; accept or reject it" in shown) == ("i" in keys)


@pytest.fixture
def changed_snapshots(tmp_path):
    entries = {
        "one": (
            "Weather(location='Toronto', units='metric', day=1)",
            "Weather(location='Paris', units='metric', day=2)",
        ),
        "two": ("Weather(location='Rome', day=1)", "Weather(location='Rome', day=3)"),
        "three": ("Weather(location='Rome', day=1)", "Search(query='Rome')"),
    }
    file = tmp_path / "x.calls"
    file.write_text(format_file(file, {name: stored for name, (stored, _) in entries.items()}))
    changed = [ChangedSnapshot("", file.name, name, *sides, name) for name, sides in entries.items()]
    return list_items([], RunFacts(tmp_path, snapshots=changed), Settings())


@pytest.mark.parametrize(
    ("keys", "words", "ignored"),
    [
        ("i2sq", [], ["Weather.day"]),
        ("i2aq", ["one"], ["Weather.day"]),
        ("i2is", [], ["Weather.day", "Weather.location"]),
        ("ixsis", [], ["Weather.day"]),
        ("ssia", ["three"], []),
    ],
    ids=["one of two paths", "accept the rest", "both paths", "no path", "no argument"],
)
def test_a_path_is_ignored_in_all_snapshots(changed_snapshots, keys, words, ignored):
    waiting = iter(keys)
    shown = []
    decisions = go_through(changed_snapshots, lambda: next(waiting, ""), shown.append)
    ids = {item.source.name: item.id for item in changed_snapshots}
    assert decisions.words == {ids[name]: "accept" for name in words}
    assert decisions.list_ignored() == ignored
    assert next(waiting, None) is None
    two = f"{ids['two']}  skipped: the only difference is in Weather.day, which you chose to ignore"
    assert (two in shown) == keys.startswith("i2")
    assert decisions.settles(changed_snapshots[1]) == ("Weather.day" in ignored)
    whole = "whole calls differ, but only arguments of a call can be ignored; change the code, or accept the item"
    assert (whole in shown) == (keys == "ssia")


def test_ignore_adds_the_paths_to_the_settings(reviewed):
    pyproject = reviewed.path / "pyproject.toml"
    before = pyproject.read_bytes()
    found = reviewed.items()["changed snapshot"]["id"]
    assert reviewed.run("ignore", found, "--dry-run").stdout == "would change pyproject.toml\n"
    assert pyproject.read_bytes() == before
    done = reviewed.run("ignore", found, "--path", "Weather.location", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["changes"] == [{"action": "change", "path": "pyproject.toml"}]
    assert pyproject.read_text("utf-8") == '[tool.multitrack]\nsnapshot_ignore = ["Weather.location"]\n'
    assert "changed snapshot" not in reviewed.items()
    assert reviewed.run("undo").returncode == 0
    assert pyproject.read_bytes() == before
    assert reviewed.items()["changed snapshot"]["id"] == found


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("changed snapshot", ("--path", "day"), "no difference at day\n  these paths differ: Weather.location"),
        ("pending recording", (), "a pending recording has no path to ignore\n  accept or reject it"),
        (
            "CassetteMiss: POST",
            (),
            "to ignore a value in requests, add its JSON path to the ignore option in [tool.multitrack]",
        ),
        ("drift", (), f"drift cannot be ignored\n  run: pytest --record {TEST}"),
        ("audit finding", (), "an audit finding has no path to ignore\n  run: pytest --record"),
    ],
)
def test_a_path_that_cannot_be_ignored_is_a_problem(reviewed, kind, options, message):
    done = reviewed.run("ignore", reviewed.items()[kind]["id"], *options)
    assert done.returncode == 1
    assert message in done.stderr
    assert "snapshot_ignore" not in (reviewed.path / "pyproject.toml").read_text("utf-8")


@pytest.mark.parametrize(
    ("keys", "code", "is_left"), [("a", 0, False), ("r", 0, False), ("s", 1, True), ("q", 1, True)]
)
def test_the_keys_in_a_terminal_change_the_files(project, monkeypatch, keys, code, is_left):
    waiting = iter(keys)
    monkeypatch.setattr("typer.getchar", lambda: next(waiting, ""))
    monkeypatch.setattr("multitrack.commands.command_line._has_terminal", lambda: True)
    before = project.cassette.read_bytes()
    done = project.run("review")
    assert done.returncode == code, done.stderr
    assert project.pending.exists() == is_left
    assert (project.cassette.read_bytes() != before) == (keys == "a")
    # both values in one line
    assert [line.split() for line in done.stdout.splitlines() if "Weather.location" in line] == [
        ["Weather.location", "'Toronto'", "'Lima'"]
    ]
    if not is_left:
        assert project.run("undo").returncode == 0
        assert project.pending.exists()
        assert project.cassette.read_bytes() == before


RED, GREEN = "\x1b[1;4;31m", "\x1b[1;4;32m"


@pytest.mark.parametrize(
    ("variables", "is_coloured"), [({}, True), ({"NO_COLOR": "1"}, False)], ids=["colours", "NO_COLOR"]
)
def test_a_terminal_shows_both_values_in_colour(changed_snapshots, monkeypatch, capsys, variables, is_coloured):
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm-256color", "COLUMNS": "100", "FORCE_COLOR": "1", **variables}.items():
        monkeypatch.setenv(name, value)
    print_side_by_side(changed_snapshots[0], "1 of 3")
    shown = capsys.readouterr().out
    row = next(line for line in shown.splitlines() if "Weather.location" in line)
    assert (f"{RED}Toronto" in row) == is_coloured
    assert (f"{GREEN}Paris" in row) == is_coloured
    assert "31m" in shown or not is_coloured
    assert [*re.sub(r"\x1b\[[0-9;]*m", "", row).split()] == ["Weather.location", "'Toronto'", "'Paris'"]


def test_control_characters_are_escaped_in_colour(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    changes = (FieldDifference("a\x1b[2J", "'b\x1b[2J'", None),)
    shown = ReviewItem("1", "drift", ("t\x1b[2J",), "", "", (), changes, request=("\x1b[2J[red]x[/]",))
    print_side_by_side(shown)
    out = capsys.readouterr().out
    assert "\x1b[2J" not in out
    assert "'b\\x1b[2J'" in out
    assert "[red]x[/]" in out
    assert "(absent)" in out


def test_without_rich_the_lines_are_printed(changed_snapshots, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "rich", None)
    print_side_by_side(changed_snapshots[0], "1 of 3")
    assert capsys.readouterr().out.splitlines() == list(format_item(changed_snapshots[0], "1 of 3"))
