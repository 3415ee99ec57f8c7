"""``--calls-report``: the JSON, Markdown and HTML reports of a run."""

import json
from xml.etree import ElementTree

import jsonschema
import pytest
from drifting_model import DALLAS, SEARCH, TORONTO, DriftingModel

from multitrack.reporting.report_schema import make_schema

KEY = "sk-proj-inner0123456789abcdefghij"

TESTS = """
import os
from app import client
from multitrack import use_cassette

def plan(prompt="plan"):
    messages = [dict(role="user", content=prompt)]
    tools = [dict(type="function", function=dict(name="Weather", parameters=dict(type="object")))]
    body = dict(model="gpt-4o-mini", messages=messages, tools=tools)
    headers = dict(authorization="Bearer " + os.environ.get("OPENAI_API_KEY", ""))
    answer = client.post("/chat/completions", json=body, headers=headers).json()
    return answer["choices"][0]["message"]["tool_calls"]

@pytest.fixture(scope="module")
def planned():
    return plan("fixture")

@pytest.mark.cassette
def test_plan(planned):
    assert len(plan()) == 2

@pytest.mark.cassette
def test_block():
    with use_cassette("tapes/own.yaml"):
        plan()

@pytest.mark.cassette
def test_prompt():
    plan("Plan a trip to Toronto")

@pytest.mark.cassette
def test_snapshot(calls_snapshot):
    assert plan() == calls_snapshot

@pytest.mark.cassette
def test_damaged():
    plan()

def test_without_tape():
    pass
"""

# what changes before the run that is reported
CHANGES = [("to Toronto", "to Paris"), ("== 2", "== 3")]


@pytest.fixture
def model(project):
    project.provider.reply = model = DriftingModel()
    weather = model.calls_reply(TORONTO, DALLAS)
    model.replies = {
        "plan": weather,
        "Plan a trip to Toronto": weather,
        "fixture": model.calls_reply(SEARCH),
    }
    project.use_httpx()
    project.write_test(TESTS)
    return model


def read_report(project, name="report.json"):
    document = json.loads((project.path / name).read_text("utf-8"))
    jsonschema.validate(document, make_schema())
    return document


def change_project(project):
    text = (project.path / "test_it.py").read_text()
    for old, new in CHANGES:
        text = text.replace(old, new)
    project.write("test_it.py", text)
    calls = project.path / "__snapshots__" / "test_it.calls"
    calls.write_text(calls.read_text().replace("location='Dallas'", "location='Austin'"))
    project.cassette("test_it/test_damaged").write_text("interactions: 1")


def without_times(report):
    return {**report, "created_at": "", "tests": [{**entry, "seconds": 0} for entry in report["tests"]]}


@pytest.mark.usefixtures("model")
def test_the_report_says_what_failed_and_why(project):
    run = project.record("--record", "--calls-report=report.json")
    assert "multitrack: report: report.json" in run.lines
    recorded = read_report(project)
    assert recorded["totals"]["recorded"] == 6
    assert recorded["totals"]["outcomes"] == {"passed": 5}
    assert [entry["test"] for entry in recorded["tests"]] == [
        "fixture planned of test_it",
        "test_it.py::test_block",
        "test_it.py::test_damaged",
        "test_it.py::test_plan",
        "test_it.py::test_prompt",
        "test_it.py::test_snapshot",
    ]

    change_project(project)
    files = ("--calls-report=report.json", "--calls-report=r.md", "--calls-report=r.html", "--junit-xml=junit.xml")
    run = project.run(*files)
    assert run.counts == {"failed": 3, "passed": 2, "errors": 1}
    report = read_report(project)
    assert report["totals"]["outcomes"] == {"error": 1, "failed": 3, "passed": 1}
    assert report["totals"]["replayed"] == 4
    fixture, block, damaged, plan, prompt, snapshot = report["tests"]
    assert fixture["outcome"] is None
    assert fixture["is_fixture"] is True
    assert [len(one["exchanges"]) for one in block["cassettes"]] == [0, 1]
    check_cassette(block["cassettes"][1])
    check_damaged(damaged)
    assert plan["diagnosis"]["id"] == "cause-unknown"
    assert plan["diagnosis"]["text"] == "the 2 requests did not change; the reply, the models or the test changed"
    check_miss(prompt)
    check_comparison(snapshot)
    text = (project.path / "r.md").read_text("utf-8")
    assert "to record: pytest --record test_it.py::test_prompt" in text.splitlines()
    assert "Plan a trip to Paris" in (project.path / "r.html").read_text("utf-8")
    check_junit_file(project.path / "junit.xml")

    assert project.run(*files, "-n", "2").counts == run.counts
    assert without_times(read_report(project)) == without_times(report)
    check_junit_file(project.path / "junit.xml")


def check_cassette(cassette):
    [exchange] = cassette["exchanges"]
    assert cassette["path"] == "tapes/own.yaml"
    assert cassette["provenance"] == "local"
    assert cassette["age_days"] == 0
    assert exchange["origin"] == "replayed"
    assert exchange["request"]["model"] == "gpt-4o-mini"
    assert exchange["request"]["tools"] == ["Weather"]
    assert exchange["request"]["messages"] == [{"role": "user", "text": "plan"}]
    assert [call["arguments"] for call in exchange["answer"]["calls"]] == [TORONTO[1], DALLAS[1]]


def check_damaged(entry):
    assert entry["outcome"] == "error"
    assert entry["cassettes"] == []
    assert "the cassette is damaged" in entry["error"]["line"]


def check_miss(entry):
    [miss] = entry["misses"]
    assert entry["diagnosis"]["id"] == "miss-changed"
    assert miss["kind"] == "changed"
    assert miss["nearest"] == 1
    assert miss["cassette"] == "cassettes/test_it/test_prompt.yaml"
    assert miss["sent_from"].startswith("test_it.py:")
    assert miss["request"]["messages"] == [{"role": "user", "text": "Plan a trip to Paris"}]
    assert miss["differences"] == [
        {
            "path": "$.messages[0].content",
            "change": "changed",
            "recorded": "Plan a trip to Toronto",
            "sent": "Plan a trip to Paris",
            "meaning": None,
        }
    ]
    assert entry["next_steps"] == [{"action": "record", "command": "pytest --record test_it.py::test_prompt"}]
    assert entry["cause"].startswith("reason: changed: the nearest recording differs in 1 place")


def check_comparison(entry):
    changed, unchanged = entry["comparison"]["calls"]
    assert entry["diagnosis"]["id"] == "models-or-test-changed"
    assert entry["comparison"]["expected_in"] == "snapshot"
    assert changed["status"] == "changed"
    assert changed["expected"]["arguments"] == {"location": "Austin", "units": "imperial"}
    assert changed["received"]["arguments"] == DALLAS[1]
    assert changed["changes"] == [
        {"part": "argument", "path": "location", "change": "changed", "old": "Austin", "new": "Dallas"}
    ]
    assert unchanged["status"] == "unchanged"
    assert entry["next_steps"] == [
        {"action": "update-snapshot", "command": "pytest --snapshot-update test_it.py::test_snapshot"}
    ]


def check_junit_file(path):
    properties = {
        case.get("name"): [(one.get("name"), one.get("value")) for one in case.iter("property")]
        for case in ElementTree.parse(path).iter("testcase")
    }
    assert properties["test_without_tape"] == []
    assert properties["test_prompt"] == [
        ("diagnosis", "miss-changed"),
        ("cassette", "cassettes/test_it/test_prompt.yaml"),
        ("model", "gpt-4o-mini"),
        ("calls", "0"),
    ]
    assert ("calls", "2") in properties["test_block"]


def test_a_report_of_a_drift_run_and_the_summary_of_a_github_step(project, model, monkeypatch):
    project.record()
    model.replies["plan"] = model.calls_reply(TORONTO, ("Weather", {"location": "<Dallas> | ```", "units": "imperial"}))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project.write("summary", "before\n")))
    run = project.record(
        "--calls-drift", "--calls-report=out/report.md", "--calls-report=report.json", "--calls-report=github"
    )
    text = (project.path / "out/report.md").read_text("utf-8")
    assert (project.path / "summary").read_text("utf-8") == "before\n" + text
    assert run.changed == {"out/report.md", "report.json"}
    lines = text.splitlines()
    assert lines[0] == "# Tool calls of 5 tests: 1 failed, 4 passed, 4 with drift"
    assert (
        r"| passed | test\_it.py::test\_plan | 1 live | 2 | cassettes/test\_it/test\_plan.yaml "
        r"| drift: arguments changed |"
    ) in lines
    assert "        location: was 'Dallas', now '<Dallas> | ```'" in lines
    # the fence is longer than any fence in the text
    assert "````text" in lines
    entry = next(one for one in read_report(project)["tests"] if one["test"].endswith("test_plan"))
    [row] = entry["drift"]
    assert row["verdict"] == "arguments changed"
    assert row["holds"] is False
    [request] = row["requests"]
    assert [pair["status"] for pair in request["comparison"]["calls"]] == ["changed", "unchanged"]
    assert request["comparison"]["calls"][0]["changes"][0]["new"] == "<Dallas> | ```"
    assert entry["next_steps"] == [{"action": "record", "command": "pytest --record test_it.py::test_plan"}]


@pytest.mark.usefixtures("model")
def test_reports_contain_no_secret(project):
    text = (project.path / "test_it.py").read_text()
    project.write("test_it.py", text.replace("== 2", "== 3, os.environ['OPENAI_API_KEY']"))
    run = project.record("--record", "--calls-report=report.json")
    assert run.counts == {"passed": 5, "failed": 1}
    [entry] = [one for one in read_report(project)["tests"] if one["test"].endswith("test_plan")]
    assert entry["error"]["line"] == "AssertionError: __redacted__"
    assert entry["cassettes"][0]["pending"] == "cassettes/test_it/test_plan.pending.yaml"
    assert entry["next_steps"] == [
        {"action": "accept", "command": "multitrack accept cassettes/test_it/test_plan.pending.yaml"}
    ]
    assert KEY not in (project.path / "report.json").read_text("utf-8")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("report.txt", "--calls-report=report.txt: pass a path that ends in .md, .json, .html, or 'github'"),
        (
            "github",
            "--calls-report=github requires the environment variable GITHUB_STEP_SUMMARY, which GitHub Actions sets; "
            "elsewhere, pass a path",
        ),
    ],
)
def test_an_invalid_report_path_is_a_usage_error(project, name, message, monkeypatch):
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    run = project.run(f"--calls-report={name}")
    assert run.code == pytest.ExitCode.USAGE_ERROR
    assert run.changed == set()
    assert f"ERROR: {message}" in run.err


@pytest.mark.parametrize(
    "name", ["folder.md", "folder.json", "folder.html", "file/r.md", "file/a/b/r.json", "x" * 300 + ".md"]
)
@pytest.mark.usefixtures("model")
def test_a_report_that_cannot_be_written_is_a_usage_error_before_any_test(project, name):
    for folder in ("folder.md", "folder.json", "folder.html"):
        (project.path / folder).mkdir()
    project.write("file", "")
    run = project.record("--record", f"--calls-report={name}")
    assert run.code == pytest.ExitCode.USAGE_ERROR
    assert run.changed == set()
    [line] = [line for line in run.err.splitlines() if line]
    assert line.startswith(f"ERROR: --calls-report={name}: the report cannot be written: ")


@pytest.mark.usefixtures("model")
def test_the_error_says_what_is_in_the_way(project):
    project.write("file", "")
    run = project.run("--calls-report=file/r.md")
    assert f"cannot be written: {project.path / 'file'} is not a folder; pass another path" in run.err


@pytest.mark.usefixtures("model")
def test_a_summary_of_github_that_cannot_be_written_is_a_usage_error(project, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project.path))
    run = project.run("--calls-report=github")
    assert run.code == pytest.ExitCode.USAGE_ERROR
    assert f"ERROR: --calls-report=github: the report cannot be written: {project.path} is a folder" in run.err


@pytest.mark.usefixtures("model")
def test_a_valid_path_leaves_nothing_behind_if_the_run_does_not_start(project):
    run = project.run("--calls-report=out/r.md", "--record", "--live")
    assert run.code == pytest.ExitCode.USAGE_ERROR
    assert list(project.path.glob("out")) == []


def test_a_report_that_becomes_unwritable_is_named_and_fails_the_run(project):
    project.write_test("def test_it(): import pathlib; pathlib.Path('r.md').mkdir()\n")
    run = project.run("--calls-report=r.md", "--calls-report=r.json")
    assert "multitrack: report not written: r.md: Is a directory" in run.lines
    assert "multitrack: report: r.json" in run.lines
    assert run.code == pytest.ExitCode.TESTS_FAILED
