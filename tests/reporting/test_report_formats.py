"""The formats of the report of a run: JSON and its schema, Markdown, and JUnit properties."""

import json
from pathlib import Path

import jsonschema
import pytest
from sample_report import HOSTILE, changed_calls, hostile_test, missed_request, passed_test, sample_report

import multitrack.reporting
from multitrack.reporting.diagnoses import TITLES
from multitrack.reporting.junit_properties import list_properties
from multitrack.reporting.report_formats import FORMATS, format_json, format_step_summary
from multitrack.reporting.report_schema import make_schema
from multitrack.reporting.report_values import cut_text, to_json_value
from multitrack.reporting.run_report import RunReport

SCHEMA_FILE = Path(multitrack.reporting.__file__).with_name("report.schema.json")
MARKDOWN = FORMATS[".md"]


def format_schema():
    return json.dumps(make_schema(), indent=2) + "\n"


def test_the_schema_in_the_package_is_the_one_of_the_report():
    assert SCHEMA_FILE.read_text("utf-8") == format_schema(), f"to write the schema, run: python {__file__}"


def test_the_json_report_is_valid_and_complete():
    report = sample_report()
    document = json.loads(format_json(report))
    jsonschema.Draft202012Validator.check_schema(make_schema())
    jsonschema.validate(document, make_schema())
    assert RunReport.model_validate_json(format_json(report)) == report


def test_the_totals_count_what_the_replay_saved():
    totals = sample_report(passed=2).totals
    assert totals.outcomes == {"error": 1, "failed": 3, "passed": 3}
    assert totals.tests == 7
    assert totals.drifted == 1
    assert totals.replayed == 5
    assert totals.live == 1
    assert totals.tokens_saved == 5 * 214
    assert totals.seconds_saved == 5 * 1.25


def test_the_worst_tests_come_first_and_equal_causes_are_together():
    report = sample_report(passed=1)
    names = [test.test.partition("::")[2] or test.test for test in report.worst_first]
    assert names == [
        "test_prompt",
        "test_second",
        "test_plan",
        f"test_hostile[{HOSTILE}]",
        "test_search",
        "fixture planned of test_trip",
        "test_passed[0]",
    ]
    assert [test.test for test in report.tests] == sorted(test.test for test in report.tests)


def test_each_diagnosis_has_a_title_of_its_own():
    assert len(set(TITLES.values())) == len(TITLES)


@pytest.mark.parametrize(
    ("test", "properties"),
    [
        (
            changed_calls(),
            [
                ("diagnosis", "reply-changed"),
                ("cassette", "cassettes/test_trip/test_plan.yaml"),
                ("model", "gpt-4o-mini"),
                ("calls", "2"),
            ],
        ),
        (
            passed_test(1),
            [
                ("cassette", "cassettes/test_trip/test_passed[1].yaml"),
                ("model", "claude-sonnet-4-5"),
                ("calls", "1"),
            ],
        ),
        (
            missed_request(),
            [
                ("diagnosis", "miss-changed"),
                ("cassette", "cassettes/test_trip/test_prompt.yaml"),
                ("model", "gpt-4o-mini"),
                ("calls", "0"),
            ],
        ),
    ],
    ids=["failed", "passed", "missed"],
)
def test_the_properties_of_a_test_in_a_junit_file(test, properties):
    assert list_properties(test) == properties


def test_the_markdown_report_shows_what_failed_and_what_to_do():
    text = MARKDOWN(sample_report(passed=1))
    assert text.startswith("# Tool calls of 6 tests: 1 error, 3 failed, 2 passed, 1 with drift\n")
    for line in (
        "  changed: Weather(location='Toronto', units='metric')",
        "      location: was 'Toronto', now 'Paris'",
        "to update snapshot: pytest --snapshot-update tests/test_trip.py::test_plan",
        "  $.messages[1].content",
        '    sent: "What is the weather in Paris and Dallas, in degrees Celsius?"',
        "    recorded: (absent)",
        "drift of cassettes/test_trip/test_search.yaml: arguments changed",
        "cassettes/test_trip/test_plan.yaml (recorded 2026-01-19)",
    ):
        assert line in text.splitlines()


def test_no_text_of_a_test_becomes_markup_in_the_table():
    [row] = [line for line in MARKDOWN(sample_report(0)).splitlines() if "hostile" in line and line.startswith("|")]
    assert "<" not in row
    assert r"\|\*" in row


@pytest.mark.parametrize(
    ("limit", "rows", "details", "omitted"),
    [
        (1 << 20, range(206, 207), range(206, 207), ""),
        (60_000, range(206, 207), range(30, 206), "the details of "),
        (20_000, range(30, 206), range(1), "more tests."),
        (500, range(1), range(1), "206 more tests."),
    ],
    ids=["everything", "fewer details", "fewer rows", "no rows"],
)
def test_the_markdown_report_fits_a_size(limit, rows, details, omitted):
    text = MARKDOWN(sample_report(passed=200), limit)
    assert len(text.encode()) <= limit
    lines = text.splitlines()
    table = [line for line in lines if line.startswith("| ")][2:]
    assert len(table) in rows
    assert text.count("<details") in details
    assert omitted in lines[-1]
    assert ("Left out" in lines[-1]) == bool(omitted)
    assert not table or r"test\_prompt" in table[0]


def test_a_report_of_a_thousand_tests_fits_a_step_summary_with_other_content():
    report = sample_report(passed=1500)
    used = 850_000
    text = format_step_summary(report, used)
    assert 100_000 < len(text.encode()) <= (1 << 20) - used
    assert format_step_summary(report, 1 << 20) == ""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a\ud800", "a\\ud800"),
        (float("nan"), "nan"),
        ({1: (b"x", {2})}, {"1": ["b'x'", "{2}"]}),
        (10**30, 10**30),
    ],
)
def test_values_that_json_does_not_have(value, expected):
    assert to_json_value(value) == expected


def test_deep_and_long_values_are_cut():
    value = []
    for _ in range(1000):
        value = [value]
    assert json.dumps(to_json_value(value)).count("[") == 40
    assert cut_text("x" * 30_000).endswith("x… (10000 more characters)")
    report = sample_report(0).model_copy(update={"tests": [hostile_test()]})
    assert json.loads(format_json(report))["tests"][0]["cause"] == HOSTILE


if __name__ == "__main__":
    SCHEMA_FILE.write_text(format_schema(), encoding="utf-8")
