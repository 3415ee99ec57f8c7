"""Drift runs: which tests they compare, and how drift affects outcomes and exit codes."""

import json
from importlib.metadata import version
from importlib.util import find_spec
from xml.etree import ElementTree

import pytest
from drifting_model import DALLAS, DALLAS_METRIC, SEARCH, TORONTO, DriftingModel, read_table, split_lines
from local_provider import DONE, STREAM, ProviderAnswer, event

ASK = """
def plan(prompt="plan", **options):
    messages = [dict(role="user", content=prompt)]
    return client.chat.completions.create(model="gpt-4o-mini", messages=messages, **options).choices[0].message

def names(message):
    return sorted(call.function.name for call in message.tool_calls or ())
"""


@pytest.fixture
def model(project):
    project.provider.reply = model = DriftingModel()
    model.replies = dict.fromkeys(("plan", "other"), model.calls_reply(TORONTO, DALLAS, SEARCH))
    return model


def record_test(project, test):
    project.write_test(ASK + test)
    run = project.record()
    assert run.code == 0, run.out
    return run


OUTCOMES = """
@pytest.mark.cassette
def test_asserts():
    assert names(plan()) == ["GoogleSearch", "Weather", "Weather"]

@pytest.mark.cassette
def test_raises():
    names(plan())[2]

@pytest.mark.cassette
@pytest.mark.xfail(strict=False)
def test_expected():
    assert len(names(plan())) == 3

@pytest.mark.cassette
def test_skips():
    pytest.skip("not today")

@pytest.fixture
def planned():
    assert len(names(plan())) == 3

@pytest.mark.cassette
def test_setup(planned):
    pass
"""


def test_a_test_that_fails_because_of_drift_does_not_change_the_exit_code(project, model):
    record_test(project, OUTCOMES)
    model.replies["plan"] = model.calls_reply(SEARCH, DALLAS)
    run = project.record("--calls-drift")
    assert read_table(run)[:6] == split_lines(
        """
        calls added or removed  test_it.py::test_asserts  (assertion failed)
        calls added or removed  test_it.py::test_expected  (xfailed)
        calls added or removed  test_it.py::test_raises  (IndexError raised)
        calls added or removed  test_it.py::test_setup  (setup failed)
        test_it.py::test_asserts, request 1: calls added or removed
          removed: Weather(location='Toronto', units='metric')
        """
    )
    assert run.counts == {"drifted": 3, "xfailed": 1, "skipped": 1}
    assert run.code == 0
    assert run.changed == set()
    # the failure is printed as usual
    assert "E       AssertionError: assert ['GoogleSearch', 'Weather'] == ['GoogleSearc...r', 'Weather']" in run.lines

    project.write_test(ASK + OUTCOMES + "\ndef test_without_tape():\n    assert not 1\n")
    run = project.record("--calls-drift")
    assert run.counts["drifted"] == 3
    assert run.counts["failed"] == 1
    assert run.code == 1
    assert "test_without_tape" not in "\n".join(read_table(run))

    project.write("test_broken.py", "import nothing_of_that_name")
    assert project.record("--calls-drift").code == pytest.ExitCode.INTERRUPTED
    assert project.record("--calls-drift", "--continue-on-collection-errors").code == 1


def read_junit_counts(project):
    suite = ElementTree.parse(project.path / "junit.xml").getroot().find("testsuite")
    return {name: int(suite.get(name)) for name in ("failures", "errors", "skipped")}


@pytest.mark.parametrize(
    ("options", "counts", "code"),
    [
        ((), {"failures": 0, "errors": 0, "skipped": 5}, 0),
        (("-n1",), {"failures": 0, "errors": 0, "skipped": 5}, 0),
        # -x ends the run at the first failure, and drift is not a failure
        (("-x",), {"failures": 0, "errors": 0, "skipped": 5}, 0),
        (("--calls-drift-fail",), {"failures": 2, "errors": 1, "skipped": 2}, 1),
    ],
    ids=["default", "xdist", "-x", "--calls-drift-fail"],
)
def test_junit_files_agree_with_the_exit_code(project, model, options, counts, code):
    record_test(project, OUTCOMES)
    model.replies["plan"] = model.calls_reply(SEARCH, DALLAS)
    run = project.record("--calls-drift", "--junit-xml=junit.xml", *options)
    assert read_junit_counts(project) == counts
    assert run.code == code
    assert run.counts["drifted"] == 3


def test_a_junit_file_says_which_tests_drifted(project, model):
    record_test(project, OUTCOMES)
    model.replies["plan"] = model.calls_reply(SEARCH, DALLAS)
    project.record("--calls-drift", "--junit-xml=junit.xml")
    root = ElementTree.parse(project.path / "junit.xml").getroot()
    messages = {case.get("name"): skipped.get("message") for case in root.iter("testcase") for skipped in case}
    drifted = {name for name, message in messages.items() if message.startswith("drifted: ")}
    assert drifted == {"test_asserts", "test_raises", "test_setup"}


def test_a_report_of_a_drift_run_has_the_outcomes_of_the_tests(project, model):
    record_test(project, OUTCOMES)
    model.replies["plan"] = model.calls_reply(SEARCH, DALLAS)
    project.record("--calls-drift", "--calls-report=report.json")
    tests = json.loads((project.path / "report.json").read_text(encoding="utf-8"))["tests"]
    outcomes = {test["test"].rpartition("::")[2]: test["outcome"] for test in tests}
    assert outcomes == {
        "test_asserts": "failed",
        "test_raises": "failed",
        "test_expected": "xfailed",
        "test_setup": "error",
        "test_skips": "skipped",
    }


TAPES = """
from multitrack import use_cassette

@pytest.fixture(scope="module")
def planned():
    return plan("fixture")

@pytest.mark.cassette
def test_own(planned):
    plan()
    for _ in range(2):
        with use_cassette("tapes/nested.yaml"):
            plan()

def test_elsewhere():
    with use_cassette("tapes/explicit.yaml", mode="record"):
        assert names(plan())[0] == "GoogleSearch"
"""


def test_every_cassette_of_a_test_is_compared(project, model):
    model.replies["fixture"] = model.calls_reply(SEARCH)
    record_test(project, TAPES)
    model.replies |= {"plan": model.calls_reply(TORONTO, DALLAS), "fixture": model.calls_reply(SEARCH, SEARCH)}
    run = project.record("--calls-drift")
    assert [line for line in read_table(run) if line.startswith("calls")] == split_lines(
        """
        calls added or removed  fixture planned of test_it
        calls added or removed  test_it.py::test_elsewhere  (assertion failed)
        calls added or removed  test_it.py::test_own (cassettes/test_it/test_own.yaml)
        calls added or removed  test_it.py::test_own (tapes/nested.yaml)
        """
    )
    assert run.code == 0
    assert run.changed == set()


@pytest.mark.usefixtures("model")
def test_requests_without_a_recording_say_how_to_record_them(project):
    record_test(
        project,
        """
@pytest.mark.cassette
def test_prompt():
    plan("plan")

@pytest.mark.cassette
def test_silent():
    plan()

@pytest.mark.cassette
def test_twice():
    plan()
""",
    )
    project.write_test(
        ASK
        + """
@pytest.mark.cassette
def test_prompt():
    plan("other")

@pytest.mark.cassette
def test_silent():
    pass

@pytest.mark.cassette
def test_twice():
    plan()
    plan()

@pytest.mark.cassette
def test_new():
    plan()
"""
    )
    run = project.record("--calls-drift", "--calls-drift-fail")
    assert read_table(run) == split_lines(
        """
        no tape          test_it.py::test_new
        request changed  test_it.py::test_prompt
        nothing asked    test_it.py::test_silent
        request changed  test_it.py::test_twice
        test_it.py::test_new: no cassette at cassettes/test_it/test_new.yaml
          to record it: pytest --record test_it.py::test_new
        test_it.py::test_prompt, request 1: request changed
          reason: changed: the nearest recording, interaction 1 of 1, differs in 1 place
            $.messages[0].content
              recorded: "plan"
              sent: "other"
          to record it: pytest --record test_it.py::test_prompt
        test_it.py::test_prompt: interaction 1 of the cassette was not requested
        test_it.py::test_silent: interaction 1 of the cassette was not requested
        test_it.py::test_twice, request 2: request changed
          reason: already replayed: the cassette has this request once (interaction 1)
          to record it: pytest --record test_it.py::test_twice
        multitrack: drift: 0 of 4 unchanged; exit code 1 because of --calls-drift-fail
        """
    )
    assert run.counts == {"passed": 4}
    assert run.code == 1
    assert run.changed == set()


@pytest.mark.usefixtures("model")
def test_an_unreadable_cassette_fails_the_run(project):
    record_test(project, "@pytest.mark.cassette\ndef test_plan():\n    plan()\n")
    project.cassette("test_it/test_plan").write_text("no tape: [", "utf-8")
    run = project.record("--calls-drift")
    assert run.counts == {"errors": 1}
    assert run.code == 1
    assert read_table(run) == ["multitrack: drift: no test with a cassette sent a request"]


@pytest.mark.usefixtures("model")
def test_a_drift_run_requires_a_real_key(project):
    record_test(project, "@pytest.mark.cassette\ndef test_plan():\n    plan()\n")
    count = len(project.provider.requests)
    run = project.run("--calls-drift", "--calls-drift-fail")
    assert len(project.provider.requests) == count
    assert run.code == 1
    assert "OPENAI_API_KEY" in run.out
    assert read_table(run)[0] == "nothing asked  test_it.py::test_plan  (OpenAIError raised)"


@pytest.mark.usefixtures("model")
def test_the_fixture_tape_works_in_a_drift_run(project):
    record_test(project, "@pytest.mark.cassette\ndef test_plan():\n    plan()\n")
    project.write_test(
        ASK
        + """
@pytest.mark.cassette
def test_plan(tape):
    plan()
    assert tape.mode == "drift"
    assert tape.sent[0].model == "gpt-4o-mini"
    assert len(tape.interactions) == 1
    assert len(tape.live_interactions) == 1
    assert not tape.played
"""
    )
    assert project.record("--calls-drift").counts == {"passed": 1}


STREAMED = """
@pytest.mark.cassette
def test_stream():
    messages = [dict(role="user", content="plan")]
    for _ in client.chat.completions.create(model="gpt-4o-mini", messages=messages, stream=True):
        pass

@pytest.mark.cassette
def test_stream_async():
    import asyncio

    async def stream():
        messages = [dict(role="user", content="plan")]
        async for _ in await async_client.chat.completions.create(model="gpt-4o-mini", messages=messages, stream=True):
            pass

    asyncio.run(stream())
"""


def test_streams_are_compared(project, model):
    def streaming(name, arguments):
        text = json.dumps(arguments)
        pieces = [text[at : at + 9] for at in range(0, len(text), 9)]

        def reply(_):
            first = {"index": 0, "id": f"call_{model.count}", "type": "function"}
            yield event(tool_calls=[{**first, "function": {"name": name, "arguments": ""}}])
            for piece in pieces:
                yield event(tool_calls=[{"index": 0, "function": {"arguments": piece}}])
            yield DONE

        return lambda request: ProviderAnswer(reply(request), headers=STREAM)

    model.replies["plan"] = streaming(*DALLAS)
    record_test(project, STREAMED)
    model.replies["plan"] = streaming(*DALLAS_METRIC)
    assert read_table(project.record("--calls-drift")) == split_lines(
        """
        arguments changed  test_it.py::test_stream
        arguments changed  test_it.py::test_stream_async
        test_it.py::test_stream, request 1: arguments changed
          changed: Weather(location='Dallas', units='imperial')
              units: was 'imperial', now 'metric'
          to accept: pytest --record test_it.py::test_stream
        test_it.py::test_stream_async, request 1: arguments changed
          changed: Weather(location='Dallas', units='imperial')
              units: was 'imperial', now 'metric'
          to accept: pytest --record test_it.py::test_stream_async
        multitrack: drift: 0 of 2 unchanged
        """
    )


SAMPLED = """
made = []

@pytest.fixture
def counted():
    made.append("function")

@pytest.fixture(scope="module")
def once():
    assert "module" not in made
    made.append("module")

@pytest.mark.cassette
def test_plan(counted, once):
    assert "Dallas" in str(plan().tool_calls)

def test_made(once):
    print("made", made)
"""


@pytest.mark.parametrize("options", [(), ("-n", "1")], ids=["one process", "xdist"])
def test_samples_show_how_often_each_field_agrees(project, model, options):
    record_test(project, SAMPLED)
    later = ("GoogleSearch", {"query": "who won the super bowl 2026", "lang": "en"})
    model.replies["plan"] = model.in_order(
        model.calls_reply(TORONTO, DALLAS, SEARCH),
        model.calls_reply(DALLAS_METRIC, TORONTO, later),
        model.calls_reply(TORONTO, SEARCH),
        model.calls_reply(SEARCH, TORONTO, DALLAS, ("Add", {})),
        lambda _: ProviderAnswer(b'{"error": {"message": "no key"}}', 401),
    )
    run = project.record("--calls-drift", "--calls-drift-samples=5", "-rP", *options)
    assert read_table(run) == split_lines(
        """
        calls added or removed 2/5, same 1/5, arguments changed 1/5, failed 1/5  test_it.py::test_plan  (assertion failed 1/5, AuthenticationError raised 1/5)
        test_it.py::test_plan, interaction 1: compared 4 of 5 times
          Weather#1.location  4/4
          Weather#1.units     4/4
          Weather#2.location  3/4: 'Dallas' ×3, no call ×1
          Weather#2.units     2/4: 'imperial' ×2, 'metric' ×1, no call ×1
          GoogleSearch.query  3/4: 'who won the super bowl' ×3, 'who won the super bowl 2026' ×1
          GoogleSearch.lang   3/4: absent ×3, 'en' ×1
          tool set            3/4: GoogleSearch, Weather ×3, Add, GoogleSearch, Weather ×1
          added: Add() ×1
        test_it.py::test_plan, request 1: failed 1/5
          401 Unauthorized: no key
        multitrack: drift: 0 of 1 unchanged
        """  # noqa: E501, RUF001
    )
    assert run.counts == {"failed": 1, "passed": 1}
    assert run.code == 1
    assert run.changed == set()
    assert "made ['module', 'function', 'function', 'function', 'function', 'function']" in run.out


def test_xdist_prints_the_same_table(project, model):
    record_test(project, OUTCOMES)
    model.replies["plan"] = model.calls_reply(SEARCH, DALLAS)
    alone = project.record("--calls-drift", "--calls-drift-fail")
    spread = project.record("--calls-drift", "--calls-drift-fail", "-n", "2")
    assert read_table(spread) == read_table(alone)
    assert spread.counts == alone.counts
    assert spread.code == 1
    assert spread.changed == set()
    assert project.record("--calls-drift", "-n", "1").code == 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--calls-drift", "--record"), "--record and --calls-drift cannot be combined: pass only one of them"),
        (
            ("--calls-drift", "--record-missing"),
            "--record-missing and --calls-drift cannot be combined: pass only one of them",
        ),
        (("--calls-drift", "--live"), "--live and --calls-drift cannot be combined: pass only one of them"),
        (
            ("--calls-drift", "--snapshot-update"),
            "--snapshot-update and --calls-drift cannot be combined: a drift run writes nothing",
        ),
        pytest.param(
            ("--calls-drift", "--snapshot-update-new-only"),
            "--snapshot-update-new-only and --calls-drift cannot be combined: a drift run writes nothing",
            marks=pytest.mark.skipif(int(version("syrupy").partition(".")[0]) < 7, reason="syrupy lacks the flag"),
        ),
        pytest.param(
            ("--calls-drift", "--inline-snapshot=fix,create"),
            "--inline-snapshot and --calls-drift cannot be combined: a drift run writes nothing",
            marks=pytest.mark.skipif(not find_spec("inline_snapshot"), reason="inline-snapshot is not installed"),
        ),
        (("--calls-drift", "--calls-drift-samples=0"), "--calls-drift-samples must be 1 or more, not 0"),
        (("--calls-drift-samples=3",), "--calls-drift-samples requires --calls-drift"),
        (("--calls-drift-fail",), "--calls-drift-fail requires --calls-drift"),
    ],
)
def test_flags_that_cannot_be_combined_are_a_usage_error(project, monkeypatch, flags, message):
    monkeypatch.delenv("PYTEST_ADDOPTS")
    run = project.record(*flags)
    assert run.code == pytest.ExitCode.USAGE_ERROR
    assert run.changed == set()
    assert project.provider.requests == []
    assert f"ERROR: {message}" in run.err


def test_a_drift_run_compares_snapshots_and_does_not_write_them(project, model):
    record_test(
        project,
        """
@pytest.mark.cassette
def test_plan(calls_snapshot):
    assert plan().tool_calls == calls_snapshot
""",
    )
    model.replies["plan"] = model.calls_reply(SEARCH)
    run = project.record("--calls-drift")
    assert run.counts == {"drifted": 1}
    assert run.code == 0
    assert run.changed == set()
    message = "the reply changed: the provider now answers the recorded request differently: 2 calls removed (Weather)"
    assert message in run.lines
    assert "E         to accept: pytest --record --snapshot-update test_it.py::test_plan" in run.lines
    (project.path / "__snapshots__" / "test_it.calls").unlink()
    run = project.record("--calls-drift")
    assert run.code == 0
    assert run.changed == set()
    assert read_table(run)[0] == "calls added or removed  test_it.py::test_plan  (assertion failed)"


REPEATED = """
from multitrack import use_cassette

@pytest.mark.cassette
@pytest.mark.flaky(reruns=2)
@pytest.mark.xdist_group("chats")
def test_again():
    assert names(plan()) == ["GoogleSearch", "Weather", "Weather"]

@pytest.mark.cassette
@pytest.mark.xdist_group("chats")
def test_goes_on():
    if plan("word").content == "on":
        plan("word")

@pytest.mark.xdist_group("chats")
def test_blocks():
    for prompt in ("plan", "other"):
        with use_cassette("tapes/blocks.yaml"):
            plan(prompt)
"""


def test_reruns_xdist_groups_and_blocks_share_one_row(project, model):
    model.replies["word"] = model.text_reply("on")
    record_test(project, REPEATED)
    full = model.calls_reply(TORONTO, DALLAS, SEARCH)
    model.replies |= {"word": model.text_reply("off"), "other": model.calls_reply(TORONTO)}
    model.replies["plan"] = model.in_order(model.calls_reply(TORONTO), full, full)
    expected = split_lines(
        """
        same                    test_it.py::test_again
        calls added or removed  test_it.py::test_blocks
        fewer requests          test_it.py::test_goes_on
        test_it.py::test_blocks, request 2: calls added or removed
          removed: Weather(location='Dallas', units='imperial')
          removed: GoogleSearch(query='who won the super bowl')
          1 call unchanged
          tool set: was GoogleSearch, Weather, now Weather
          to accept: pytest --record test_it.py::test_blocks
        test_it.py::test_goes_on: interaction 2 of the cassette was not requested
          to accept: pytest --record test_it.py::test_goes_on
        multitrack: drift: 1 of 3 unchanged
        """
    )
    run = project.record("--calls-drift")
    assert read_table(run) == expected
    assert run.counts == {"passed": 3, "rerun": 1}
    assert run.code == 0
    model.replies["plan"] = full
    run = project.record("--calls-drift", "-n", "1", "--dist", "loadgroup")
    assert read_table(run) == expected
    assert run.counts == {"passed": 3}
    assert run.code == 0
