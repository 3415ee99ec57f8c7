"""A client and a server of the MCP SDK replay their session."""

import asyncio
import socket
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from documentation_page import ExampleProject, read_blocks

from multitrack.tape.active import activate
from multitrack.tape.tape import Tape

mcp = pytest.importorskip("mcp", reason="mcp is not installed; nox --session mcp tests it")
streamable_http = pytest.importorskip("mcp.client.streamable_http")

pytestmark = pytest.mark.slow


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cassette.yaml"


BLOCKS = {block.title: block for block in read_blocks("docs/frameworks.md", "MCP over HTTP")}


@pytest.fixture
def mcp_server(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    script = tmp_path / "server.py"
    script.write_text(BLOCKS["server.py"].text.replace("8000", str(port)))
    process = subprocess.Popen([sys.executable, script], stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/mcp", process
    finally:
        process.kill()
        process.wait()


def test_the_client_of_the_sdk_replays_its_session(path, mcp_server):
    url, process = mcp_server

    async def main():
        async with (
            streamable_http.streamable_http_client(url) as streams,
            mcp.ClientSession(streams[0], streams[1]) as session,
        ):
            await session.initialize()
            await session.list_tools()
            return (await session.call_tool("add", {"a": 1, "b": 2})).content[0].text

    with activate(Tape(path, mode="record", test="t.py::test")) as tape:
        assert asyncio.run(main()) == "3"
    assert tape.save().state == "written"
    sent = [(request.method, request.json) for request in tape.sent if request.method == "POST"]
    methods = [request.method for request in tape.sent]
    process.kill()
    with activate(Tape(path)) as tape:
        assert asyncio.run(main()) == "3"
    assert [(request.method, request.json) for request in tape.sent if request.method == "POST"] == sent
    assert [request.method for request in tape.sent] == methods
    assert len(methods) == 6
    assert tape.unplayed == []
    assert "left early" not in path.read_text().replace("GET " + url + " · 200 · left early", "")


def test_the_example_of_the_documentation_is_recorded_and_replayed(tmp_path, mcp_server):
    url, process = mcp_server
    project = ExampleProject(tmp_path)
    test = BLOCKS["test_mcp.py"]
    project.write(replace(test, text=test.text.replace("http://127.0.0.1:8000/mcp", url)))
    [record, play] = BLOCKS[""].commands  # of the last block without a title
    project.check(*record)
    process.kill()
    project.check(*play)
