"""Anthropic's clients without a key, a region or a project: they replay, and otherwise raise the SDK's own error."""

from __future__ import annotations

import asyncio
import json
from importlib import import_module

import pytest
from memory_tape import MemoryTape

import multitrack
from multitrack.tape import active, credentials, interceptors

anthropic = pytest.importorskip("anthropic")
httpx = import_module(anthropic.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0])

OWN = ["Anthropic", "AsyncAnthropic"]
BEDROCK = ["AnthropicBedrock", "AsyncAnthropicBedrock"]
VERTEX = ["AnthropicVertex", "AsyncAnthropicVertex"]
NOTE = (
    "multitrack: this client was created without credentials and has stand-in credentials, which only work during "
    "replay. "
    "Replay a cassette (@pytest.mark.cassette), or set the credential."
)
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [],
    "stop_reason": "end_turn",
}
USER = [{"role": "user", "content": "Hi"}]

pytestmark = pytest.mark.usefixtures("bare_environment", "no_interceptors")


@pytest.fixture
def no_interceptors(monkeypatch):
    """Intercept no requests: the transport counts what the SDK would have sent."""
    monkeypatch.setattr(interceptors, "INTERCEPTORS", ())


class Wire:
    """A transport that stores the requests that it answers."""

    def __init__(self):
        self.sent = []

    def answer(self, request):
        self.sent.append(request)
        body = {**MESSAGE, "usage": {"input_tokens": 1, "output_tokens": 1}}
        return httpx.Response(200, content=json.dumps(body), headers={"content-type": "application/json"})

    def client(self, name, **given):
        make = httpx.AsyncClient if name.startswith("Async") else httpx.Client
        http_client = make(transport=httpx.MockTransport(self.answer))
        return getattr(anthropic, name)(http_client=http_client, max_retries=0, **given)


@pytest.fixture
def wire():
    return Wire()


def ask(client):
    """Send one request, as an application would with this client."""
    asked = client.messages.create(model="claude-sonnet-5", max_tokens=9, messages=USER)
    if asyncio.iscoroutine(asked):

        async def wait():
            return await asked

        return asyncio.run(wait())
    return asked


@pytest.mark.parametrize("name", [*OWN, *BEDROCK, *VERTEX])
def test_a_client_without_credentials_replays(name, wire):
    with credentials.stand_in():
        client = wire.client(name)
    with active.activate(MemoryTape()):
        assert ask(client).id == "msg_1"
    assert len(wire.sent) == 1


@pytest.mark.parametrize("name", [*OWN, *BEDROCK, *VERTEX])
def test_a_client_that_extracts_replays(name, wire):
    with credentials.stand_in():
        client = multitrack.from_anthropic(wire.client(name))
        # in old releases, the copy of a client for Bedrock does not have the HTTP client
        if not (name in BEDROCK and not anthropic.__version__.startswith("2.")):
            client = client.with_options(timeout=3)
    with active.activate(MemoryTape()):
        assert ask(client).id == "msg_1"
    assert len(wire.sent) == 1


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("mode", ["record", "live", None])
@pytest.mark.parametrize("is_open", [True, False], ids=["in the block", "after the block"])
def test_without_replay_a_request_raises_the_sdks_own_error(name, mode, is_open, wire):
    with pytest.raises(TypeError, match="Could not resolve authentication method") as expected:
        ask(wire.client(name))
    with credentials.stand_in():
        client = wire.client(name)
        if is_open:
            with active.activate(MemoryTape(mode=mode)), pytest.raises(TypeError) as caught:
                ask(client)
    if not is_open:
        with active.activate(MemoryTape(mode=mode)), pytest.raises(TypeError) as caught:
            ask(client)
    assert str(caught.value) == str(expected.value)
    assert caught.value.__notes__ == [NOTE]
    assert wire.sent == []


@pytest.mark.parametrize("name", VERTEX)
def test_a_vertex_client_without_a_region_is_not_sent_live(name, wire):
    with credentials.stand_in():
        client = wire.client(name).with_options(timeout=3)
    with pytest.raises(ValueError, match="No region was given") as caught:
        ask(client)
    assert caught.value.__notes__ == [NOTE]
    assert wire.sent == []


@pytest.mark.parametrize("name", VERTEX)
def test_a_vertex_client_without_a_project_is_not_sent_live(name, wire):
    with credentials.stand_in():
        client = wire.client(name, region="us-east5", access_token="token-0")
    with active.activate(MemoryTape()):
        ask(client)
    with pytest.raises(RuntimeError, match="No project_id was given"):
        ask(client)
    assert len(wire.sent) == 1


def test_the_names_of_a_replayed_request_are_pseudonyms(wire):
    with credentials.stand_in():
        clients = [wire.client(name) for name in ("AnthropicVertex", "AnthropicBedrock")]
    with active.activate(MemoryTape()):
        for client in clients:
            ask(client)
    assert "/projects/project-0/locations/location-0/" in str(wire.sent[0].url)
    assert wire.sent[1].url.host in (
        "bedrock-runtime.location-0.amazonaws.com",
        "bedrock-runtime.us-east-1.amazonaws.com",
    )


@pytest.mark.parametrize("given", [{"api_key": "key-0"}, {"auth_token": "token-0"}])
def test_a_client_with_credentials_has_no_stand_in(given, wire):
    with credentials.stand_in():
        client = wire.client("Anthropic", **given)
    ask(client)
    values = [wire.sent[0].headers.get(name, "") for name in ("authorization", "x-api-key")]
    assert any(value.endswith(("key-0", "token-0")) for value in values)


def test_a_client_whose_headers_have_a_credential_has_no_stand_in(wire):
    headers = {"X-Api-Key": "key-0"}
    if anthropic.__version__.startswith("0."):
        pytest.skip("this release of the SDK requires a key of its own")
    with credentials.stand_in():
        client = wire.client("Anthropic", default_headers=headers)
    assert client.api_key is None
    ask(client)
    assert wire.sent[0].headers["x-api-key"] == "key-0"


@pytest.mark.parametrize("name", OWN)
def test_a_copy_of_the_client_has_the_stand_in(name, wire):
    with credentials.stand_in():
        client = wire.client(name)
    client = client.with_options(max_retries=0).with_options(timeout=3)
    with pytest.raises(TypeError, match="Could not resolve authentication method"):
        ask(client)
    with active.activate(MemoryTape()):
        ask(client)
    assert len(wire.sent) == 1


def test_after_the_block_clients_are_constructed_as_before(wire):
    with credentials.stand_in():
        pass
    assert wire.client("Anthropic").api_key is None
    with pytest.raises(ValueError, match="No region was given"):
        wire.client("AnthropicVertex")
