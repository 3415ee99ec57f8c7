"""``--calls-report``: the JSON, Markdown and HTML reports of a run."""

import json
from html.parser import HTMLParser

import pytest
from drifting_model import DALLAS, SEARCH, TORONTO, DriftingModel

KEY = "sk-proj-inner0123456789abcdefghij"

TESTS = """
from multitrack import use_cassette

def plan(prompt="plan"):
    messages = [dict(role="user", content=prompt)]
    return client.chat.completions.create(model="gpt-4o-mini", messages=messages).choices[0].message.tool_calls

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

def test_without_tape():
    pass
"""


@pytest.fixture
def model(project):
    project.provider.reply = model = DriftingModel()
    model.replies = {"plan": model.calls_reply(TORONTO, DALLAS), "fixture": model.calls_reply(SEARCH)}
    project.write_test(TESTS)
    return model


def read_report(project, name="report.json"):
    document = json.loads((project.path / name).read_text("utf-8"))
    assert document["format"] == 1
    return {entry["test"]: entry for entry in document["tests"]}


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["one process", "xdist"])
@pytest.mark.usefixtures("model")
def test_the_json_report_lists_what_each_tape_did(project, options):
    run = project.record("--record", "--calls-report=report.json")
    assert "multitrack: report: report.json" in run.lines
    recorded = read_report(project)
    assert list(recorded) == ["fixture planned of test_it", "test_it.py::test_block", "test_it.py::test_plan"]
    assert recorded["test_it.py::test_plan"] == {
        "test": "test_it.py::test_plan",
        "outcome": "passed",
        "failure": "",
        "tapes": [
            {
                "tape": "cassettes/test_it/test_plan.yaml",
                "mode": "record",
                "played": 0,
                "recorded": 1,
                "live": 0,
                "pending": "",
                "calls": [
                    "1 · openai.chat gpt-4o-mini · 2 calls",
                    "  Weather(location='Toronto', units='metric')",
                    "  Weather(location='Dallas', units='imperial')",
                ],
                "count": 2,
            }
        ],
        "drift": [],
    }
    project.write("test_it.py", (project.path / "test_it.py").read_text().replace("== 2", "== 3"))
    run = project.run("--calls-report=report.json", *options)
    replayed = read_report(project)
    assert [(entry["outcome"], [tape["played"] for tape in entry["tapes"]]) for entry in replayed.values()] == [
        ("", [1]),
        ("passed", [0, 1]),
        ("failed", [1]),
    ]
    assert replayed["test_it.py::test_plan"]["failure"] == (
        "the 2 requests did not change; the reply, the models or the test changed"
    )


def test_markdown_html_and_github_reports(project, model, monkeypatch):
    project.record()
    model.replies["plan"] = model.calls_reply(TORONTO, ("Weather", {"location": "<Dallas> | ```", "units": "imperial"}))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project.write("summary", "before\n")))
    run = project.record(
        "--calls-drift", "--calls-report=out/report.md", "--calls-report=r.html", "--calls-report=github"
    )
    text = (project.path / "out/report.md").read_text("utf-8")
    assert (project.path / "summary").read_text("utf-8") == "before\n" + text
    assert run.changed == {"out/report.md", "r.html"}
    lines = text.splitlines()
    assert lines[0] == "# Tool calls of 2 tests: 2 passed"
    assert (
        r"| passed | test\_it.py::test\_plan | 1 live | 2 | cassettes/test\_it/test\_plan.yaml "
        r"| drift: arguments changed |"
    ) in lines
    assert "      location: was 'Dallas', now '<Dallas> | ```'" in lines
    # the fence is longer than any fence in the text
    assert lines.count("````text") == 2
    page = (project.path / "r.html").read_text("utf-8")
    assert "<Dallas>" not in page
    assert "now &#x27;&lt;Dallas&gt; | ```&#x27;" in page
    tags = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, _: tags.append(tag)
    parser.feed(page)
    assert tags.count("tr") == 5
    assert tags.count("details") == 3


@pytest.mark.usefixtures("model")
def test_reports_contain_no_secret(project):
    project.write("test_it.py", (project.path / "test_it.py").read_text().replace("== 2", "== 3, client.api_key"))
    run = project.record("--record", "--calls-report=report.json")
    assert run.counts == {"passed": 2, "failed": 1}
    assert read_report(project)["test_it.py::test_plan"]["failure"] == "AssertionError: __redacted__"
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
    assert f"cannot be written: {project.path / 'file'} is not a folder: pass another path" in run.err


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
