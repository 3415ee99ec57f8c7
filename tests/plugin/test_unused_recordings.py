"""Recordings that a test or a full run did not use: listed, or an error with ``--cassettes-strict``."""

import pytest

TWO = """
@pytest.mark.cassette{options}
def test_ask():
    ask("one"){rest}
"""
BOTH = TWO.format(options="", rest='\n    ask("two")\n    ask("three")')
LESS = TWO.format(options="", rest="")
NODE = "test_it.py::test_ask"


def record_outdated(project, text=LESS):
    """Record a cassette that has more interactions than its test uses now."""
    project.use_httpx()
    project.write_test(BOTH)
    project.record()
    project.write_test(text)
    project.provider.stop()


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_unplayed_interactions_of_a_passing_test_are_listed(project, workers):
    record_outdated(project)
    run = project.run(*workers)
    assert run.counts == {"passed": 1}
    assert run.code == 0
    assert run.changed == set()
    line = f"multitrack: not replayed: cassettes/test_it/test_ask.yaml: interactions 2, 3 ({NODE})"
    assert line in run.lines


@pytest.mark.parametrize("how", ["flag", "marker", "xdist"])
def test_strict_fails_a_test_that_did_not_play_all_interactions(project, how):
    record_outdated(project, TWO.format(options="(strict=True)", rest="") if how == "marker" else LESS)
    flags = {"flag": ["--cassettes-strict"], "marker": [], "xdist": ["--cassettes-strict", "-n", "1"]}[how]
    run = project.run(*flags)
    assert run.counts == {"passed": 1, "errors": 1}
    assert run.code == 1
    assert run.changed == set()
    assert run.has_lines(
        f"""
        2 interactions were not replayed
          cassette: cassettes/test_it/test_ask.yaml
          2 · openai.chat gpt-4o-mini · 0 calls
          3 · openai.chat gpt-4o-mini · 0 calls
          to record only the requests that are still sent: pytest --record {NODE}
        """
    )
    assert "During handling" not in run.out


@pytest.mark.parametrize("how", ["pytest.skip('no')", "assert False", "pytest.xfail('no')"])
def test_unplayed_interactions_of_other_tests_are_not_listed(project, how):
    record_outdated(project, TWO.format(options="", rest="\n    " + how))
    run = project.run("--cassettes-strict")
    assert "not replayed" not in run.out
    assert "errors" not in run.counts


def test_recording_again_removes_unplayed_interactions(project):
    project.write_test(BOTH)
    project.record()
    project.write_test(LESS)
    run = project.record("--record", "--cassettes-strict")
    assert run.counts == {"passed": 1}
    assert "not replayed" not in run.out
    assert project.run("--cassettes-strict").counts == {"passed": 1}


def test_strict_checks_only_the_tests_own_part_of_a_shared_cassette(project):
    text = """
        @pytest.mark.cassette(name="shared")
        @pytest.mark.parametrize("word", ["a", "b"])
        def test_ask(word):
            ask(word){rest}
        """
    project.write_test(text.format(rest='\n            ask(word + "2")'))
    project.record()
    project.write_test(text.format(rest="\n            word == 'b' and ask('b2')"))
    run = project.run("--cassettes-strict")
    assert run.counts == {"passed": 2, "errors": 1}
    assert run.has_lines("1 interaction was not replayed\n  cassette: cassettes/shared.yaml")
    assert "ERROR test_it.py::test_ask[a] - Failed: 1 interaction was not replayed" in run.lines


def test_the_last_rerun_counts(project):
    project.write_test(
        """
        attempts = []

        @pytest.mark.cassette
        @pytest.mark.flaky(reruns=2)
        def test_ask():
            attempts.append(1)
            ask("one")
            assert len(attempts) == 3
            ask("two")
        """
    )
    project.record()
    project.provider.stop()
    run = project.run("--cassettes-strict", "--cassettes-unused")
    assert run.counts == {"passed": 1, "rerun": 2}
    assert "multitrack: 1 test used a cassette, 2 requests replayed" in run.lines
    assert "multitrack: this run used every recording" in run.lines


MANY = """
from multitrack.tape.use_cassette import use_cassette

@pytest.mark.cassette
@pytest.mark.parametrize("word", ["a", "b"])
def test_ask(word):
    ask(word)

@pytest.mark.cassette
def test_skipped():
    {skip}ask("x")

@pytest.mark.cassette(name="shared")
def test_shared():
    ask("shared")

def test_own():
    with use_cassette("cassettes/own.yaml"):
        ask("own")
"""


def record_several(project):
    project.use_httpx()
    project.write_test(MANY.format(skip=""))
    project.record()
    project.write_test(MANY.format(skip="pytest.skip('not today'); "))
    project.write("elsewhere/cassettes/test_gone/test_x.yaml", project.cassette("shared").read_text())
    project.write("cassettes/test_it/test_ask[a].pending.yaml", "x")
    old = project.cassette("test_it/test_ask[c]")
    old.write_text(project.cassette("shared").read_text())
    shared = project.cassette("shared")
    interaction = shared.read_text().partition("interactions:\n")[2].partition("metadata:")[0]
    shared.write_text(
        shared.read_text().replace("metadata:", interaction.replace("test_shared", "test_gone") + "metadata:")
    )
    project.provider.stop()


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_a_full_run_lists_unused_recordings(project, workers):
    record_several(project)
    run = project.run("--cassettes-unused", *workers)
    assert run.counts == {"passed": 4, "skipped": 1}
    assert run.code == 0
    assert run.changed == set()
    assert run.has_lines(
        """
        multitrack: this run did not use:
          cassettes/shared.yaml: interaction 2
          cassettes/test_it/test_ask[c].yaml
          elsewhere/cassettes/test_gone/test_x.yaml
        """
    )


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["-k", "test"], "used -k"),
        (["-m", "cassette"], "used -m"),
        (["--deselect", "test_it.py::test_own"], "used --deselect"),
        (["--ignore", "other.py"], "used --ignore"),
        (["--lf", "-p", "cacheprovider"], "used --lf"),
        (["test_it.py"], "was limited to the given paths"),
        (["test_it.py::test_own"], "was limited to the given paths"),
        (["--collect-only"], "used --collect-only"),
        (["--record"], "used --record"),
        (["--record-missing"], "used --record-missing"),
        (["--live"], "used --live"),
        (["-p", "leaves_out"], "deselected tests"),
        (["-p", "fails"], "did not pass"),
        (["-k", "test", "-n", "1"], "used -k"),
        (["-p", "leaves_out", "-n", "1"], "deselected tests"),
        (["-p", "fails", "-n", "1"], "did not pass"),
    ],
    ids=lambda value: value if isinstance(value, str) else "".join(value),
)
def test_a_partial_run_lists_no_unused_recordings(project, flags, reason):
    record_several(project)
    project.write(
        "leaves_out.py",
        """
        def pytest_collection_modifyitems(config, items):
            config.hook.pytest_deselected(items=items[:1])
            del items[:1]
        """,
    )
    project.write("fails.py", "def pytest_runtest_teardown(item): assert 'own' not in item.name")
    project.pytester.syspathinsert()
    # a worker of pytest-xdist has the `sys.path` with which the process of its controller started
    run = project.run("--cassettes-unused", *flags, subprocess="-n" in flags)
    assert "node down" not in run.out
    assert f"multitrack: unused recordings are only reported for a full run; this run {reason}" in run.lines
    assert "did not use:" not in run.out


@pytest.mark.parametrize("root", [".", "tests"])
def test_a_run_of_all_testpaths_is_a_full_run(project, root):
    if root == "tests":
        project.write("pytest.ini", "[pytest]\ntestpaths = tests\npythonpath = .\n")
        project.write("test_other.py", "def test_never(): pass")
    project.write_test(LESS, name=f"{root}/test_it.py")
    project.record("--record", root)
    project.provider.stop()
    run = project.run("--cassettes-unused", root)
    assert run.counts == {"passed": 1}
    assert "multitrack: this run used every recording" in run.lines


def test_unused_cassettes_are_listed_below_a_common_root(project):
    project.write_test(LESS)
    project.record("--record", "--cassettes-dir=tapes")
    project.write("tapes/test_gone/test_x.yaml", "interactions: []")
    project.provider.stop()
    run = project.run("--cassettes-unused", "--cassettes-dir=tapes")
    assert run.has_lines("multitrack: this run did not use:\n  tapes/test_gone/test_x.yaml")


def test_recording_without_a_selection_first_prints_how_many_tests_go_live(project):
    project.use_httpx()
    project.write_test(BOTH + "\n@pytest.mark.cassette\ndef test_other(): ask('x')\n\ndef test_plain(): pass")
    run = project.record()
    assert "multitrack: --record: 2 tests go live" in run.lines
    assert run.lines.index("multitrack: --record: 2 tests go live") < run.out[: run.out.index("100%")].count("\n") + 1
    for selection in (["-k", "ask"], ["test_it.py"], ["test_it.py::test_ask"]):
        assert "go live" not in project.record("--record", *selection).out
    assert "go live" not in project.run().out
    run = project.record("--record", "-n", "2")
    assert run.lines.count("multitrack: --record: 2 tests go live") == 1
    assert "go live" not in project.record("--record", "-n", "1", "-k", "ask").out


def test_a_cassette_older_than_max_age_is_listed(project):
    project.write_test(LESS)
    project.record()
    tape = project.cassette("test_it/test_ask")
    text = tape.read_text()
    start = text.index("recorded_at: '") + len("recorded_at: '")
    tape.write_text(text[:start] + "2020-01-01" + text[start + 10 :])
    project.provider.stop()
    assert "multitrack: old" not in project.run().out
    run = project.run("--cassettes-option=max_age=30")
    assert run.counts == {"passed": 1}
    assert run.code == 0
    [line] = [line for line in run.lines if line.startswith("multitrack: old: ")]
    assert line.startswith("multitrack: old: cassettes/test_it/test_ask.yaml: recorded ")
    assert line.endswith(" days ago")
