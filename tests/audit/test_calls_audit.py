"""``pytest --calls-audit`` in a suite with more than a hundred cassettes of vcrpy and twelve planted changes."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass

import pytest
from audited_suite import COUNT, PLANTS, write_suite

pytestmark = pytest.mark.slow

TITLES = {
    "prompt": 'system message: "helpful" -> "terse"',
    "renamed tool": "`get_weather` is now named `fetch_weather`",
    "required field": "`get_weather.day` is new",
    "enum": '`get_weather.units` changed the allowed value "imperial" to "kelvin"',
    "temperature": "$.temperature changed",
    "order": "$.messages: order changed",
    "id": "$.user: a UUID",
    "timestamp": "$.messages[*].content: a timestamp, in a longer text",
    "model": "$.model changed",
    "renamed field": "`$.max_tokens` is now `$.max_completion_tokens`",
    "null": "null or an empty value instead of no value, or vice versa",
    "word": "$.metadata.shard",
}


def run_pytest(folder, *arguments):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--color=no", *arguments],
        cwd=folder,
        env={**environment, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


@dataclass
class Audit:
    """Two audits of the same suite: the first in one process, the second with two workers."""

    suite: object
    first: object
    second: object
    reports: tuple

    def find(self, plant, run=1):
        """Return the finding for a planted change in the first or in the second run."""
        found = [one for one in self.reports[run - 1]["findings"] if one["title"].startswith(TITLES[plant])]
        assert len(found) == 1, [one["title"] for one in self.reports[run - 1]["findings"]]
        return found[0]


@pytest.fixture(scope="module")
def audit(tmp_path_factory):
    folder = tmp_path_factory.mktemp("suite") / "project"
    suite = write_suite(folder)
    first = run_pytest(folder, "--calls-audit=first.json", "--calls-audit=first.html")
    second = run_pytest(folder, "-n", "2", "--calls-audit=second.json", "--calls-audit=second.md", "--calls-audit-fail")
    reports = tuple(json.loads((folder / f"{name}.json").read_text()) for name in ("first", "second"))
    return Audit(suite, first, second, reports)


class TestFindings:
    def test_every_planted_change_is_one_finding(self, audit):
        assert len(audit.reports[0]["findings"]) == len(PLANTS)

    def test_workers_report_the_same_findings(self, audit):
        assert len(audit.reports[1]["findings"]) == len(PLANTS)

    @pytest.mark.parametrize("plant", PLANTS)
    def test_finding_names_its_tests(self, audit, plant):
        assert audit.find(plant)["tests"] == audit.suite.tests[plant]

    def test_later_turns_are_counted_apart(self, audit):
        assert audit.find("prompt")["requests"] == 30
        assert audit.find("prompt")["following"] == 3

    def test_changes_in_the_same_requests_are_one_finding(self, audit):
        places = [place["title"] for place in audit.find("required field")["places"]]
        assert places == ["`get_weather.day` is new", "`get_weather.day` is now required"]

    def test_different_values_of_a_number_are_one_finding(self, audit):
        values = {
            (one["recorded"], one["sent"]): one["requests"] for one in audit.find("temperature")["places"][0]["values"]
        }
        assert values == {("0.2", "1"): 2, ("0.2", "1.5"): 2}

    def test_changes_of_the_client_name_its_versions(self, audit):
        assert audit.find("renamed field")["clients"] == {"OpenAI": ["1.12.0", "2.32.0"]}
        assert audit.find("null")["clients"] == {"OpenAI": ["1.12.0", "2.32.0"]}
        assert audit.find("prompt")["clients"] == {}

    def test_recording_again_has_a_price(self, audit):
        # three of the thirty tests send two requests
        assert audit.find("prompt")["cost"] == 33


class TestNoise:
    def test_a_known_shape_is_noise(self, audit):
        assert audit.find("id")["section"] == "noise"
        assert audit.find("id")["ignore"] == 'ignore = ["$.user"]'

    def test_a_part_of_a_text_has_a_placeholder(self, audit):
        assert audit.find("timestamp")["placeholders"].startswith("placeholders = { TIMESTAMP = '")

    def test_the_first_run_cannot_know_an_unknown_shape(self, audit):
        assert audit.find("word")["section"] == "asked"

    def test_the_second_run_proves_an_unknown_shape(self, audit):
        assert audit.find("word", run=2)["section"] == "noise"
        assert audit.find("word", run=2)["ignore"] == 'ignore = ["$.metadata.shard"]'

    def test_pasted_settings_remove_the_noise(self, audit):
        noise = [one for one in audit.reports[1]["findings"] if one["section"] == "noise"]
        paths = [
            path for one in noise if not one["placeholders"] for path in json.loads(one["ignore"][len("ignore = ") :])
        ]
        lines = [f"ignore = {json.dumps(paths)}", *(one["placeholders"] for one in noise if one["placeholders"])]
        pyproject = audit.suite.folder / "pyproject.toml"
        before = pyproject.read_text()
        pyproject.write_text(before + "\n[tool.multitrack]\n" + "\n".join(lines) + "\n")
        numbers = [number for plant in ("id", "timestamp", "word") for number in PLANTS[plant]]
        tests = [f"test_suite.py::test_{number:03}" for number in numbers]
        try:
            run = run_pytest(audit.suite.folder, "--calls-audit", *tests)
        finally:
            pyproject.write_text(before)
        assert "multitrack: audit: 0 findings" in run.stdout


class TestCassettes:
    def test_recordings_in_another_order_are_no_finding(self, audit):
        assert audit.reports[0]["swapped"] == ["test_suite.py::test_swapped"]

    def test_a_request_that_equals_another_recording_is_no_finding(self, audit):
        superseded = {os.path.join("cassettes", "superseded.yaml"): ["test_suite.py::test_superseded"]}
        assert audit.reports[0]["superseded"] == superseded

    def test_unused_repetitions_are_listed(self, audit):
        found = {one["cassette"]: one["repetition"] for one in audit.reports[1]["unused"]}
        assert found == {os.path.join("cassettes", "repeated.yaml"): [2]}

    def test_tests_that_send_nothing_are_listed(self, audit):
        assert [one["test"] for one in audit.reports[0]["silent"]] == ["test_suite.py::test_silent"]

    def test_cassettes_with_secrets_are_listed(self, audit):
        assert list(audit.reports[0]["secrets"]) == [os.path.join("cassettes", "secret.yaml")]


class TestRun:
    def test_no_outcome_changes(self, audit):
        assert f"{COUNT + 5} passed" in audit.first.stdout
        assert f"{COUNT + 5} passed" in audit.second.stdout

    def test_findings_do_not_fail_the_run(self, audit):
        assert audit.first.returncode == 0

    def test_findings_fail_the_run_on_request(self, audit):
        assert audit.second.returncode == 1
        assert "exit code 1 because of --calls-audit-fail" in audit.second.stdout

    def test_all_requests_are_compared(self, audit):
        assert audit.reports[0]["requests"] == audit.reports[1]["requests"] == COUNT + 3 + 5

    def test_words_that_changed_are_marked(self, audit):
        assert "You are a [-helpful-]{+terse+} travel agent." in audit.first.stdout

    def test_markdown_has_all_tests(self, audit):
        text = (audit.suite.folder / "second.md").read_text()
        assert set(re.findall(r"test_suite\.py::test_0[0-2]\d", text)) == set(audit.suite.tests["prompt"])

    def test_html_marks_the_words(self, audit):
        text = (audit.suite.folder / "first.html").read_text()
        assert "<del>helpful</del><ins>terse</ins>" in text

    def test_secrets_are_not_printed(self, audit):
        assert "sk-proj-abc" not in audit.first.stdout + audit.second.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--calls-audit-fail"], "--calls-audit-fail requires --calls-audit"),
        (["--record", "--calls-audit"], "--record and --calls-audit cannot be combined: an audit only replays"),
        (["--calls-drift", "--calls-audit"], "--calls-drift and --calls-audit cannot be combined"),
        (["--calls-audit=tests"], "--calls-audit=tests: pass a path that ends in .md, .json or .html"),
    ],
)
def test_contradicting_options_are_usage_errors(pytester, arguments, message):
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", *arguments)
    result.stderr.fnmatch_lines([f"*{message.replace('[', '[[]')}*"])
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_a_run_that_records_is_not_called_an_audit(pytester):
    pytester.makepyfile(
        """
        import http.server
        import threading

        import httpx
        import vcr


        def test_records(tmp_path):
            server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            options = {"path": str(tmp_path / "new.json"), "record_mode": "new_episodes", "serializer": "json"}
            with vcr.use_cassette(**options), httpx.Client() as client:
                client.get(f"http://127.0.0.1:{server.server_port}/")
                client.get(f"http://127.0.0.1:{server.server_port}/")
            server.shutdown()
            server.server_close()
            with vcr.use_cassette(**options), httpx.Client() as client:
                client.get(f"http://127.0.0.1:{server.server_port}/")
        """
    )
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "--calls-audit")
    result.stdout.fnmatch_lines(
        ["This run was not a complete audit: it recorded 2 requests, and the report covers only replayed requests."]
    )


def test_our_own_replay_is_audited(pytester):
    """With vcrpy's matching, a changed body still gets an answer."""
    pytester.makepyfile(
        """
        import httpx
        import pytest


        @pytest.mark.cassette(match_on=["method", "uri"])
        def test_own():
            body = {"model": "gpt-4o", "prompt": "Count to four, please."}
            assert httpx.post("https://api.openai.com/v1/completions", json=body).json() == {"ok": True}
        """
    )
    cassette = pytester.mkdir("cassettes").joinpath("test_our_own_replay_is_audited")
    cassette.mkdir()
    interaction = {
        "request": {
            "method": "POST",
            "uri": "https://api.openai.com/v1/completions",
            "body": '{"model": "gpt-4o", "prompt": "Count to three, please."}',
            "headers": {"content-type": ["application/json"]},
        },
        "response": {
            "status": {"code": 200, "message": "OK"},
            "headers": {"content-type": ["application/json"]},
            "body": {"string": '{"ok": true}'},
        },
    }
    cassette.joinpath("test_own.yaml").write_text(json.dumps({"version": 1, "interactions": [interaction]}))
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "--calls-audit")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            '*1. $.prompt: "three" -> "four"',
            "*Count to [[]-three-]{+four+}, please.",
            "*to record again (1 request):",
            "*pytest --record test_our_own_replay_is_audited.py::test_own",
        ]
    )


def test_tests_may_follow_the_option(pytester):
    """Without ``=``, the next argument is a report only if it looks like one."""
    path = pytester.makepyfile("def test_it(): pass")
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "--calls-audit", path.name)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["multitrack: audit: no request in this run was answered from a recording"])
