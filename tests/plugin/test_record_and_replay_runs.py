"""Whole runs: recorded once, then replayed after the provider has stopped."""

import pytest

CLIENTS = """
import asyncio, httpx, openai
import pytest


@pytest.mark.cassette
def test_client_of_the_module():
    assert ask("one") == "echo: one"


@pytest.mark.cassette
def test_client_made_here():
    with openai.OpenAI(base_url=client.base_url) as here:
        answer = here.chat.completions.create(model="m", messages=[dict(role="user", content="two")])
    assert answer.choices[0].message.content == "echo: two"


@pytest.mark.cassette
def test_async_client_of_the_module():
    assert asyncio.run(ask_async("three")) == "echo: three"


@pytest.mark.cassette
def test_async_client_made_here():
    async def ask():
        async with openai.AsyncOpenAI(base_url=client.base_url) as here:
            return await here.chat.completions.create(model="m", messages=[dict(role="user", content="four")])

    assert asyncio.run(ask()).choices[0].message.content == "echo: four"


def test_httpx(tape):
    url = str(client.base_url) + "items?b=2&a=1"
    assert httpx.get(url).json() == {"path": "/v1/items?b=2&a=1"}
    assert httpx.post(url, json={"a": 1}).json() == {"a": 1}
    assert [sent.method for sent in tape.sent] == ["GET", "POST"]


def test_async_httpx(tape):
    async def get():
        async with httpx.AsyncClient() as http:
            return await http.get(str(client.base_url) + "item")

    assert asyncio.run(get()).json() == {"path": "/v1/item"}
    assert tape.sent[0].url == str(client.base_url) + "item"


class TestClass:
    @pytest.mark.cassette
    @pytest.mark.parametrize("word", ["a", "b"])
    def test_method(self, word):
        assert ask(word) == f"echo: {word}"
"""


def test_a_recorded_run_replays_without_key_and_provider(project):
    project.write_test(CLIENTS)
    recorded = project.record()
    assert recorded.counts == {"passed": 8}
    assert recorded.code == 0
    assert recorded.changed == {
        f"cassettes/test_it/{name}.yaml"
        for name in (
            "test_client_of_the_module",
            "test_client_made_here",
            "test_async_client_of_the_module",
            "test_async_client_made_here",
            "test_httpx",
            "test_async_httpx",
            "TestClass.test_method[a]",
            "TestClass.test_method[b]",
        )
    }
    assert "multitrack: 8 tests used a cassette, 9 requests recorded in 8 cassettes" in recorded.lines
    assert len(project.provider.requests) == 9

    project.provider.stop()
    replayed = project.run()
    assert replayed.counts == {"passed": 8}
    assert replayed.code == 0
    assert replayed.changed == set()
    assert "multitrack: 8 tests used a cassette, 9 requests replayed" in replayed.lines
    assert len(project.provider.requests) == 9


def test_requests_of_a_library_imported_in_the_test_are_recorded(project):
    project.write(
        "test_late.py",
        f"""
        import sys
        import pytest

        URL = "{project.provider.url}"

        @pytest.mark.cassette
        @pytest.mark.parametrize("library", ["httpx", "httpx2", "openai"])
        def test_late(library):
            assert library not in sys.modules
            if library == "openai":
                import openai
                answer = openai.OpenAI(base_url=URL).models.list()
                assert answer.model_extra == {{"path": "/models"}}
            else:
                module = __import__(library)
                assert module.get(URL + "/late").json() == {{"path": "/late"}}
        """,
    )
    # each in a process of its own that has imported nothing yet
    selections = [f"test_late.py::test_late[{library}]" for library in ("httpx", "httpx2", "openai")]
    for selection in selections:
        assert project.record("--record", selection, subprocess=True).counts == {"passed": 1}
    assert len(project.provider.requests) == 3
    project.provider.stop()
    for selection in selections:
        replayed = project.run(selection, subprocess=True)
        assert replayed.counts == {"passed": 1}
        assert replayed.changed == set()


def test_a_run_without_cassettes_prints_nothing(project):
    project.write("test_plain.py", "def test_plain(): pass")
    run = project.run()
    assert run.counts == {"passed": 1}
    assert "multitrack:" not in run.out


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_retries_of_the_sdk_are_recorded_and_replayed_in_order(project, mode):
    from local_provider import ProviderAnswer, echo

    answers = [ProviderAnswer(b"{}", 429, {"retry-after-ms": "1"}), ProviderAnswer(b"{}", 500, {"retry-after-ms": "1"})]
    project.provider.reply = lambda request: answers.pop(0) if answers else echo(request)
    call = 'ask("x")' if mode == "sync" else 'asyncio.run(ask_async("x"))'
    project.write_test(
        f"""
        import asyncio

        def test_retried(tape):
            assert {call} == "echo: x"
            assert [interaction.response.status for interaction in tape.interactions] == [429, 500, 200]
            assert len(tape.sent) == 3
        """
    )
    recorded = project.record()
    assert recorded.counts == {"passed": 1}
    assert recorded.changed == {"cassettes/test_it/test_retried.yaml"}
    project.provider.stop()
    replayed = project.run()
    assert replayed.counts == {"passed": 1}
    assert replayed.changed == set()
    assert "multitrack: 1 test used a cassette, 3 requests replayed" in replayed.lines
