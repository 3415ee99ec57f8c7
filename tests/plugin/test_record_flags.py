"""The record flags: which requests go live, and which recordings are saved or pending."""

import json

import pytest
from local_provider import ProviderAnswer, completion, echo

ASK = """
@pytest.mark.cassette
def test_ask():
    assert ask({prompt!r}).startswith("echo")
"""


def read_prompts(path):
    """Return each recorded prompt with the tests that recorded it, in order."""
    from multitrack.tape.file import storage

    return [
        (json.loads(interaction.request.body)["messages"][0]["content"], *interaction.tests)
        for interaction in storage.read(path).interactions
    ]


def test_without_a_flag_nothing_goes_live(project):
    project.write_test(ASK.format(prompt="x"))
    run = project.record("-q")
    assert run.counts == {"failed": 1}
    assert run.changed == set()
    assert project.provider.requests == []


@pytest.mark.parametrize("flag", ["--record", "--multitrack-record"])
def test_record_replaces_the_recordings_of_the_test(project, flag):
    project.write_test(ASK.format(prompt="old"))
    project.record()
    project.write_test(ASK.format(prompt="new"))
    run = project.record(flag)
    assert run.counts == {"passed": 1}
    assert run.changed == {"cassettes/test_it/test_ask.yaml"}
    assert read_prompts(project.cassette("test_it/test_ask")) == [("new", "test_it.py::test_ask")]


def test_record_missing_replays_and_appends(project):
    project.write_test(ASK.format(prompt="old"))
    project.record()
    project.write_test(ASK.format(prompt="old") + '    assert ask("new") == "echo: new"\n')
    run = project.record("--record-missing")
    assert run.counts == {"passed": 1}
    assert run.changed == {"cassettes/test_it/test_ask.yaml"}
    assert len(project.provider.requests) == 2
    assert "multitrack: 1 test used a cassette, 1 request replayed, 1 request recorded in 1 cassette" in run.lines
    assert [prompt for prompt, _ in read_prompts(project.cassette("test_it/test_ask"))] == ["old", "new"]
    project.provider.stop()
    assert project.run().counts == {"passed": 1}


@pytest.mark.parametrize("flag", ["--live", "--multitrack-live"])
def test_live_neither_reads_nor_writes_cassettes(project, flag):
    project.write_test(ASK.format(prompt="x"))
    project.write("cassettes/test_it/test_ask.yaml", "no tape at all: [")
    run = project.record(flag)
    assert run.counts == {"passed": 1}
    assert run.changed == set()
    assert len(project.provider.requests) == 1


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--record", "--live"], "--record and --live cannot be combined: pass only one of them"),
        (["--record", "--record-missing"], "--record and --record-missing cannot be combined: pass only one of them"),
    ],
)
def test_contradictory_flags_are_a_usage_error(project, flags, message):
    project.write_test(ASK.format(prompt="x"))
    run = project.record(*flags)
    assert run.code == pytest.ExitCode.USAGE_ERROR
    assert f"ERROR: {message}" in run.err
    assert run.changed == set()
    assert project.provider.requests == []


def test_a_record_option_of_a_conftest_is_not_overridden(project):
    project.write("conftest.py", 'def pytest_addoption(parser): parser.addoption("--record", choices=["a", "b"])')
    project.write_test(
        ASK.format(prompt="x") + "\ndef test_theirs(request): assert request.config.option.record == 'a'\n"
    )
    run = project.record("--record", "a")
    assert run.counts == {"failed": 1, "passed": 1}
    assert "  to record it: pytest --multitrack-record test_it.py::test_ask" in run.lines
    assert project.record("--record=a", "--multitrack-record").counts == {"passed": 2}


@pytest.mark.parametrize(
    ("body", "counts"),
    [
        ("""
        @pytest.mark.cassette
        def test_ask():
            ask("new")
            assert False
        """, {"failed": 1}),
        ("""
        @pytest.fixture
        def resource():
            yield
            raise RuntimeError

        @pytest.mark.cassette
        def test_ask(resource):
            ask("new")
        """, {"passed": 1, "errors": 1}),
        ("""
        @pytest.fixture
        def resource():
            ask("new")
            raise RuntimeError

        @pytest.mark.cassette
        def test_ask(resource): pass
        """, {"errors": 1}),
    ],
    ids=["call", "teardown", "setup"],
)  # fmt: skip
def test_the_recording_of_a_failed_test_is_pending(project, body, counts):
    project.write_test(ASK.format(prompt="old"))
    project.record()
    project.write_test(body)
    run = project.record()
    pending = "cassettes/test_it/test_ask.pending.yaml"
    assert run.counts == counts
    assert run.code == 1
    assert run.changed == {pending}
    assert read_prompts(project.path / pending) == [("new", "test_it.py::test_ask")]
    assert run.has_lines(
        f"""
        The cassette is unchanged. If the new recording is right:
          multitrack accept {pending}
          pytest test_it.py::test_ask
        """
    )
    assert f"  to accept it: multitrack accept {pending}" in run.lines
    # a pending recording is never replayed
    run = project.run()
    assert "reason: changed: the nearest recording, interaction 1 of 1," in run.out
    # and it is removed when the test passes while recording
    project.write_test(ASK.format(prompt="newer"))
    run = project.record()
    assert run.counts == {"passed": 1}
    assert run.changed == {pending, "cassettes/test_it/test_ask.yaml"}
    assert not (project.path / pending).exists()


def test_the_second_command_updates_the_snapshots_of_a_test_that_has_some(project):
    project.write_test(
        """
        @pytest.mark.cassette
        def test_ask(calls_snapshot):
            ask("x")
            assert False
        """
    )
    assert "  pytest --snapshot-update test_it.py::test_ask" in project.record().lines


def test_no_advice_if_nothing_was_recorded(project):
    project.write_test(ASK.format(prompt="old"))
    project.record()
    project.provider.stop()
    run = project.record()
    assert run.counts == {"failed": 1}
    assert run.code == 1
    assert run.changed == set()
    assert "openai.APIConnectionError" in run.out
    assert "accept" not in run.out


def test_a_recording_with_an_unanswered_request_is_pending(project):
    text = """
        import openai

        @pytest.mark.cassette
        def test_ask():
            ask("{prompt}")
            with pytest.raises(openai.APIConnectionError):
                openai.OpenAI(base_url="http://127.0.0.1:9/v1", max_retries=0).models.list()
        """
    project.write_test(text.format(prompt="x"))
    run = project.record()
    assert run.counts == {"passed": 1}
    assert run.code == 0
    assert run.changed == {"cassettes/test_it/test_ask.pending.yaml"}
    reason = (
        "GET http://127.0.0.1:9/v1/models got no response: ConnectError (to store this response, set keep_errors=True)"
    )
    assert f"multitrack: pending: cassettes/test_it/test_ask.pending.yaml: {reason}" in run.lines

    project.write_test(text.replace("cassette", "cassette(keep_errors=True)").format(prompt="x"))
    run = project.record()
    assert run.changed == {
        "cassettes/test_it/test_ask.yaml",
        "cassettes/test_it/test_ask.pending.yaml",
    }
    project.provider.stop()
    run = project.run()
    assert run.counts == {"passed": 1}
    assert run.changed == set()
    assert "multitrack: 1 test used a cassette, 2 requests replayed" in run.lines


def test_a_failed_connection_that_succeeds_on_retry_is_recorded(project):
    failed = []

    def reply(request):
        if not failed:
            failed.append(request)
            raise ConnectionAbortedError
        return echo(request)

    project.provider.reply = reply
    project.provider.silence()
    project.write_test(ASK.format(prompt="x"))
    run = project.record()
    assert run.counts == {"passed": 1}
    assert run.changed == {"cassettes/test_it/test_ask.yaml"}
    assert read_prompts(project.cassette("test_it/test_ask")) == [("x", "test_it.py::test_ask")] * 2
    project.provider.stop()
    run = project.run()
    assert run.counts == {"passed": 1}
    assert run.changed == set()
    assert "multitrack: 1 test used a cassette, 2 requests replayed" in run.lines


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_a_temporary_error_is_pending_unless_keep_errors_is_set(project, status):
    project.provider.reply = lambda _: ProviderAnswer(b'{"error": {"message": "no"}}', status)
    text = """
        import openai

        @pytest.mark.cassette{options}
        def test_ask():
            with pytest.raises(openai.APIStatusError) as error:
                client.with_options(max_retries=0).models.list()
            assert error.value.status_code == {status}
        """
    project.write_test(text.format(options="", status=status))
    run = project.record()
    pending = "cassettes/test_it/test_ask.pending.yaml"
    assert run.counts == {"passed": 1}
    assert run.code == 0
    assert run.changed == {pending}
    reason = f"GET {project.provider.url}/v1/models was answered with {status}"
    assert f"multitrack: pending: {pending}: {reason} (to store this response, set keep_errors=True)" in run.lines

    project.write_test(text.format(options="(keep_errors=True)", status=status))
    run = project.record()
    assert run.counts == {"passed": 1}
    assert run.changed == {pending, "cassettes/test_it/test_ask.yaml"}
    project.provider.stop()
    assert project.run().counts == {"passed": 1}


def test_an_error_that_succeeds_on_retry_is_recorded(project):
    answers = [ProviderAnswer(b"{}", 503, {"retry-after-ms": "1"}), ProviderAnswer(completion("echo: fine"))]
    project.provider.reply = lambda _: answers.pop(0)
    project.write_test(ASK.format(prompt="x"))
    run = project.record()
    assert run.counts == {"passed": 1}
    assert run.changed == {"cassettes/test_it/test_ask.yaml"}
    assert len(read_prompts(project.cassette("test_it/test_ask"))) == 2


SHARED = """
@pytest.mark.cassette(name="shared/weather")
@pytest.mark.parametrize("city", ["Toronto", "Dallas", "Rome"])
def test_city(city):
    assert ask({prompt!r} + city).startswith("echo")
"""


def test_recording_one_test_keeps_the_others_in_a_shared_cassette(project):
    project.write_test(SHARED.format(prompt="weather in "))
    recorded = project.record()
    assert recorded.counts == {"passed": 3}
    assert recorded.changed == {"cassettes/shared/weather.yaml"}
    project.write_test(SHARED.format(prompt="rain in "))
    run = project.record("--record", "test_it.py::test_city[Dallas]")
    assert run.counts == {"passed": 1}
    assert run.changed == {"cassettes/shared/weather.yaml"}
    assert read_prompts(project.cassette("shared/weather")) == [
        ("weather in Toronto", "test_it.py::test_city[Toronto]"),
        ("rain in Dallas", "test_it.py::test_city[Dallas]"),
        ("weather in Rome", "test_it.py::test_city[Rome]"),
    ]


def test_workers_that_record_into_one_cassette_lose_nothing(project):
    project.use_httpx()
    cities = [f"city {number}" for number in range(12)]
    project.write_test(SHARED.format(prompt="weather in ").replace('["Toronto", "Dallas", "Rome"]', repr(cities)))
    run = project.record("--record", "-n", "2")
    assert run.counts == {"passed": 12}
    assert "multitrack: 12 tests used a cassette, 12 requests recorded in 1 cassette" in run.lines
    assert sorted(prompt for prompt, _ in read_prompts(project.cassette("shared/weather"))) == sorted(
        f"weather in {city}" for city in cities
    )
    project.provider.stop()
    run = project.run("-n", "2")
    assert run.counts == {"passed": 12}
    assert run.changed == set()


def test_the_recording_of_the_last_rerun_is_saved(project):
    project.write_test(
        """
        attempts = []

        @pytest.mark.cassette
        @pytest.mark.flaky(reruns=1)
        def test_ask():
            attempts.append(1)
            ask(f"attempt {len(attempts)}")
            assert len(attempts) == 2
        """
    )
    run = project.record()
    assert run.counts == {"passed": 1, "rerun": 1}
    assert run.changed == {"cassettes/test_it/test_ask.yaml"}
    assert read_prompts(project.cassette("test_it/test_ask")) == [("attempt 2", "test_it.py::test_ask")]


def test_recording_into_a_vcrpy_cassette_replaces_its_responses_to_the_same_requests(project):
    project.write_test(ASK.format(prompt="x"))
    project.write(
        "cassettes/test_it/test_ask.yaml",
        f"""
        interactions:
        - request:
            body: '{{"messages":[{{"role":"user","content":"x"}}],"model":"gpt-4o-mini"}}'
            headers: {{authorization: [Bearer sk-proj-old0123456789abcdefghijkl], content-type: [application/json]}}
            method: POST
            uri: {project.provider.url}/v1/chat/completions
          response:
            body: {{string: '{completion("echo: of vcrpy, key sk-proj-old0123456789abcdefghijkl").decode()}'}}
            headers: {{content-type: [application/json], set-cookie: [a=b3k9x2m7q4w8]}}
            status: {{code: 200, message: OK}}
        - request: {{body: '', headers: {{cookie: [a=b3k9x2m7q4w8]}}, method: GET, uri: 'https://x.example/b3k9x2m7q4w8'}}
          response: {{body: {{string: other}}, headers: {{}}, status: {{code: 200, message: OK}}}}
        version: 1
        """,
    )
    assert project.run().counts == {"passed": 1}
    run = project.record()
    assert run.counts == {"passed": 1}
    assert run.changed == {"cassettes/test_it/test_ask.yaml"}
    text = project.cassette("test_it/test_ask").read_text()
    assert "echo: x" in text
    assert "of vcrpy" not in text
    # the other interactions stay, without their secrets
    assert "https://x.example/__redacted__" in text
    assert "b3k9x2m7q4w8" not in text
    assert "cookie" not in text


def test_use_cassette_follows_the_flags(project):
    project.write_test(
        """
        from multitrack.tape.use_cassette import use_cassette

        def test_ask():
            with use_cassette("tapes/own.yaml") as tape:
                assert ask("x") == "echo: x"
                assert not tape.played

        @pytest.mark.cassette
        @pytest.mark.parametrize("word", ["a", "b"])
        def test_nested(word):
            with use_cassette("tapes/shared.yaml"):
                ask(word)
        """
    )
    run = project.record()
    assert run.counts == {"passed": 3}
    assert run.changed == {"tapes/own.yaml", "tapes/shared.yaml"}
    assert read_prompts(project.path / "tapes/shared.yaml") == [
        ("a", "test_it.py::test_nested[a]"),
        ("b", "test_it.py::test_nested[b]"),
    ]
    project.provider.stop()
    run = project.run()
    assert run.counts == {"passed": 2, "failed": 1}
    assert run.changed == set()
    assert "assert not [" in run.out  # the cassette was replayed
