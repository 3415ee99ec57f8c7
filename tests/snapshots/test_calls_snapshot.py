"""``calls_snapshot`` in pytest runs: the output, the outcomes, and the file."""

from __future__ import annotations

from importlib.metadata import version

import pytest
from snapshot_project import DALLAS, SEARCH, TORONTO, stored

NEWER_SYRUPY = pytest.mark.skipif(
    int(version("syrupy").partition(".")[0]) < 7,
    reason="older releases of syrupy do not have the flag, or do not count with xdist",
)
ALONE_AND_XDIST = pytest.mark.parametrize(
    "workers", [(), pytest.param(("-n2",), marks=NEWER_SYRUPY)], ids=["alone", "xdist"]
)


PLAN = "def test_plan(calls_snapshot):\n    assert [TORONTO, DALLAS, SEARCH] == calls_snapshot"
PLAN_ENTRY = f"{SEARCH}\n{DALLAS}\n{TORONTO}"


def test_an_update_writes_a_snapshot_and_the_order_does_not_matter(project):
    project.module(PLAN)
    run = project.run("--snapshot-update")
    assert run.code == 0
    assert run.outcomes == {"passed": 1}
    assert run.summary == "1 snapshot generated."
    assert project.file() == stored(test_plan=PLAN_ENTRY)
    project.module(PLAN.replace("[TORONTO, DALLAS, SEARCH]", "iter((SEARCH, TORONTO, DALLAS))"))
    run = project.run()
    assert run.code == 0
    assert run.outcomes == {"passed": 1}
    assert run.summary == "1 snapshot passed."
    assert project.file() == stored(test_plan=PLAN_ENTRY)


def test_a_missing_snapshot_fails_with_the_command_to_run(project):
    project.module(PLAN)
    run = project.run()
    assert run.code == 1
    assert run.outcomes == {"failed": 1}
    assert run.summary == "1 snapshot failed."
    assert run.failure == [
        "AssertionError: assert [+ received] == [- snapshot]",
        "Snapshot 'test_plan' does not exist!",
        f"added: {SEARCH}",
        f"added: {DALLAS}",
        f"added: {TORONTO}",
        "to write it: pytest --snapshot-update test_trip.py::test_plan",
    ]
    assert project.file() is None


def test_differences_are_reported_by_call_and_a_comparison_writes_nothing(project):
    project.module(PLAN)
    project.run("--snapshot-update")
    project.module(
        PLAN.replace(
            "[TORONTO, DALLAS, SEARCH]", "[SEARCH, Weather(location='Dallas', units='metric'), TORONTO, TORONTO]"
        )
    )
    run = project.run()
    assert run.code == 1
    assert run.outcomes == {"failed": 1}
    assert run.summary == "1 snapshot failed."
    assert run.failure == [
        "AssertionError: assert [+ received] == [- snapshot]",
        f"changed: {DALLAS}",
        "    units: was 'imperial', now 'metric'",
        f"added: {TORONTO}",
        "    expected once, received 2 times",
        "2 calls unchanged",
        "to accept: pytest --snapshot-update test_trip.py::test_plan",
    ]
    assert project.file() == stored(test_plan=PLAN_ENTRY)
    run = project.run("--snapshot-update")
    assert run.code == 0
    assert run.outcomes == {"passed": 1}
    assert run.summary == "1 snapshot updated."
    assert project.file() == stored(
        test_plan=f"{SEARCH}\nWeather(location='Dallas', units='metric')\n{TORONTO}\n{TORONTO}"
    )


def test_ordered_calls_are_written_in_their_order_and_a_moved_call_fails(project):
    ordered = PLAN.replace("== calls_snapshot", "== calls_snapshot(ordered=True)")
    project.module(ordered)
    assert project.run("--snapshot-update").code == 0
    assert project.file() == stored(test_plan=f"{TORONTO}\n{DALLAS}\n{SEARCH}")
    assert project.run().outcomes == {"passed": 1}
    project.module(ordered.replace("[TORONTO, DALLAS, SEARCH]", "[SEARCH, TORONTO, DALLAS]"))
    run = project.run()
    assert run.code == 1
    assert run.outcomes == {"failed": 1}
    assert run.failure[1:-1] == [f"moved: {SEARCH}", "    was call 3, now call 1", "2 calls unchanged"]
    project.module(PLAN.replace("[TORONTO, DALLAS, SEARCH]", "[SEARCH, TORONTO, DALLAS]"))
    assert project.run().outcomes == {"passed": 1}


def test_a_test_may_have_several_snapshots_and_names_and_no_calls(project):
    project.module(
        """
def test_plan(calls_snapshot):
    assert [TORONTO] == calls_snapshot
    assert (SEARCH,) == calls_snapshot(name="search")
    assert [] == calls_snapshot
    assert calls_snapshot == [{"name": "get-it", "arguments": '{"for": 1}'}]
    calls_snapshot.assert_match([DALLAS])

class TestTrip:
    @pytest.mark.parametrize("city", ["a b"])
    def test_city(self, calls_snapshot, city):
        assert [TORONTO] == calls_snapshot
"""
    )
    run = project.run("--snapshot-update")
    assert run.code == 0
    assert run.outcomes == {"passed": 2}
    assert run.summary == "6 snapshots generated."
    assert project.file() == stored(
        **{
            "test_plan": TORONTO,
            "test_plan[search]": SEARCH,
            "test_plan.2": "# no calls",
            "test_plan.3": "'get-it'(**{'for': 1})",
            "test_plan.4": DALLAS,
            "TestTrip.test_city[a b]": TORONTO,
        }
    )
    run = project.run()
    assert run.code == 0
    assert run.outcomes == {"passed": 2}
    assert run.summary == "6 snapshots passed."


def test_an_extraction_may_be_the_left_side(project):
    project.module(
        """
class Extraction:
    def __init__(self, *models):
        self.models = models

    def __iter__(self):
        return iter(self.models)

    def __eq__(self, other):
        return NotImplemented

def test_plan(calls_snapshot):
    assert Extraction(TORONTO) == calls_snapshot
    assert Extraction(TORONTO, SEARCH) != calls_snapshot(name="x")
"""
    )
    assert project.run("--rec").outcomes == {"failed": 1}  # the second is created, and is therefore equal
    assert project.file() is None


@pytest.mark.parametrize("flag", ["-q", "--snapshot-update", "--rec"])
def test_a_value_that_is_not_an_iterable_of_calls_is_rejected_without_a_traceback(project, flag):
    project.module(
        """
@pytest.mark.parametrize("value", [3, TORONTO, [SEARCH, {"name": "f", "arguments": {"a": {"b": object()}}}]])
def test_plan(calls_snapshot, value):
    assert value == calls_snapshot
"""
    )
    run = project.run(flag)
    assert run.code == 1
    assert run.outcomes == {"failed": 3}
    assert [line.strip() for line in run.failure if "[+ received]" not in line] == [
        "expected an iterable of calls, got int; a call is a Pydantic model, a dataclass, a ToolCall,"
        " a tool call of an SDK, or a dict with 'name' and 'arguments'",
        "expected an iterable of calls, got one Weather; put it in a list: [call]",
        "[1].a.b: builtins.object cannot be written in a snapshot",
    ]
    assert project.file() is None


def test_what_is_written_and_shown_is_redacted(project):
    project.module(
        "def test_plan(calls_snapshot):\n    found = GoogleSearch(query='key sk-live-' + '1')\n"
        "    assert [found] == calls_snapshot"
    )
    run = project.run()
    assert "added: GoogleSearch(query='key [secret]')" in run.failure
    assert "sk-live-1" not in run.text
    assert project.run("--rec").code == 0
    assert project.file() == stored(test_plan="GoogleSearch(query='key [secret]')")
    assert project.run().outcomes == {"passed": 1}


# --- --record -----------------------------------------------------------------------------------------------

THREE = [
    PLAN,
    "def test_fails_later(calls_snapshot):\n    assert [SEARCH] == calls_snapshot\n    assert 0",
    "@pytest.fixture\ndef broken():\n    yield\n    assert 0\n\n"
    "def test_teardown(calls_snapshot, broken):\n    assert [SEARCH] == calls_snapshot",
    "@pytest.mark.xfail\ndef test_xfail(calls_snapshot):\n    assert [SEARCH] == calls_snapshot\n    assert 0",
]


@ALONE_AND_XDIST
def test_recording_writes_new_snapshots_of_tests_that_passed(project, workers):
    project.module(*THREE)
    run = project.run("--rec", *workers, apart=bool(workers))
    assert run.code == 1
    assert run.outcomes == {"passed": 2, "failed": 1, "errors": 1, "xfailed": 1}
    assert run.summary == "1 snapshot generated."
    assert project.file() == stored(test_plan=PLAN_ENTRY)


def test_recording_does_not_change_existing_snapshots(project):
    project.module(PLAN)
    project.run("--rec")
    project.module(PLAN.replace("[TORONTO, DALLAS, SEARCH]", "[TORONTO]"))
    run = project.run("--rec")
    assert run.code == 1
    assert run.outcomes == {"failed": 1}
    assert run.summary == "1 snapshot failed."
    assert project.file() == stored(test_plan=PLAN_ENTRY)
    run = project.run("--rec", "--snapshot-update")
    assert run.code == 0
    assert run.outcomes == {"passed": 1}
    assert run.summary == "1 snapshot updated."
    assert project.file() == stored(test_plan=TORONTO)


def test_recording_and_updating_a_test_that_fails_later_keeps_its_snapshot(project):
    project.module(PLAN)
    project.run("--rec")
    project.module(PLAN.replace("[TORONTO, DALLAS, SEARCH]", "[TORONTO]") + "\n    assert 0")
    run = project.run("--rec", "--snapshot-update")
    assert run.code == 1
    assert run.outcomes == {"failed": 1}
    assert run.summary == ""
    assert project.file() == stored(test_plan=PLAN_ENTRY)


def test_recording_a_rerun_discards_the_snapshots_of_the_failed_attempt(project):
    project.module(
        "ATTEMPTS = []\n\n@pytest.mark.flaky(reruns=2)\ndef test_plan(calls_snapshot):\n"
        "    ATTEMPTS.append(GoogleSearch(query=f'attempt {len(ATTEMPTS)}'))\n"
        "    assert ATTEMPTS[-1:] == calls_snapshot\n    assert len(ATTEMPTS) == 2"
    )
    run = project.run("--rec")
    assert run.code == 0
    assert run.outcomes == {"passed": 1, "rerun": 1}
    assert run.summary == "1 snapshot generated."
    assert project.file() == stored(test_plan="GoogleSearch(query='attempt 1')")


def test_a_name_used_twice_while_recording_compares_with_the_first(project):
    project.module(
        "def test_plan(calls_snapshot):\n    assert [TORONTO] == calls_snapshot(name='x')\n"
        "    assert [SEARCH] == calls_snapshot(name='x')"
    )
    run = project.run("--rec")
    assert run.code == 1
    assert run.outcomes == {"failed": 1}
    assert run.failure[1:3] == [f"removed: {TORONTO}", f"added: {SEARCH}"]
    assert project.file() is None


def test_an_interrupted_recording_writes_the_tests_that_passed(project):
    project.module(
        PLAN, "def test_stop(calls_snapshot):\n    assert [SEARCH] == calls_snapshot\n    raise KeyboardInterrupt"
    )
    run = project.run("--rec", apart=True)
    assert run.code == 2
    assert run.summary == "1 snapshot generated."
    assert project.file() == stored(test_plan=PLAN_ENTRY)


@NEWER_SYRUPY
def test_syrupys_flag_for_new_snapshots_only_creates(project):
    project.module(PLAN)
    assert project.run("--snapshot-update-new-only").summary == "1 snapshot generated."
    project.module(PLAN.replace("[TORONTO, DALLAS, SEARCH]", "[TORONTO]"))
    assert project.run("--snapshot-update-new-only").outcomes == {"failed": 1}
    assert project.file() == stored(test_plan=PLAN_ENTRY)


# --- unused snapshots --------------------------------------------------------------------------------------

TWO = [
    "def test_one(calls_snapshot):\n    BEFORE\n    assert [TORONTO] == calls_snapshot",
    "@pytest.mark.parametrize('city', ['a', 'b'])\ndef test_two(calls_snapshot, city):\n"
    "    BEFORE\n    assert [SEARCH] == calls_snapshot\n    assert [DALLAS] == calls_snapshot(name='x')",
]
TWO_STORED = stored(
    **{
        "test_one": TORONTO,
        "test_two[a]": SEARCH,
        "test_two[a][x]": DALLAS,
        "test_two[b]": SEARCH,
        "test_two[b][x]": DALLAS,
    }
)


def two(project, before: str = "pass") -> None:
    project.module(*(test.replace("BEFORE", before) for test in TWO))


@pytest.fixture
def recorded(project):
    two(project)
    (project.dir / "__snapshots__").mkdir()
    project.write("__snapshots__/test_trip.calls", TWO_STORED)
    return project


def test_two_tests_are_recorded(recorded):
    (recorded.dir / "__snapshots__" / "test_trip.calls").unlink()
    assert recorded.run("--rec").summary == "5 snapshots generated."
    assert recorded.file() == TWO_STORED


@pytest.mark.parametrize(
    ("before", "workers"),
    [("assert 0", ()), ("assert 0", ("-n2",)), ("pytest.skip()", ()), ("pytest.xfail()", ())],
    ids=["failed", "failed, xdist", "skipped", "xfailed"],
)
def test_an_update_keeps_the_snapshots_of_tests_that_did_not_pass(recorded, before, workers):
    two(recorded, before)
    run = recorded.run("--snapshot-update", *workers, apart=bool(workers))
    assert run.code == (1 if before == "assert 0" else 0)
    assert recorded.file() == TWO_STORED


@pytest.mark.parametrize(
    "selection",
    [
        ("test_trip.py::test_one",),
        ("test_trip.py::test_two[a]",),
        ("-k", "one"),
        ("-k", "a"),
        ("--deselect", "test_trip.py::test_two[b]"),
        ("--deselect", "test_trip.py::test_one"),
        ("--ignore", "test_trip.py"),
    ],
    ids=" ".join,
)
def test_an_update_of_some_tests_keeps_the_snapshots_of_other_tests(recorded, selection):
    recorded.module("def test_else(calls_snapshot):\n    assert [SEARCH] == calls_snapshot", name="test_else.py")
    run = recorded.run("--snapshot-update", *selection)
    assert "deleted" not in run.summary
    assert recorded.file() == TWO_STORED


def test_an_update_that_stops_at_the_first_failure_keeps_other_snapshots(recorded):
    recorded.module("def test_a():\n    assert 0", name="test_a.py")
    run = recorded.run("--snapshot-update", "-x")
    assert run.code == 1
    assert run.outcomes == {"failed": 1}
    assert recorded.file() == TWO_STORED


def test_an_update_of_the_last_failed_tests_keeps_the_snapshots_of_the_others(recorded):
    two(recorded, "assert locals().get('city') != 'b'")
    assert recorded.run().outcomes == {"passed": 2, "failed": 1}
    two(recorded)
    run = recorded.run("--snapshot-update", "--lf")
    assert run.code == 0
    assert run.outcomes == {"passed": 1}
    assert run.summary == "2 snapshots passed."
    assert recorded.file() == TWO_STORED


def test_an_update_keeps_the_snapshots_of_a_module_that_cannot_be_imported(recorded):
    recorded.module("import not_there")
    recorded.module("def test_else(calls_snapshot):\n    assert [SEARCH] == calls_snapshot", name="test_else.py")
    run = recorded.run("--snapshot-update", "--continue-on-collection-errors")
    assert run.code == 1
    assert run.outcomes == {"passed": 1, "errors": 1}
    assert recorded.file() == TWO_STORED


def test_a_run_with_failures_reports_no_unused_snapshots(recorded):
    two(recorded, "assert 0")
    run = recorded.run()
    assert run.code == 1
    assert run.outcomes == {"failed": 3}
    assert run.summary == ""


@ALONE_AND_XDIST
def test_a_snapshot_that_its_passed_test_does_not_use_is_unused(recorded, workers):
    recorded.module(
        *(
            test.replace("BEFORE", "pass").replace("\n    assert [DALLAS] == calls_snapshot(name='x')", "")
            for test in TWO
        )
    )
    apart = bool(workers)
    run = recorded.run(*workers, apart=apart)
    assert run.code == 1
    assert run.outcomes == {"passed": 3}
    assert run.summary == "3 snapshots passed. 2 snapshots unused."
    assert recorded.file() == TWO_STORED
    run = recorded.run("--snapshot-warn-unused", "--snapshot-details", *workers, apart=apart)
    assert run.code == 0
    assert "Unused test_two[a][x], test_two[b][x] (__snapshots__/test_trip.calls)" in run.text
    run = recorded.run("--snapshot-update", *workers, apart=apart)
    assert run.code == 0
    assert run.summary == "3 snapshots passed. 2 unused snapshots deleted."
    assert recorded.file() == stored(**{"test_one": TORONTO, "test_two[a]": SEARCH, "test_two[b]": SEARCH})


def test_the_snapshots_of_a_removed_test_and_of_a_removed_module_are_unused(recorded):
    recorded.module(TWO[0].replace("BEFORE", "pass"))
    assert recorded.run("--snapshot-update").summary == "1 snapshot passed. 4 unused snapshots deleted."
    assert recorded.file() == stored(test_one=TORONTO)
    (recorded.dir / "test_trip.py").unlink()
    recorded.module("def test_else(calls_snapshot):\n    assert [SEARCH] == calls_snapshot", name="test_else.py")
    run = recorded.run("--snapshot-update")
    assert run.summary == "1 snapshot generated. 1 unused snapshot deleted."
    assert recorded.file() is None
    assert recorded.file("test_else.calls") == stored(test_else=SEARCH)


def test_syrupys_own_snapshots_and_ours_do_not_delete_each_other(recorded):
    recorded.module("def test_amber(snapshot):\n    assert {'a': 1} == snapshot", name="test_amber.py")
    # no test reaches our fixture, so that syrupy finds our file through its own extension only
    recorded.module(
        "@pytest.fixture\ndef broken():\n    assert 0\n\n"
        "def test_one(broken, calls_snapshot):\n    assert [TORONTO] == calls_snapshot"
    )
    run = recorded.run("--snapshot-update")
    assert run.code == 1
    assert run.outcomes == {"passed": 1, "errors": 1}
    assert run.summary == "1 snapshot generated."
    assert recorded.file() == TWO_STORED
    # the other way round: only our fixture is used, next to an amber file and a file of no extension
    amber = recorded.file("test_amber.ambr")
    recorded.write("__snapshots__/notes.txt", "not a snapshot")
    recorded.module("def test_amber(snapshot):\n    assert 1", name="test_amber.py")
    two(recorded)
    run = recorded.run("--snapshot-update", "test_trip.py")
    assert run.code == 0
    assert run.outcomes == {"passed": 3}
    assert run.summary == "5 snapshots passed."
    assert amber is not None
    assert recorded.file("test_amber.ambr") == amber
    assert recorded.file("notes.txt") == "not a snapshot"


def test_a_damaged_file_fails_the_tests_that_read_it_and_is_kept(recorded):
    path = recorded.dir / "__snapshots__" / "test_trip.calls"
    damaged = TWO_STORED.replace("# ---\n# name: test_two[a]\n", "<<<<<<< HEAD\n# name: test_two[a]\n")
    path.write_text(damaged, encoding="utf-8")
    for flags in ((), ("--snapshot-update",), ("--rec",)):
        run = recorded.run(*flags, "-k", "test_one")
        assert run.code == 1
        assert run.outcomes.get("failed") == 1
        assert run.failure == [
            "AssertionError: assert [+ received] == [- snapshot]",
            f"{path}, line 4: the snapshot file is damaged: unexpected '<<<<<<< HEAD'",
            "  restore it from version control, or delete it and write it again: pytest --snapshot-update",
        ]
        assert path.read_text(encoding="utf-8") == damaged


def test_an_entry_that_cannot_be_parsed_fails_with_its_line_and_an_update_replaces_it(recorded):
    path = recorded.dir / "__snapshots__" / "test_trip.calls"
    path.write_text(TWO_STORED.replace(f"  {TORONTO}", "  import os"), encoding="utf-8")
    run = recorded.run("-k", "test_one")
    assert run.code == 1
    assert run.outcomes["failed"] == 1
    assert run.failure[1:] == [
        f"{path}, in 'test_one', line 1: not a call expression: import os",
        "to accept: pytest --snapshot-update test_trip.py::test_one",
    ]
    assert recorded.run("--snapshot-update", "-k", "test_one").code == 0
    assert recorded.file() == TWO_STORED


def test_without_syrupys_plugin_the_fixture_says_how_to_activate_it(project):
    project.module(PLAN)
    run = project.run("-p", "no:syrupy", "-p", "no:snapshot")
    assert run.code == 1
    assert run.outcomes == {"errors": 1}
    assert (
        "calls_snapshot requires syrupy's pytest plugin, which is not active: remove -p no:syrupy; if "
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD is set, add -p syrupy"
    ) in run.text.splitlines()


@pytest.mark.parametrize(
    "call", ["calls_snapshot(exclude=None)", "calls_snapshot(matcher=None)", "calls_snapshot.with_defaults(name='x')"]
)
def test_options_of_syrupy_that_do_not_apply_are_rejected(project, call):
    project.module(f"def test_plan(calls_snapshot):\n    assert [] == {call}")
    run = project.run()
    assert run.code == 1
    assert run.outcomes == {"failed": 1}
    assert "TypeError" in run.text


def test_a_name_of_two_lines_is_rejected_before_anything_is_written(project):
    project.module(PLAN, "def test_two(calls_snapshot):\n    assert [TORONTO] == calls_snapshot(name='a\\nb')")
    run = project.run("--snapshot-update")
    assert run.code == 1
    assert run.outcomes == {"passed": 1, "failed": 1}
    assert run.summary == "1 snapshot generated."
    assert r"multitrack.errors.BadOption: calls_snapshot: a name must be one line, not 'a\nb'" in run.text
    assert project.file() == stored(test_plan=PLAN_ENTRY)


def test_ids_of_parameters_may_contain_any_characters(project):
    project.module(
        "PLACES = ['a]b[c', 'a.1', 'ü/\\\\\\\\', 'two\\nlines', '', '# ---', '  x', 'x' * 300]\n\n"
        "@pytest.mark.parametrize('place', PLACES)\n"
        "def test_place(calls_snapshot, place):\n"
        "    assert [GoogleSearch(query=place)] == calls_snapshot\n"
        "    assert [GoogleSearch(query=place * 2)] == calls_snapshot(name='twice.1')"
    )
    assert project.run("--snapshot-update").summary == "16 snapshots generated."
    written = project.file()
    for flags in ((), ("--snapshot-update",), ("--snapshot-update", "-k", "x")):
        run = project.run(*flags)
        assert run.code == 0
        assert project.file() == written
        assert "deleted" not in run.summary
