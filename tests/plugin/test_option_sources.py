"""The sources of cassette options, and which source overrides which."""

import pytest

ASK = """
    {fixture}

    @pytest.mark.cassette({options})
    def test_ask():
        assert ask("x", user="{user}", temperature={temperature}).startswith("echo")
"""
FIXTURE = """
    @pytest.fixture(scope="{scope}")
    def cassette_options():
        return dict(ignore=["$.user"])
"""


def record_test(project, flags=(), **parts):
    """Record a test, then change one value that it sends."""
    text = {"fixture": "", "options": ""} | parts
    project.write_test(ASK.format(user="one", temperature=0, **text))
    assert project.record("--record", *flags).counts == {"passed": 1}
    project.write_test(ASK.format(user="two", temperature=0, **text))
    project.provider.stop()


@pytest.mark.parametrize("source", ["project", "session", "module", "function", "marker", "flag"])
def test_an_option_applies_from_every_source(project, source):
    flags, parts = (), {}
    if source == "project":
        project.write("pyproject.toml", '[tool.pytest.ini_options]\n[tool.multitrack]\nignore = ["$.user"]\n')
    elif source == "marker":
        parts["options"] = "ignore=['$.user']"
    elif source == "flag":
        flags = ("--cassettes-option", "ignore=['$.user']")
    else:
        parts["fixture"] = FIXTURE.format(scope=source)
    record_test(project, flags, **parts)
    assert project.run(*flags).counts == {"passed": 1}
    if not parts and not flags:
        return
    bare = {"fixture": "", "options": ""}
    project.write_test(ASK.format(user="two", temperature=0, **bare))
    assert project.run().counts == {"failed": 1}


def test_an_option_of_the_command_line_applies_after_a_warning_of_a_conftest(project):
    # the warning is printed, and redacted, before pytest has parsed the options
    project.write(
        "conftest.py", "import warnings\nwith warnings.catch_warnings(action='always'):\n    warnings.warn('early')\n"
    )
    record_test(project)
    run = project.run("--cassettes-option", "ignore=['$.user']")
    assert run.counts == {"passed": 1}
    assert "UserWarning: early" in run.out


def test_lists_are_merged_and_other_values_overridden(project):
    project.write(
        "pyproject.toml", '[tool.pytest.ini_options]\n[tool.multitrack]\nignore = ["$.user"]\npace = "recorded"\n'
    )
    project.write_test(
        """
        pytestmark = pytest.mark.cassette(ignore=["$.module"], pace="instant", max_age=3)

        @pytest.fixture
        def cassette_options(cassette_words):
            return dict(ignore=["$.fixture"], keep_errors=True, pace="recorded", strict=False)

        @pytest.fixture
        def cassette_words():
            return None

        @pytest.mark.cassette(ignore=["$.marker"], max_age=4)
        class TestClass:
            @pytest.mark.cassette(ignore=["$.closest"])
            def test_settings(self, tape):
                settings = tape._settings
                assert settings.ignore == ("$.user", "$.fixture", "$.module", "$.marker", "$.closest", "$.flag")
                assert settings.pace == "instant"
                assert settings.keep_errors
                assert settings.max_age == 5
                assert settings.strict
        """
    )
    flags = ("--cassettes-option=ignore=['$.flag']", "--cassettes-option=max_age=5", "--cassettes-strict")
    run = project.run(*flags)
    assert run.counts == {"passed": 1}, run.out


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("dict(wrong=1)", "the cassette_options fixture: unknown option 'wrong'; known options: allow_hosts, "),
        (
            "dict(ignore=['user'])",
            "the cassette_options fixture: ignore: 'user' is not a JSON path such as $.metadata.* or ",
        ),
        (
            "dict(match_on=['headers'])",
            "the cassette_options fixture: match_on accepts method, uri, scheme, host, port, ",
        ),
        (
            "dict(placeholders=['x'])",
            "the cassette_options fixture: placeholders must map words to regular expressions",
        ),
        (
            "dict(placeholders={'x': '('})",
            "the cassette_options fixture: placeholders: the value of x is not a regular expression: ",
        ),
        ("dict(max_age='30d')", "the cassette_options fixture: max_age must be an integer, not '30d'"),
        ("3", "the cassette_options fixture must return a mapping, not 3"),
    ],
)
def test_an_invalid_option_in_the_fixture_fails_its_tests(project, given, message):
    project.write_test(
        f"""
        @pytest.fixture
        def cassette_options():
            return {given}

        @pytest.mark.cassette
        def test_ask(): ask("x")

        def test_other(): pass
        """
    )
    run = project.run()
    assert run.counts == {"passed": 1, "errors": 1}
    assert run.code == 1
    assert [line for line in run.lines if line.startswith(message)], run.out
    assert run.out.count(message) == 2  # the second is in the short summary


def test_cassette_options_must_not_send_requests(project):
    project.write_test(
        """
        @pytest.fixture
        def cassette_options():
            ask("early")
            return dict(strict=True)

        @pytest.mark.cassette
        def test_ask(): ask("x")
        """
    )
    run = project.record()
    assert run.counts == {"errors": 1}
    assert run.changed == {"cassettes/test_it/test_ask.pending.yaml"}
    assert (
        "cassette_options takes effect too late: a fixture that it depends on has already sent a request; " in run.out
    )


def test_invalid_options_on_the_command_line_are_usage_errors(project):
    project.write_test("@pytest.mark.cassette\ndef test_ask(): pass")
    run = project.run("--cassettes-option=wrong=1")
    assert run.code == pytest.ExitCode.USAGE_ERROR
    assert "ERROR: --cassettes-option=wrong=1: unknown option 'wrong'; known options: " in run.err
    run = project.run("--cassettes-option=strict")
    assert "ERROR: --cassettes-option=strict: pass NAME=VALUE, for example strict=true" in run.err


def test_project_options_apply_to_use_cassette(project):
    project.write("pyproject.toml", '[tool.pytest.ini_options]\n[tool.multitrack]\nignore = ["$.user"]\n')
    text = """
        from multitrack.tape.use_cassette import use_cassette

        def test_ask():
            with use_cassette("own.yaml", ignore=["$.temperature"]):
                ask("x", user="{user}", temperature={temperature})
        """
    project.write_test(text.format(user="one", temperature=0))
    project.record()
    project.write_test(text.format(user="two", temperature=1))
    project.provider.stop()
    assert project.run().counts == {"passed": 1}


def test_telemetry_is_dropped(project):
    port = project.provider.url.rpartition(":")[2]
    project.write_test(
        f"""
        import httpx

        @pytest.mark.cassette(drop_hosts=["localhost:*"])
        def test_ask(tape):
            assert httpx.post("https://api.smith.langchain.com/runs/batch", json={{}}).status_code == 202
            assert httpx.post("http://localhost:{port}/trace", json={{}}).json() == {{}}
            assert ask("x") == "echo: x"
            assert len(tape.sent) == 1
        """
    )
    run = project.record()
    assert run.counts == {"passed": 1}
    assert run.changed == {"cassettes/test_it/test_ask.yaml"}
    assert len(project.provider.requests) == 1
    project.provider.stop()
    assert project.run().counts == {"passed": 1}


def test_a_dropped_host_can_be_allowed_again(project):
    project.write_test(
        """
        import httpx

        @pytest.mark.cassette(drop_hosts=["!*.langfuse.com"])
        def test_ask():
            httpx.get("https://cloud.langfuse.com/x")
        """
    )
    run = project.run()
    assert run.counts == {"failed": 1}
    assert "CassetteMiss: GET https://cloud.langfuse.com/x has no recording" in run.out


@pytest.mark.slow
def test_the_project_ignores_paths_in_snapshots(project):
    project.write_test("""
        def plan(day, name="x"):
            return [{"name": "Weather", "arguments": {"day": day, "at": name}}]

        def test_plan(calls_snapshot):
            assert plan(__import__("os").getpid()) == calls_snapshot

        def test_own_option(calls_snapshot):
            assert plan(__import__("os").getpid(), "y") == calls_snapshot(ignore="at")
    """)
    entry = "  Weather(at={}, day=1)\n# ---\n"
    entries = f"# name: test_own_option\n{entry.format('...')}# name: test_plan\n{entry.format(repr('x'))}"
    project.write("__snapshots__/test_it.calls", f"# serializer version: 1\n{entries}")
    setting = "[tool.pytest.ini_options]\n[tool.multitrack]\nsnapshot_ignore = {}\n"
    project.write("pyproject.toml", setting.format(["Weather.day"]))
    assert project.run().counts == {"passed": 2}
    project.write("pyproject.toml", setting.format(["Weather..day"]))
    run = project.run()
    assert run.counts == {"errors": 2}
    assert "pyproject.toml: [tool.multitrack] snapshot_ignore: 'Weather..day' is not a path to a field" in run.out
