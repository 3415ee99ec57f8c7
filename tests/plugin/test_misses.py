"""A miss: its text, and that the test fails whatever the code catches."""

import re

import pytest

ASKING = """
@pytest.mark.cassette
def test_ask():
    ask({prompt!r})
"""


def miss_of(run):
    """Return the lines of the only miss in the output of ``run``, without the call site."""
    start = next(index for index, line in enumerate(run.lines) if line.startswith("CassetteMiss: "))
    end = next(index for index in range(start, len(run.lines)) if "to record it:" in run.lines[index])
    return [line for line in run.lines[start : end + 1] if not line.startswith("  sent from: ")]


def test_a_miss_without_a_cassette(project):
    project.write_test(ASKING.format(prompt="x"))
    run = project.run()
    assert run.counts == {"failed": 1}
    assert run.code == 1
    assert run.changed == set()
    assert miss_of(run) == [
        f"CassetteMiss: POST {project.provider.url}/v1/chat/completions (gpt-4o-mini) has no recording",
        "  cassette: cassettes/test_it/test_ask.yaml",
        "  reason: there is no cassette yet",
        "  to record it: pytest --record test_it.py::test_ask",
    ]
    assert project.provider.requests == []


def test_a_changed_prompt_is_a_miss(project):
    project.write_test(ASKING.format(prompt="what is the weather?"))
    project.record()
    project.write_test(ASKING.format(prompt="what is the time?"))
    run = project.run()
    assert run.counts == {"failed": 1}
    assert run.code == 1
    assert run.changed == set()
    assert miss_of(run) == [
        f"CassetteMiss: POST {project.provider.url}/v1/chat/completions (gpt-4o-mini) has no recording",
        "  cassette: cassettes/test_it/test_ask.yaml",
        "  reason: changed: the nearest recording, interaction 1 of 1, differs in 1 place",
        "    $.messages[0].content",
        '      recorded: "what is the weather?"',
        '      sent: "what is the time?"',
        "  to keep the recorded answer, if it still fits: pytest --calls-rebind test_it.py::test_ask",
        "  to record it: pytest --record test_it.py::test_ask",
    ]


def test_a_repeated_request_is_a_miss(project):
    project.write_test(ASKING.format(prompt="x"))
    project.record()
    project.write_test(ASKING.format(prompt="x") + '    ask("x")\n')
    run = project.run()
    assert run.counts == {"failed": 1}
    assert run.code == 1
    assert run.changed == set()
    assert miss_of(run)[2:] == [
        "  reason: already replayed: the cassette has this request once (interaction 1)",
        "  to record it: pytest --record test_it.py::test_ask",
    ]


def test_a_different_kind_of_request_is_a_miss(project):
    project.write_test(ASKING.format(prompt="x"))
    project.record()
    project.write_test(
        """
        @pytest.mark.cassette
        def test_ask():
            client.models.list()
        """
    )
    run = project.run()
    assert run.counts == {"failed": 1}
    assert run.code == 1
    assert run.changed == set()
    assert miss_of(run)[0] == f"CassetteMiss: GET {project.provider.url}/v1/models has no recording"
    assert miss_of(run)[2] == "  reason: no similar request among the 1 recorded interaction"


def test_the_nearest_recording_is_shown_and_unplayed_ones_take_precedence(project):
    project.write_test(
        """
        @pytest.mark.cassette
        def test_ask():
            for city in "Toronto", "Dallas", "Rome":
                ask("weather in " + city, temperature=0)
        """
    )
    project.record()
    project.write_test(
        """
        @pytest.mark.cassette
        def test_ask():
            ask("weather in Toronto", temperature=0)
            ask("weather in Dallas", temperature=1)
        """
    )
    run = project.run()
    assert miss_of(run)[2:] == [
        "  reason: changed: the nearest recording, interaction 2 of 3, differs in 1 place",
        "    $.temperature",
        "      recorded: 0",
        "      sent: 1",
        "  to record it: pytest --record test_it.py::test_ask",
    ]


def test_a_different_url_is_shown_next_to_the_recorded_one(project):
    project.write_test(
        """
        import httpx

        @pytest.mark.cassette
        def test_ask():
            httpx.post(str(client.base_url) + "items?page=1", json={"n": 1})
        """
    )
    project.record()
    test = project.path / "test_it.py"
    test.write_text(test.read_text().replace("page=1", "page=2").replace('"n": 1', '"n": 2'))
    run = project.run()
    assert miss_of(run)[2:] == [
        "  reason: changed: the nearest recording, interaction 1 of 1, differs in 2 places",
        "    url",
        f"      recorded: {project.provider.url}/v1/items?page=1",
        f"      sent: {project.provider.url}/v1/items?page=2",
        "    $.n",
        "      recorded: 1",
        "      sent: 2",
        "  to record it: pytest --record test_it.py::test_ask",
    ]


def test_the_record_command_is_quoted_for_a_shell(project):
    project.write_test(
        """
        @pytest.mark.cassette
        @pytest.mark.parametrize("city", ["São Paulo; it's $HOME"])
        def test_ask(city):
            ask(city)
        """
    )
    run = project.run()
    nodeid = r"test_it.py::test_ask[S\xe3o Paulo; it's $HOME]"
    quoted = "'" + nodeid.replace("'", "'\"'\"'") + "'"
    assert miss_of(run)[-1] == f"  to record it: pytest --record {quoted}"


MODELS = """
from pydantic import BaseModel, Field
from typing import Literal
from multitrack.model_context import OfferedModels


class Weather(BaseModel):
    location: str
    units: Literal[{units}]


class GoogleSearch(BaseModel):
    query: str{query}


def tool(model):
    return dict(type="function", function=dict(name=model.__name__, parameters=model.model_json_schema()))


@pytest.mark.cassette
def test_ask():
    with OfferedModels(dict(Weather=Weather, GoogleSearch=GoogleSearch)):
        ask("x", tools=[{tools}])
"""


@pytest.mark.parametrize(
    ("change", "differences"),
    [
        ({"query": ""}, ["      `GoogleSearch.query` lost its description"]),
        ({"units": '"imperial", "metric", "si"'}, ['      `Weather.units` gained the allowed value "si"']),
        ({"tools": "tool(Weather)"}, ["      `GoogleSearch` is no longer offered"]),
        ({"tools": "tool(Weather), tool(GoogleSearch), dict(tool(Weather), function=dict(name='New'))"}, [
            "      `New` is newly offered"
        ]),
    ],
)  # fmt: skip
def test_a_changed_tool_is_shown_with_its_model_and_field(project, change, differences):
    before = {
        "units": '"imperial", "metric"',
        "query": ' = Field(description="what to look up")',
        "tools": "tool(Weather), tool(GoogleSearch)",
    }
    project.write_test(MODELS.format(**before))
    project.record()
    project.write_test(MODELS.format(**{**before, **change}))
    run = project.run()
    assert run.counts == {"failed": 1}
    miss = miss_of(run)
    assert "  reason: changed: the nearest recording, interaction 1 of 1, differs in 1 place" in miss
    assert [line for line in miss if "`" in line] == differences
    assert "(gpt-4o-mini; tools Weather" in miss[0]


def test_a_miss_contains_no_private_values(project, monkeypatch):
    secret = "my-own-secret-0123456789"
    project.write_test(
        f"""
        import httpx, openai

        @pytest.mark.cassette
        def test_ask():
            http = httpx.Client(headers=dict(authorization="Bearer {secret}", cookie="session=abcdefgh12345"))
            prompt = "my key is " + "{secret}" + ", my cookie abcdefgh12345, my variable hush-hush-0123456789"
            http.post(str(client.base_url) + "chat/completions?key={secret}x", json=dict(prompt=prompt))
        """
    )
    monkeypatch.setenv("THEIR_API_KEY", "hush-hush-0123456789")
    run = project.run("-p", "no:logging", "--tb=short")
    assert run.counts == {"failed": 1}
    assert "(there is no cassette yet" not in run.out
    for private in (secret, "abcdefgh12345", "hush-hush"):
        assert private not in run.out + run.err


SWALLOWING = """
import asyncio, threading, unittest
import concurrent.futures


@pytest.mark.cassette
def test_except_exception():
    try:
        ask("x")
    except Exception:
        pass


@pytest.mark.cassette
def test_bare_except():
    try:
        ask("x")
    except:
        pass


@pytest.mark.cassette
def test_raises_base_exception():
    with pytest.raises(BaseException):
        ask("x")


@pytest.mark.cassette
@pytest.mark.xfail
def test_xfail():
    ask("x")


@pytest.mark.cassette
@pytest.mark.xfail(strict=True)
def test_xfail_strict():
    ask("x")


@pytest.mark.cassette
@pytest.mark.xfail(raises=BaseException)
def test_xfail_raises():
    try:
        ask("x")
    finally:
        raise ValueError("after it")


@pytest.mark.cassette
def test_imperative_xfail():
    try:
        ask("x")
    except:
        pytest.xfail("no network")


@pytest.mark.cassette
def test_skip_afterwards():
    try:
        ask("x")
    except BaseException:
        pytest.skip("no network")


@pytest.mark.cassette
class TestCase(unittest.TestCase):
    def test_plain(self):
        ask("x")

    def test_swallowed(self):
        try:
            ask("x")
        except:
            pass

    def test_other_failure(self):
        try:
            ask("x")
        except:
            self.fail("something else")

    def test_skipped(self):
        try:
            ask("x")
        except:
            self.skipTest("no network")

    @unittest.expectedFailure
    def test_expected(self):
        ask("x")


@pytest.mark.cassette
class TestAsyncCase(unittest.IsolatedAsyncioTestCase):
    async def test_async_case(self):
        await asyncio.gather(ask_async("x"), return_exceptions=True)


@pytest.mark.cassette
def test_task_that_is_not_awaited():
    async def main():
        task = asyncio.create_task(ask_async("x"))
        await asyncio.wait([task])
        task.exception()

    asyncio.run(main())


@pytest.mark.cassette
def test_gather():
    async def main():
        return await asyncio.gather(ask_async("x"), ask_async("y"), return_exceptions=True)

    asyncio.run(main())


@pytest.mark.cassette
def test_task_group():
    async def main():
        async with asyncio.TaskGroup() as group:
            group.create_task(ask_async("x"))

    try:
        asyncio.run(main())
    except BaseExceptionGroup:
        pass


@pytest.mark.cassette
def test_thread():
    def quietly():
        try:
            ask("x")
        except BaseException:
            pass

    thread = threading.Thread(target=quietly)
    thread.start()
    thread.join()


@pytest.mark.cassette
def test_forgotten_future():
    with concurrent.futures.ThreadPoolExecutor() as pool:
        pool.submit(ask, "x")


@pytest.mark.cassette
def test_other_failure_afterwards():
    try:
        ask("x")
    except BaseException:
        raise RuntimeError("the application's own") from None
"""


def test_a_miss_fails_the_test_whatever_the_code_catches(project):
    project.write_test(SWALLOWING)
    run = project.run("-rA")
    assert run.counts == {"failed": 20}
    assert run.code == 1
    assert run.changed == set()
    failed = [line for line in run.lines if line.startswith("FAILED ")]
    assert len(failed) == 20
    assert all("CassetteMiss: POST" in line for line in failed)
    # nothing is retried, and nothing is printed twice
    assert run.out.count("  reason: there is no cassette yet") == 20
    assert "  then: RuntimeError: the application's own" in run.lines
    assert project.provider.requests == []


def test_a_miss_is_not_retried(project):
    project.write_test(
        """
        import time, asyncio

        @pytest.mark.cassette
        def test_ask(tape):
            start = time.monotonic()
            with tape.expect_misses() as misses:
                ask("x")
            with tape.expect_misses() as later:
                asyncio.run(ask_async("x"))
            assert time.monotonic() - start < 0.4  # the SDK's first retry waits longer
            assert len(misses) == 1
            assert len(later) == 1
            assert len(tape.sent) == 2
        """
    )
    assert project.run().counts == {"passed": 1}


def test_only_expected_misses_do_not_fail_the_test(project):
    project.write_test(
        """
        @pytest.mark.cassette
        def test_forgiven(tape):
            with tape.expect_misses() as misses:
                with pytest.raises(BaseException, match="has no recording"):
                    ask("x")
            assert [type(miss).__name__ for miss in misses] == ["CassetteMiss"]

        @pytest.mark.cassette
        def test_not_forgiven(tape):
            with tape.expect_misses():
                ask("x")
            try:
                ask("y")
            except BaseException:
                pass

        @pytest.mark.cassette
        def test_other_errors_pass(tape):
            with pytest.raises(KeyError), tape.expect_misses() as misses:
                {}["x"]
            assert misses == []
        """
    )
    run = project.run()
    assert run.counts == {"passed": 2, "failed": 1}
    assert run.out.count("  reason: there is no cassette yet") == 1
    assert any(line.startswith("FAILED test_it.py::test_not_forgiven - CassetteMiss") for line in run.lines)


def test_a_miss_in_setup_is_printed_once(project):
    project.write_test(
        """
        @pytest.fixture
        def answer():
            return ask("x")

        @pytest.fixture
        def quiet_answer():
            try:
                ask("x")
            except BaseException:
                pass

        @pytest.fixture
        def other_error():
            try:
                ask("x")
            except BaseException:
                raise RuntimeError("another") from None

        @pytest.mark.cassette
        def test_raised(answer): pass

        @pytest.mark.cassette
        def test_swallowed(quiet_answer): pass

        @pytest.mark.cassette
        def test_turned(other_error): pass
        """
    )
    run = project.run()
    assert run.counts == {"errors": 2, "failed": 1}
    assert run.out.count("  reason: there is no cassette yet") == 3
    assert "  then: RuntimeError: another" in run.lines


def test_a_miss_in_teardown_fails_the_test(project):
    project.write_test(
        """
        @pytest.fixture
        def resource():
            yield
            try:
                ask("bye")
            except BaseException:
                pass

        @pytest.mark.cassette
        def test_ask(resource): pass
        """
    )
    run = project.run()
    assert run.counts == {"passed": 1, "errors": 1}
    assert run.code == 1
    assert miss_of(run)[2] == "  reason: there is no cassette yet"


def test_a_miss_fails_every_rerun(project):
    project.write_test(
        """
        @pytest.mark.cassette
        @pytest.mark.flaky(reruns=2)
        def test_ask():
            try:
                ask("x")
            except BaseException:
                pass
        """
    )
    run = project.run()
    assert run.counts == {"failed": 1, "rerun": 2}
    assert run.code == 1


def test_ctrl_c_after_a_miss_stops_the_run(project):
    project.use_httpx()
    project.write_test(
        """
        @pytest.mark.cassette
        def test_ask():
            try:
                ask("x")
            except BaseException:
                raise KeyboardInterrupt from None

        def test_never(): pass
        """
    )
    run = project.run(subprocess=True)
    assert run.code == pytest.ExitCode.INTERRUPTED
    assert "KeyboardInterrupt" in run.out
    assert "passed" not in run.out


def test_requesting_the_tape_without_a_cassette_fails(project):
    project.write_test(
        """
        def test_ask(request):
            request.getfixturevalue("tape")
        """
    )
    run = project.run()
    assert run.counts == {"failed": 1}
    assert (
        "no cassette is open: add 'tape' to the arguments of the test, or mark the test with @pytest.mark.cassette"
        in run.out
    )


@pytest.mark.parametrize("advice", [r"add '(\w+)' to the arguments", r"mark the test with (@pytest\.mark\.\w+)"])
def test_the_advice_of_a_test_without_a_cassette_helps(project, advice):
    test = "{marker}\ndef test_ask({arguments}):\n    request.getfixturevalue('tape')\n    ask('x')\n"
    project.write_test(test.format(marker="", arguments="request"))
    suggestion = re.search(advice, project.run().out)[1]
    is_marker = suggestion.startswith("@")
    arguments = "request" if is_marker else f"request, {suggestion}"
    project.write_test(test.format(marker=suggestion if is_marker else "", arguments=arguments))
    assert project.record().counts == {"passed": 1}
    assert project.run().counts == {"passed": 1}
