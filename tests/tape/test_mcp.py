"""MCP over streamable HTTP: sessions, answered streams that the client closes, and the stream of the server."""

import asyncio
import json
import time
from contextlib import asynccontextmanager

import httpx
import pytest
import yaml
from local_provider import STREAM, ProviderAnswer

from multitrack.tape.active import activate
from multitrack.tape.tape import Tape

SESSION = "69e84fb1aa624be7af397e4e9cafe686"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cassette.yaml"


def reply(request):
    """Answer as the server of the SDK does: the answered stream stays open for a moment, the other stream forever."""
    headers = {**STREAM, "mcp-session-id": SESSION}
    if request.method == "DELETE":
        return ProviderAnswer(b"", headers=headers)
    if request.method == "GET":
        return ProviderAnswer(wait_after([]), headers=headers)
    call = request.json
    if "id" not in call:
        return ProviderAnswer(b"", status=202, headers=headers)
    progress = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {}}
    result = {"jsonrpc": "2.0", "id": call["id"], "result": {"method": call["method"]}}
    return ProviderAnswer(wait_after([event(progress), event(result)]), headers=headers)


def event(message):
    return b"event: message\r\ndata: " + json.dumps(message).encode() + b"\r\n\r\n"


def wait_after(events):
    yield from events
    time.sleep(0.3)


class Client:
    """Sends the same requests as the client of the SDK, in the same order."""

    def __init__(self, url):
        self.url = url
        self.headers = {}
        self.answers = []
        self.ended_streams = 0

    async def run(self, *, pause=0.0):
        async with httpx.AsyncClient() as self.http:
            await self.call({"jsonrpc": "2.0", "id": 1, "method": "initialize"})
            await self.call({"jsonrpc": "2.0", "method": "notifications/initialized"})
            async with self.listen():
                await self.call({"jsonrpc": "2.0", "id": 2, "method": "tools/list"})
                await asyncio.sleep(pause)
                await self.call({"jsonrpc": "2.0", "id": 3, "method": "tools/call"})
            if self.headers:
                await self.http.delete(self.url, headers=self.headers)

    async def call(self, message):
        async with self.http.stream("POST", self.url, json=message, headers=self.headers) as response:
            if "mcp-session-id" in response.headers:
                self.headers["mcp-session-id"] = response.headers["mcp-session-id"]
            if "id" not in message:
                return
            async for line in response.aiter_lines():
                if line.startswith("data:") and "result" in line:
                    self.answers.append(json.loads(line[5:])["result"]["method"])
                    return

    @asynccontextmanager
    async def listen(self):
        if not self.headers:
            yield
            return
        opened = asyncio.Event()

        async def read():
            async with self.http.stream("GET", self.url, headers=self.headers) as response:
                opened.set()
                try:
                    async for _ in response.aiter_lines():
                        pass
                except httpx.HTTPError:
                    self.ended_streams += 1

        task = asyncio.create_task(read())
        await opened.wait()
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def use(path, provider, mode, **options):
    client = Client(provider.url)
    with activate(Tape(path, mode=mode, test="t.py::test")) as tape:
        asyncio.run(client.run(**options))
    return client, tape


@pytest.fixture
def recorded_client(path, provider):
    provider.reply = reply
    client, tape = use(path, provider, "record")
    assert tape.save().state == "written"
    return client


def test_the_same_requests_are_sent_on_replay(path, provider, recorded_client):
    sent = [request.method for request in provider.requests]
    assert sorted(sent) == ["DELETE", "GET", "POST", "POST", "POST", "POST"]
    client, tape = use(path, provider, "replay")
    assert [request.method for request in tape.sent] == sent
    assert client.answers == recorded_client.answers == ["initialize", "tools/list", "tools/call"]
    assert client.headers == {"mcp-session-id": SESSION}
    assert tape.unplayed == []
    assert tape.violations == []


def test_an_answered_stream_is_complete(path, recorded_client):
    interactions = yaml.safe_load(path.read_text(encoding="utf-8"))["interactions"]
    left = [one["request"]["method"] for one in interactions if one["response"].get("ending", "complete") != "complete"]
    assert left == ["GET"]


def test_the_stream_of_the_server_stays_open_until_the_client_leaves_it(path, provider, recorded_client):
    client, _ = use(path, provider, "replay", pause=0.5)
    assert client.ended_streams == 0


def test_a_stream_that_was_left_before_the_answer_is_not_complete(path, provider):
    provider.reply = reply

    def read(*, lines):
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
        with httpx.stream("POST", provider.url, json=call) as response:
            received = response.iter_lines()
            return [next(received) for _ in range(lines)]

    with activate(Tape(path, mode="record", test="t.py::test")) as tape:
        read(lines=2)
    tape.save()
    [interaction] = yaml.safe_load(path.read_text(encoding="utf-8"))["interactions"]
    complete = interaction["response"].get("ending", "complete") == "complete"
    assert complete == ("result" in interaction["response"]["body"]["string"])
