"""Frameworks that look for a key themselves, imitated by small modules; tests/frameworks has the real ones."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
import textwrap

import pytest
from memory_tape import MemoryTape

from multitrack.tape import active, credentials, interceptors

openai = pytest.importorskip("openai")

pytestmark = pytest.mark.usefixtures("bare_environment")

LITELLM = """
    import os

    def get_secret(secret_name, default_value=None):
        return os.environ.get(secret_name, default_value)
"""

EXCEPTIONS = """
    class UserError(RuntimeError):
        pass
"""

PROVIDER = """
    import openai
    from pydantic_ai.exceptions import UserError

    class DeepSeekProvider:
        def __init__(self, *, api_key=None, base_url="https://api.deepseek.com", openai_client=None):
            if openai_client is None and not api_key:
                raise UserError("Set the `DEEPSEEK_API_KEY` environment variable")
            self.client = openai_client or openai.AsyncOpenAI(api_key=api_key, base_url=base_url)

    class OtherProvider:
        def __init__(self, *, api_key=None):
            if not api_key:
                raise UserError("Set the `OTHER_API_KEY` environment variable")
            self.client = api_key
"""

ANTHROPIC_PROVIDER = """
    import anthropic
    from pydantic_ai.exceptions import UserError

    class AnthropicProvider:
        def __init__(self, *, api_key=None, anthropic_client=None):
            if anthropic_client is None and not api_key:
                raise UserError("Set the `ANTHROPIC_API_KEY` environment variable")
            self.client = anthropic_client or anthropic.AsyncAnthropic(api_key=api_key, max_retries=0)
"""

LANGCHAIN = """
    import openai

    class BaseChatOpenAI:
        client = None
        root_client = None
        default_headers = {"x-team": "harbour"}
        default_query = http_client = None

        def __init__(self, api_key=None):
            if api_key:
                self.root_client = openai.OpenAI(api_key=api_key)
                self.client = self.root_client.chat.completions
            self.async_client = openai.AsyncOpenAI(api_key=api_key, base_url="https://a.test").chat.completions
"""


@pytest.fixture
def import_module(tmp_path, monkeypatch):
    """Return a function that imports a module with some source, from a package that exists only in this test."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def import_module(name, source, **others):
        for dotted, text in {name: source, **others}.items():
            path = tmp_path.joinpath(*dotted.split("."))
            path.parent.mkdir(parents=True, exist_ok=True)
            for folder in path.relative_to(tmp_path).parents:
                (tmp_path / folder / "__init__.py").touch()
            path.with_suffix(".py").write_text(textwrap.dedent(text), encoding="utf-8")
        importlib.invalidate_caches()
        return importlib.import_module(name)

    yield import_module
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in ("litellm", "pydantic_ai", "langchain_openai"):
            del sys.modules[name]


@pytest.fixture
def sent(monkeypatch):
    """Return the list of requests that a client without a transport of its own sends."""
    monkeypatch.setattr(interceptors, "INTERCEPTORS", ())
    requests = []
    for name in filter(importlib.util.find_spec, ("httpx", "httpx2")):
        replace_transports(monkeypatch, importlib.import_module(name), requests)
    return requests


def replace_transports(monkeypatch, httpx, requests):
    async def answer(self, request):
        requests.append(request)
        return httpx.Response(200, json={"id": "c", "object": "chat.completion", "created": 1, "choices": []})

    def answer_sync(self, request):
        return asyncio.run(answer(self, request))

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", answer)
    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", answer_sync)


def ask(client):
    async def ask_async():
        return await client.chat.completions.create(model="m", messages=[])

    if isinstance(client, openai.AsyncOpenAI):
        return asyncio.run(ask_async())
    return client.chat.completions.create(model="m", messages=[])


@pytest.fixture
def litellm(import_module):
    with credentials.stand_in():
        yield import_module("litellm.secret_managers.main", LITELLM)


def test_litellm_gets_a_key_while_a_cassette_replays(litellm):
    with active.activate(MemoryTape()):
        assert litellm.get_secret("GEMINI_API_KEY") == "multitrack-stand-in"


@pytest.mark.parametrize("mode", ["record", "record-missing", "live", None])
def test_litellm_gets_no_key_if_a_request_could_be_sent(litellm, mode):
    if mode is None:
        assert litellm.get_secret("GEMINI_API_KEY") is None
    else:
        with active.activate(MemoryTape(mode=mode)):
            assert litellm.get_secret("GEMINI_API_KEY") is None


def test_litellm_gets_no_key_outside_the_block(import_module):
    with credentials.stand_in():
        litellm = import_module("litellm.secret_managers.main", LITELLM)
    with active.activate(MemoryTape()):
        assert litellm.get_secret("GEMINI_API_KEY") is None


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "AZURE_API_KEY", "LITELLM_LOG"])
def test_litellm_gets_no_other_secret(litellm, name):
    with active.activate(MemoryTape()):
        assert litellm.get_secret(name) is None


def test_litellm_uses_a_key_of_the_environment(litellm, monkeypatch):
    monkeypatch.setenv("GEMINI_API_KEY", "mine")
    with active.activate(MemoryTape()):
        assert litellm.get_secret("GEMINI_API_KEY") == "mine"
    monkeypatch.delenv("GEMINI_API_KEY")


@pytest.fixture
def pydantic_ai(import_module):
    with credentials.stand_in():
        yield import_module("pydantic_ai.providers.deepseek", PROVIDER, **{"pydantic_ai.exceptions": EXCEPTIONS})


def test_a_provider_of_pydantic_ai_replays_without_a_key(pydantic_ai, sent):
    client = pydantic_ai.DeepSeekProvider().client
    with active.activate(MemoryTape()):
        ask(client)
    assert sent[0].url.host == "api.deepseek.com"


def test_a_provider_of_pydantic_ai_without_a_key_sends_nothing_live(pydantic_ai, sent):
    client = pydantic_ai.DeepSeekProvider().client
    with pytest.raises(pydantic_ai.UserError, match="DEEPSEEK_API_KEY") as raised:
        ask(client)
    assert raised.value.__notes__ == [credentials.NOTE]
    assert sent == []


def test_a_provider_of_pydantic_ai_with_a_client_that_could_send_the_stand_in_gets_none(pydantic_ai):
    with pytest.raises(pydantic_ai.UserError, match="OTHER_API_KEY"):
        pydantic_ai.OtherProvider()


def test_a_provider_of_pydantic_ai_with_a_key_is_not_changed(pydantic_ai):
    assert pydantic_ai.DeepSeekProvider(api_key="mine").client.api_key == "mine"


@pytest.fixture
def pydantic_ai_with_anthropic(import_module):
    pytest.importorskip("anthropic")
    exceptions = {"pydantic_ai.exceptions": EXCEPTIONS}
    with credentials.stand_in():
        yield import_module("pydantic_ai.providers.anthropic", ANTHROPIC_PROVIDER, **exceptions)


def ask_anthropic(client):
    asyncio.run(client.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": "hi"}]))


def test_pydantic_ai_with_anthropic_replays_without_a_key(pydantic_ai_with_anthropic, sent):
    client = pydantic_ai_with_anthropic.AnthropicProvider().client
    with active.activate(MemoryTape()):
        ask_anthropic(client)
    assert sent[0].url.host == "api.anthropic.com"


def test_pydantic_ai_with_anthropic_and_without_a_key_sends_nothing_live(pydantic_ai_with_anthropic, sent):
    client = pydantic_ai_with_anthropic.AnthropicProvider().client
    with pytest.raises(pydantic_ai_with_anthropic.UserError, match="ANTHROPIC_API_KEY") as raised:
        ask_anthropic(client)
    assert raised.value.__notes__ == [credentials.NOTE]
    assert sent == []


@pytest.fixture
def langchain(import_module):
    with credentials.stand_in():
        yield import_module("langchain_openai.chat_models.base", LANGCHAIN)


def test_a_model_of_langchain_replays_without_a_key(langchain, sent):
    model = langchain.BaseChatOpenAI()
    with active.activate(MemoryTape()):
        model.client.create(model="m", messages=[])
    assert sent[0].url.host == "a.test"
    assert sent[0].headers["x-team"] == "harbour"


def test_a_model_of_langchain_without_a_key_sends_nothing_live(langchain, sent):
    model = langchain.BaseChatOpenAI()
    with pytest.raises(openai.OpenAIError, match="OPENAI_API_KEY"):
        model.client.create(model="m", messages=[])
    assert sent == []


def test_a_model_of_langchain_with_a_key_is_not_changed(langchain):
    assert langchain.BaseChatOpenAI(api_key="mine").root_client.api_key == "mine"


def test_a_genai_client_refuses_to_send_a_stand_in_of_a_framework(pydantic_ai):
    genai = pytest.importorskip("google.genai")
    key = pydantic_ai.DeepSeekProvider().client.api_key
    client = genai.Client(api_key=key)
    with pytest.raises(pydantic_ai.UserError, match="DEEPSEEK_API_KEY"):
        client.models.generate_content(model="m", contents="hi")


def test_the_environment_is_not_changed(pydantic_ai, langchain, litellm):
    before = dict(os.environ)
    pydantic_ai.DeepSeekProvider()
    langchain.BaseChatOpenAI()
    with active.activate(MemoryTape()):
        litellm.get_secret("GEMINI_API_KEY")
    assert dict(os.environ) == before
