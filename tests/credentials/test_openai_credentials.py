from __future__ import annotations

import asyncio
import copy
import inspect
import os
import pickle
import sys
import types
from unittest import mock

import pytest
from memory_tape import CHAT, MemoryTape

from multitrack.tape import active, credentials, interceptors
from multitrack.tape.use_cassette import use_cassette

openai = pytest.importorskip("openai")
httpx = pytest.importorskip("httpx2" if openai.VERSION.startswith("3") else "httpx")

CLIENTS = ["OpenAI", "AsyncOpenAI", "AzureOpenAI", "AsyncAzureOpenAI"]
OPENAI = CLIENTS[:2]
AZURE = CLIENTS[2:]

pytestmark = pytest.mark.usefixtures("bare_environment", "no_interceptors")


@pytest.fixture
def no_interceptors(monkeypatch):
    """Intercept no requests: the transport counts what the SDK would have sent."""
    monkeypatch.setattr(interceptors, "INTERCEPTORS", ())


class Wire:
    """A transport that stores the requests that it answers."""

    def __init__(self) -> None:
        self.sent: list[httpx.Request] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        return httpx.Response(200, content=CHAT, headers={"content-type": "application/json"})

    def client(self, name: str, **given):
        make = httpx.AsyncClient if name.startswith("Async") else httpx.Client
        http_client = make(transport=httpx.MockTransport(self.answer))
        return getattr(openai, name)(http_client=http_client, **given)


@pytest.fixture
def wire() -> Wire:
    return Wire()


def ask(client):
    """Send one request, as an application would with this client."""

    async def ask_async():
        return await client.chat.completions.create(model="gpt-4o-mini", messages=[])

    if isinstance(client, openai.AsyncOpenAI):
        return asyncio.run(ask_async())
    return client.chat.completions.create(model="gpt-4o-mini", messages=[])


def own_error(name: str, **given) -> Exception:
    """Return the error that the SDK's constructor raises without a stand-in."""
    with pytest.raises(Exception, match=r"Missing credentials|Must provide|must be set") as caught:
        getattr(openai, name)(**given)
    return caught.value


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_without_credentials_replays(name, wire):
    with credentials.stand_in():
        client = wire.client(name)
    with active.activate(MemoryTape()):
        assert ask(client).id == "chatcmpl-1"
    assert len(wire.sent) == 1


@pytest.mark.parametrize("name", CLIENTS)
@pytest.mark.parametrize("mode", ["record", "record-missing", "live", None])
def test_without_replay_the_first_request_raises_the_sdks_own_error(name, mode, wire):
    expected = own_error(name)
    with credentials.stand_in():
        client = wire.client(name)
        if mode is None:
            with pytest.raises(type(expected)) as caught:
                ask(client)
        else:
            with active.activate(MemoryTape(mode=mode)), pytest.raises(type(expected)) as caught:
                ask(client)
    assert type(caught.value) is type(expected)
    assert str(caught.value) == str(expected)
    assert caught.value.__notes__ == [
        "multitrack: this client was created without credentials and has stand-in credentials, which only work "
        "during replay. "
        "Replay a cassette (@pytest.mark.cassette), or set the credential."
    ]
    assert wire.sent == []


@pytest.mark.parametrize("name", CLIENTS)
def test_a_copy_of_the_client_has_the_stand_in(name, wire):
    expected = own_error(name)
    with credentials.stand_in():
        client = wire.client(name)
    client = client.with_options(max_retries=0).with_options(timeout=3)
    with pytest.raises(type(expected), match=r"credentials|must be set"):
        ask(client)
    assert wire.sent == []
    with active.activate(MemoryTape()):
        ask(client)
    assert len(wire.sent) == 1


def test_each_request_raises_its_own_error(wire):
    with credentials.stand_in():
        client = wire.client("OpenAI")
    errors = []
    for _ in range(2):
        with pytest.raises(openai.OpenAIError) as caught:
            ask(client)
        errors.append(caught.value)
    assert errors[0] is not errors[1]
    assert len(errors[1].__notes__) == 1


@pytest.mark.parametrize("name", CLIENTS)
def test_outside_the_block_the_constructor_is_the_sdks_own(name):
    init = inspect.getattr_static(getattr(openai, name), "__init__")
    with credentials.stand_in():
        getattr(openai, name)()
        assert inspect.getattr_static(getattr(openai, name), "__init__") is not init
    assert inspect.getattr_static(getattr(openai, name), "__init__") is init
    with pytest.raises(openai.OpenAIError):
        getattr(openai, name)()


def test_blocks_nest_and_may_close_in_any_order():
    outer, inner = credentials.stand_in(), credentials.stand_in()
    outer.__enter__()
    inner.__enter__()
    outer.__exit__(None, None, None)
    assert credentials.is_active()
    openai.OpenAI()
    inner.__exit__(None, None, None)
    assert not credentials.is_active()
    with pytest.raises(openai.OpenAIError):
        openai.OpenAI()


@pytest.mark.parametrize("name", OPENAI)
@pytest.mark.parametrize("key", ["sk-dummy", "x"])
def test_a_key_given_by_the_user_is_left_alone(name, key, wire):
    with credentials.stand_in():
        client = wire.client(name, api_key=key)
    assert client.api_key == key
    ask(client)
    assert wire.sent[0].headers["authorization"] == f"Bearer {key}"


@pytest.mark.parametrize("name", OPENAI)
def test_a_key_of_the_environment_is_used(name, wire, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-the-environment")
    with credentials.stand_in():
        client = wire.client(name)
    ask(client)
    assert wire.sent[0].headers["authorization"] == "Bearer sk-from-the-environment"
    monkeypatch.delenv("OPENAI_API_KEY")


@pytest.mark.parametrize("name", AZURE)
def test_a_complete_azure_client_is_not_changed(name, wire):
    with credentials.stand_in():
        client = wire.client(
            name, api_key="azure", api_version="2024-10-21", azure_endpoint="https://mine.openai.azure.com"
        )
    ask(client)
    assert wire.sent[0].headers["api-key"] == "azure"
    assert wire.sent[0].url.host == "mine.openai.azure.com"
    assert wire.sent[0].url.params["api-version"] == "2024-10-21"


@pytest.mark.parametrize("name", AZURE)
@pytest.mark.parametrize("missing", ["api_version", "azure_endpoint"])
def test_an_azure_client_without_endpoint_or_version_does_not_send_its_key(name, missing, wire):
    given = {
        "api_key": "azure",
        "api_version": "2024-10-21",
        "azure_endpoint": "https://mine.openai.azure.com",
    }
    del given[missing]
    expected = own_error(name, **given)
    with credentials.stand_in():
        client = wire.client(name, **given)
    with pytest.raises(ValueError, match=f"`{missing}`") as caught:
        ask(client)
    assert str(caught.value) == str(expected)
    assert wire.sent == []
    with active.activate(MemoryTape()):
        ask(client)
    [request] = wire.sent
    assert "api-key" not in request.headers
    kept = {"api_version": request.url.params["api-version"], "azure_endpoint": f"https://{request.url.host}"}
    del kept[missing]
    assert kept.items() <= given.items()


@pytest.mark.parametrize("name", AZURE)
def test_an_azure_version_of_the_environment_is_used(name, wire, monkeypatch):
    monkeypatch.setenv("OPENAI_API_VERSION", "2023-05-15")
    with credentials.stand_in():
        client = wire.client(name)
    with active.activate(MemoryTape()):
        ask(client)
    assert wire.sent[0].url.params["api-version"] == "2023-05-15"
    monkeypatch.delenv("OPENAI_API_VERSION")


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("OpenAI", {"nonsense": 1}),
        ("OpenAI", {"base_url": 3}),
        (
            "AzureOpenAI",
            {"base_url": "https://a", "azure_endpoint": "https://b", "api_version": "1", "api_key": "k"},
        ),
        ("AzureOpenAI", {"base_url": "https://a", "azure_endpoint": "https://b", "api_version": "1"}),
    ],
)
def test_other_wrong_arguments_raise_the_sdks_own_error(name, given):
    with pytest.raises(Exception) as without:  # noqa: PT011
        getattr(openai, name)(**given)
    with credentials.stand_in(), pytest.raises(Exception) as with_us:  # noqa: PT011
        getattr(openai, name)(**given)
    assert type(with_us.value) is type(without.value)
    assert str(with_us.value) == str(without.value)


def test_a_subclass_of_the_client_gets_a_stand_in(wire):
    class Own(openai.OpenAI):
        def __init__(self, **given):
            super().__init__(**given)
            self.made = True

    with credentials.stand_in():
        client = Own(http_client=httpx.Client(transport=httpx.MockTransport(wire.answer)))
    assert client.made
    with active.activate(MemoryTape()):
        ask(client)
    assert len(wire.sent) == 1


def test_the_stand_in_key_can_be_copied_and_passed_to_another_client(wire):
    with credentials.stand_in():
        key = openai.OpenAI().api_key
    for same in (copy.copy(key), copy.deepcopy(key), pickle.loads(pickle.dumps(key))):
        client = wire.client("OpenAI", api_key=same)
        with pytest.raises(openai.OpenAIError):
            ask(client)
        with active.activate(MemoryTape()):
            ask(client)
    assert str(key) == "multitrack-stand-in"
    assert len(wire.sent) == 3


def test_a_mock_started_inside_the_block_can_be_stopped_after_it():
    patch = mock.patch.object(openai.OpenAI, "__init__", return_value=None)
    with credentials.stand_in():
        patch.start()
        openai.OpenAI()
    patch.stop()
    with pytest.raises(openai.OpenAIError):
        openai.OpenAI()
    with credentials.stand_in():
        openai.OpenAI()


@pytest.mark.parametrize("fake", [mock.MagicMock(), types.ModuleType("openai"), types.SimpleNamespace(OpenAI=object)])
def test_a_fake_sdk_is_not_patched(fake, monkeypatch):
    monkeypatch.setitem(sys.modules, "openai", fake)
    with credentials.stand_in():
        assert sys.modules["openai"] is fake


def test_the_environment_is_not_written():
    before = dict(os.environ)
    with credentials.stand_in():
        openai.OpenAI()
        openai.AzureOpenAI()
        assert dict(os.environ) == before


def test_an_application_that_creates_its_client_on_import_is_imported(bare_process):
    printed = bare_process(
        """
        import sys
        from multitrack.tape import credentials

        with credentials.stand_in():
            assert "openai" not in sys.modules
            from openai import OpenAI
            client = OpenAI()
        try:
            OpenAI()
        except Exception as error:
            print(type(error).__name__)
        try:
            client.models.list()
        except Exception as error:
            print(type(error).__name__)
        print([type(finder).__name__ for finder in sys.meta_path if "multitrack" in type(finder).__module__])
        """
    )
    assert printed.splitlines() == ["OpenAIError", "OpenAIError", "[]"]


def test_stand_in_imports_no_sdk(bare_process):
    printed = bare_process(
        """
        import sys
        from multitrack.tape import credentials

        with credentials.stand_in():
            pass
        print({"openai", "google.auth", "grpc", "httpx", "httpx2"} & set(sys.modules))
        """
    )
    assert printed.strip() == "set()"


@pytest.mark.parametrize("mode", ["record", "record-missing", "live"])
def test_use_cassette_uses_stand_ins_only_during_replay(mode, tmp_path):
    with use_cassette(tmp_path / "tape.yaml", mode=mode), pytest.raises(openai.OpenAIError):
        openai.OpenAI()
    with use_cassette(tmp_path / "tape.yaml", mode="replay"):
        openai.OpenAI()
