"""The sources of the flags that make a run live, and how clients without a key behave in a live run."""

import pytest

from multitrack.tape import credentials

MODULE = """
import httpx
import openai

client = openai.OpenAI(base_url="{url}/v1", default_headers=dict(connection="close"))
foreign = httpx.Client(headers={{"x-api-key": client.api_key, "connection": "close"}})


def ask(client=client):
    messages = [dict(role="user", content="x")]
    return client.chat.completions.create(model="gpt-4o-mini", messages=messages).choices[0].message.content
"""


@pytest.fixture
def live_blocks(monkeypatch):
    """The ``live`` of each block with stand-ins that the plugin opens."""
    opened = []
    stand_in = credentials.stand_in

    def open_block(*, live=False):
        opened.append(live)
        return stand_in(live=live)

    monkeypatch.setattr(credentials, "stand_in", open_block)
    return opened


def write_options(project, monkeypatch, source, flag):
    """Set ``flag`` in ``source``, and return the arguments for the command line."""
    match source:
        case "command line":
            return [flag]
        case "file of arguments":
            project.write("arguments.txt", flag + "\n")
            return ["@arguments.txt"]
        case "PYTEST_ADDOPTS":
            monkeypatch.setenv("PYTEST_ADDOPTS", f"-p no:inline_snapshot {flag}")
        case "pytest.ini":
            project.write("pytest.ini", f"[pytest]\naddopts = {flag}\n")
        case "pyproject.toml":
            project.write("pyproject.toml", f"[tool.pytest.ini_options]\naddopts = ['{flag}']\n")
    return []


SOURCES = ["command line", "file of arguments", "PYTEST_ADDOPTS", "pytest.ini", "pyproject.toml"]


@pytest.mark.parametrize(
    ("source", "flag"),
    [
        *((source, "--record") for source in SOURCES),
        ("command line", "--multitrack-record"),
        ("PYTEST_ADDOPTS", "--record-missing"),
        ("pytest.ini", "--live"),
        ("file of arguments", "--calls-drift"),
    ],
)
def test_a_run_is_live_wherever_its_flag_is_set(project, monkeypatch, live_blocks, source, flag):
    project.write_test("def test_nothing(): pass")
    arguments = write_options(project, monkeypatch, source, flag)
    assert project.run(*arguments).counts == {"passed": 1}
    # while conftests are loaded, and while tests are collected
    assert live_blocks == [True, True]


@pytest.mark.parametrize("arguments", [(), ("-k", "record"), ("--deselect=--record",), ("--", "test_it.py")])
def test_a_run_without_a_flag_is_a_replay(project, live_blocks, arguments):
    project.write_test("def test_record(): pass")
    assert project.run(*arguments).counts == {"passed": 1}
    assert live_blocks == [False, False]


def test_a_conftests_own_record_flag_does_not_make_a_run_live(project, live_blocks):
    project.write("conftest.py", "def pytest_addoption(parser): parser.addoption('--record', action='store_true')")
    project.write_test("def test_nothing(): pass")
    assert project.run("--record").counts == {"passed": 1}
    assert live_blocks[-1] is False


@pytest.mark.slow
def test_the_workers_of_a_live_run_are_live(project, monkeypatch):
    project.use_httpx()
    project.write(
        "conftest.py",
        """
        from multitrack.tape import credentials

        MAY_GO_LIVE = credentials.may_go_live()
        """,
    )
    project.write_test("def test_live(): import conftest; assert conftest.MAY_GO_LIVE")
    assert project.run("-n1", "--record").counts == {"passed": 1}


@pytest.mark.parametrize("flag", ["--record", "--record-missing", "--live"])
def test_a_stand_in_key_is_never_sent(project, flag):
    project.write("own.py", MODULE.format(url=project.provider.url))
    project.write_test(
        f"""
        import httpx
        import own

        URL = "{project.provider.url}/v1/x"

        @pytest.mark.cassette
        def test_with_cassette():
            own.ask()

        def test_without_cassette():
            own.ask()

        def test_a_copy():
            own.ask(own.client.with_options(timeout=3))

        @pytest.mark.cassette
        def test_own_client():
            try:
                own.foreign.get(URL)
            except BaseException:
                pass

        def test_own_header():
            httpx.get(URL, headers={{"authorization": "Bearer " + own.client.api_key}})

        def test_another_header():
            httpx.get(URL, headers={{"x-api-key": own.client.api_key}})
        """
    )
    run = project.run(flag, "-n0")
    assert run.counts == {"failed": 6}
    assert project.provider.requests == []
    assert "was not sent, because its client was created without a credential and has a stand-in key" in run.out
    assert run.changed == set()


def test_a_stand_in_key_is_not_sent_to_an_ignored_host_either(project):
    project.write("own.py", MODULE.format(url=project.provider.url))
    project.write_test(
        """
        import own

        @pytest.mark.cassette(ignore_hosts=["127.0.0.1:*", "localhost:*"])
        def test_ask():
            own.ask()
        """
    )
    run = project.run()
    assert run.counts == {"failed": 1}
    assert project.provider.requests == []
    assert "set the provider's credential, in the environment or in the client's constructor, and run again" in run.out
