"""Tests without a cassette that were meant to have one: a mistyped marker, or none although the test has a snapshot."""

import re
import shlex

import pytest

# the inner runs are in this process, where warnings are errors
UNKNOWN_MARKERS = "-Wignore::pytest.PytestUnknownMarkWarning"
COMPARE = """
from pydantic import BaseModel
from multitrack.tool_call import ToolCall

class Answer(BaseModel):
    text: str

{marker}
def test_calls(calls_snapshot):
    {ask}
    assert [Answer(text=answer)] == calls_snapshot
"""


@pytest.mark.parametrize("name", ["casette", "cassete", "casete", "cassettes", "Cassette", "kassette"])
def test_a_mistyped_marker_fails_the_test(project, name):
    project.write_test(f"@pytest.mark.{name}\ndef test_ask(): ask('x')\n\ndef test_other(): pass")
    run = project.record("--record", "-n0", UNKNOWN_MARKERS)
    assert run.counts == {"passed": 1, "errors": 1}
    message = (
        f"test_it.py::test_ask: @pytest.mark.{name} is an unknown marker, so the test has no cassette: "
        "write @pytest.mark.cassette"
    )
    assert message in run.out
    assert project.provider.requests == []
    marker = re.search(r"write (@pytest\.mark\.\w+)", run.out)[1]
    project.write_test(f"{marker}\ndef test_ask(): ask('x')")
    assert project.record("--record", "-n0").counts == {"passed": 1}
    assert project.run("-n0").counts == {"passed": 1}


def test_a_mistyped_marker_of_a_module_fails_its_tests(project):
    project.write_test(
        "pytestmark = pytest.mark.casette\ndef test_one(): pass\nclass TestTwo:\n    def test_two(self): pass"
    )
    assert project.run("-n0", UNKNOWN_MARKERS).counts == {"errors": 2}


def test_other_markers_may_resemble_it(project):
    project.write("pytest.ini", "[pytest]\nmarkers =\n    casette(side): of a music player\n")
    project.write_test(
        """
        @pytest.mark.casette("A")
        @pytest.mark.asset
        @pytest.mark.cached
        def test_player(): pass
        """
    )
    assert project.run("-n0", UNKNOWN_MARKERS).counts == {"passed": 1}


@pytest.mark.parametrize("flags", [[], ["--record"], ["--record-missing"], ["--snapshot-update"]])
def test_a_snapshot_without_a_cassette_does_not_go_live(project, flags):
    project.write_test(COMPARE.format(marker="", ask="answer = ask('x')"))
    run = project.record("-n0", *flags)
    assert run.counts == {"failed": 1}
    assert (
        "test_it.py::test_calls uses calls_snapshot without a cassette, and would send a live request: POST " in run.out
    )
    assert "write @pytest.mark.cassette above the test, and record it:" in run.out
    assert "pytest --record test_it.py::test_calls" in run.out
    assert project.provider.requests == []
    assert not [path for path in run.changed if path.endswith(".calls")]


def test_code_that_swallows_the_error_does_not_hide_it(project):
    ask = """
    try:
        answer = ask('x')
    except BaseException:
        answer = 'none'
"""
    project.write_test(COMPARE.format(marker="", ask=ask))
    assert project.record("-n0", "--snapshot-update").counts == {"failed": 1}


def test_the_marker_and_the_command_in_the_error_help(project):
    project.write_test(COMPARE.format(marker="", ask="answer = ask('x')"))
    out = project.record("-n0").out
    marker = re.search(r"write (@pytest\.mark\.\w+) above the test", out)[1]
    command = re.search(r"pytest (--record .+)", out)[1]
    project.write_test(COMPARE.format(marker=marker, ask="answer = ask('x')"))
    assert project.record(*shlex.split(command), "-n0").counts == {"passed": 1}
    project.provider.stop()
    assert project.run("-n0").counts == {"passed": 1}


def test_the_setting_in_the_error_lets_the_request_go_live(project):
    project.write_test(COMPARE.format(marker="", ask="answer = ask('x')"))
    lines = [line.removeprefix("E").strip() for line in project.record("-n0").lines]
    start = lines.index("[tool.multitrack]")
    settings = "\n".join(lines[start : start + 2])
    project.write("pyproject.toml", f"[tool.pytest.ini_options]\n{settings}\n")
    assert project.record("--snapshot-update", "-n0").counts == {"passed": 1}


def test_a_live_run_goes_live(project):
    project.write_test(COMPARE.format(marker="", ask="ask('x'); answer = 'y'"))
    assert project.record("--live", "--snapshot-update", "-n0").counts == {"passed": 1}
    assert len(project.provider.requests) == 1


def test_a_block_in_the_test_or_in_a_fixture_records(project):
    project.write_test(
        """
        from multitrack import use_cassette
        from pydantic import BaseModel

        class Answer(BaseModel):
            text: str

        @pytest.fixture
        def block():
            with use_cassette("fixture.yaml"):
                yield

        def test_fixture(block, calls_snapshot):
            assert [Answer(text=ask("x"))] == calls_snapshot

        def test_block(calls_snapshot):
            with use_cassette("block.yaml"):
                answer = ask("x")
            assert [Answer(text=answer)] == calls_snapshot
        """
    )
    assert project.record("--record", "--snapshot-update", "-n0").counts == {"passed": 2}
