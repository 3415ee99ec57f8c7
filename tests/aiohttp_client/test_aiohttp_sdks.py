"""The SDKs that use aiohttp if it is installed, or if they are configured to."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from functools import wraps

import aiohttp
import pytest
from aiohttp_server import encode_response
from local_provider import DONE, STREAM, ProviderAnswer, completion, event
from pydantic import BaseModel

import multitrack
from multitrack.errors import CassetteMiss
from multitrack.standin import Rule, ScriptedCall, StandIn
from multitrack.tape.active import activate
from multitrack.tape.tape import Tape


class Weather(BaseModel):
    location: str


RULES = [
    Rule(
        prompt="Weather",
        calls=[ScriptedCall("Weather", {"location": "Toronto"}), ScriptedCall("Weather", {"location": "Dallas"})],
    ),
    Rule(prompt="Talk", text="Once upon a time"),
]


@pytest.fixture(scope="module")
def standin(starts_server):
    with StandIn(RULES) as standin:
        yield standin


@pytest.fixture
def aiohttp_urls(monkeypatch):
    """The URLs that were requested from aiohttp's sessions."""
    urls = []
    request = aiohttp.ClientSession._request

    # google-genai inspects the signature
    @wraps(request)
    async def record_url(self, method, url, **options):
        urls.append(str(url))
        return await request(self, method, url, **options)

    monkeypatch.setattr(aiohttp.ClientSession, "_request", record_url)
    return urls


@pytest.fixture(params=["gemini", "vertex"])
def genai_client(request, standin, monkeypatch):
    """A function that creates a google-genai client for the stand-in provider, unless ``offline`` is true."""
    genai = pytest.importorskip("google.genai")
    if not hasattr(aiohttp, "ClientConnectorDNSError"):
        pytest.skip("google-genai needs a newer aiohttp")
    for name in ("GOOGLE_API_KEY", "GEMINI_API_KEY", "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)

    def create_client(offline=False):
        if request.param == "gemini":
            options = {} if offline else {"http_options": {"base_url": standin.proxy_url}, "api_key": "key-0"}
            return genai.Client(**options)
        options = {"vertexai": True, "project": "my-project", "location": "us-central1"}
        if not offline:
            for name, value in standin.environment.items():
                monkeypatch.setenv(name, value)
            context = ssl.create_default_context(cafile=str(standin.certificate_authority))
            options["http_options"] = {"async_client_args": {"proxy": standin.proxy_url, "ssl": context}}
        return genai.Client(**options)

    return create_client


def test_google_genai_is_recorded_and_replayed(tape_runner, standin, genai_client, aiohttp_urls, monkeypatch):
    async def send(offline=False):
        async with genai_client(offline).aio as client:
            response = await client.models.generate_content(model="gemini-2.0-flash", contents="Talk")
            streamed = await client.models.generate_content_stream(model="gemini-2.0-flash", contents="Talk")
            return response.text, [chunk.text async for chunk in streamed]

    before = len(standin.requests)
    text, chunks = recorded = tape_runner.record(send)
    assert text == "".join(chunks) == "Once upon a time"
    assert len(standin.requests) - before == len(aiohttp_urls) == len(tape_runner.interactions) == 2
    for name in standin.environment:
        monkeypatch.delenv(name, raising=False)
    with multitrack.use_cassette(tape_runner.path) as tape:
        assert tape_runner.run(lambda: send(offline=True)) == recorded
    assert len(standin.requests) - before == 2
    assert len(tape.played) == 2
    assert len(aiohttp_urls) == 4
    assert "key-0" not in tape_runner.path.read_text()


def test_models_are_extracted_with_aiohttp(tape_runner, genai_client, aiohttp_urls):
    async def send():
        client = multitrack.from_genai(genai_client(), model="gemini-2.0-flash")
        return await client.create_async(
            messages=[{"role": "user", "content": "Weather"}], response_model=Iterable[Weather]
        )

    assert (
        tape_runner.record(send)
        == tape_runner.replay(send)
        == [Weather(location="Toronto"), Weather(location="Dallas")]
    )
    assert len(aiohttp_urls) == 2


def test_google_genai_does_not_retry_a_miss(tape_runner, genai_client):
    tape_runner.path.write_text("version: 1\ninteractions: []\n")

    async def send():
        async with genai_client().aio as client:
            with pytest.raises(CassetteMiss):
                await client.models.generate_content(model="gemini-2.0-flash", contents="Talk")

    tape_runner.replay(send)
    assert len(tape_runner.tape.violations) == 1


TOKEN = "https://oauth2.googleapis.com/token"


async def refresh_token():
    transport = pytest.importorskip("google.auth.transport._aiohttp_requests")
    from google.oauth2._credentials_async import Credentials

    credentials = Credentials(None, refresh_token="refresh", token_uri=TOKEN, client_id="id", client_secret="secret")
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        await credentials.refresh(transport.Request(session))
    return credentials.token


async def request_token_with_the_new_transport():
    transport = pytest.importorskip("google.auth.aio.transport.aiohttp")
    request = transport.Request()
    response = await request(TOKEN, "POST", body=b"grant_type=refresh_token")
    body = await response.read()
    await request.close()
    return "placeholder" if b"placeholder" in body else body


@pytest.mark.parametrize("send", [refresh_token, request_token_with_the_new_transport])
def test_a_token_of_google_auth_is_refreshed_without_a_recording(tape_runner, send):
    assert tape_runner.replay(send) == "placeholder"
    assert tape_runner.tape.violations == tape_runner.tape.played == []


def test_a_refreshed_token_is_never_recorded(tape_runner, serve):
    server = serve(
        encode_response(b'{"access_token": "ya29.secret", "expires_in": 3600}', b"content-type: application/json")
    )

    class LocalConnector(aiohttp.TCPConnector):
        async def _resolve_host(self, *_, traces=None):
            found = await super()._resolve_host("127.0.0.1", server.server_address[1], traces)
            return [{**address, "port": server.server_address[1]} for address in found]

    async def send():
        url = "http://metadata.google.internal/computeMetadata/v1/token"
        async with aiohttp.ClientSession(connector=LocalConnector()) as session, session.get(url) as response:
            return await response.json()

    with activate(Tape(tape_runner.path, mode="record")) as tape:
        assert tape_runner.run(send)["access_token"] == "ya29.secret"
    assert len(server.requests) == 1
    assert tape.save() is None


@pytest.fixture
def openai_client(provider):
    openai = pytest.importorskip("openai")
    try:
        http_client = openai.DefaultAioHttpClient()
    except (AttributeError, RuntimeError) as error:
        pytest.skip(f"this OpenAI SDK cannot use aiohttp here: {error}")
    return openai.AsyncOpenAI(base_url=provider.url, api_key="test", http_client=http_client)


REQUEST = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "x"}]}


def test_requests_of_openais_aiohttp_client_are_recorded_once(tape_runner, provider, openai_client, aiohttp_urls):
    def reply(request):
        if request.json.get("stream"):
            return ProviderAnswer([event("one"), event("two"), DONE], headers=STREAM)
        return ProviderAnswer(completion("hello"))

    provider.reply = reply

    async def send():
        async with openai_client.copy(http_client=type(openai_client._client)()) as client:
            response = await client.chat.completions.create(**REQUEST)
            stream = await client.chat.completions.create(**REQUEST, stream=True)
            return response.choices[0].message.content, [chunk.choices[0].delta.content async for chunk in stream]

    assert tape_runner.record(send) == ("hello", ["one", "two"])
    provider.stop()
    assert tape_runner.replay(send) == ("hello", ["one", "two"])
    assert len(provider.requests) == len(tape_runner.interactions) == len(tape_runner.tape.sent) == 2
    assert len(aiohttp_urls) == 4


def test_openais_client_does_not_retry_a_miss(tape_runner, openai_client):
    tape_runner.path.write_text("version: 1\ninteractions: []\n")

    async def send():
        async with openai_client as client:
            with pytest.raises(CassetteMiss):
                await client.chat.completions.create(**REQUEST)

    tape_runner.replay(send)
    assert len(tape_runner.tape.sent) == len(tape_runner.tape.violations) == 1


def test_a_swallowed_miss_fails_the_test(pytester):
    """The miss may be raised in a task that is never awaited, or returned by a gather."""
    pytester.makepyfile(
        """
        import asyncio
        import aiohttp
        import pytest

        async def send():
            async with aiohttp.ClientSession() as session:
                await session.get("https://api.example.com/v1")

        @pytest.mark.cassette
        def test_gathered():
            async def main():
                await asyncio.gather(send(), return_exceptions=True)

            asyncio.run(main())

        @pytest.mark.cassette
        def test_forgotten():
            async def main():
                task = asyncio.create_task(send())
                await asyncio.sleep(0.1)
                task.cancel()

            asyncio.run(main())
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(failed=2)
