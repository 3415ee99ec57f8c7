"""One process of the benchmark of shared cassettes: a run of pytest whose tests all record into one cassette.

Each test sends one request with the same client to a server in another process.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

import pytest

from benchmarks.measurement import CPU_TIME, format_results

LIVE, RECORDED = "live", "record"

_FIRST = 10
"""The number of tests that run before the measurement, because the first ones import modules."""
_TESTS = """
import os

import httpx
import pytest

CLIENT = httpx.Client()
TOOLS = [{"type": "function", "function": {"name": "Weather", "parameters": {"type": "object", "properties": {
    "location": {"type": "string"}, "units": {"enum": ["metric", "imperial"]}}}}}]


@pytest.mark.cassette(name="shared")
@pytest.mark.parametrize("number", range(int(os.environ["BENCHMARK_TESTS"])))
def test_weather(number):
    messages = [{"role": "system", "content": "Answer with tool calls. " * 20},
                {"role": "user", "content": f"What is the weather at place {number}?"}]
    body = {"model": "gpt-4o-mini", "messages": messages, "tools": TOOLS}
    response = CLIENT.post(os.environ["BENCHMARK_URL"], json=body)
    assert response.json()["choices"][0]["finish_reason"] == "tool_calls"
"""


def _serve() -> None:
    """Answer all requests on one connection."""
    call = {"name": "Weather", "arguments": '{"location": "Toronto", "units": "metric"}'}
    calls = [{"id": f"call_{number}", "type": "function", "function": call} for number in range(3)]
    choice = {
        "index": 0,
        "finish_reason": "tool_calls",
        "message": {"role": "assistant", "content": None, "tool_calls": calls},
    }
    body = json.dumps({"id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-4o-mini", "choices": [choice]})
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(server.getsockname()[1], flush=True)
        connection, _ = server.accept()
        with connection, connection.makefile("rb") as received:
            while True:
                lengths = [line for line in iter(received.readline, b"\r\n") if line.lower().startswith(b"content-len")]
                received.read(int(lengths[0].partition(b":")[2]))
                connection.sendall((head + body).encode())


class _Stopwatch:
    """A plugin that measures the CPU time of a run up to its summary, without its start and its first tests."""

    def __init__(self) -> None:
        self._finished = 0
        self._start = 0.0
        self.time = 0.0

    def pytest_runtest_logfinish(self) -> None:
        self._finished += 1
        if self._finished == _FIRST:
            self._start = process_time()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self) -> Iterator[None]:
        yield
        self.time = process_time() - self._start


def _run(step: str, tests: int) -> float:
    """Run ``tests`` tests. Return the CPU time for each, including its share of the end of the run."""
    server = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.shared_cassettes_process"], stdout=subprocess.PIPE, text=True
    )
    stopwatch, output = _Stopwatch(), StringIO()
    try:
        os.environ["BENCHMARK_URL"] = f"http://127.0.0.1:{next(_read_lines(server))}/v1/chat/completions"
        os.environ["BENCHMARK_TESTS"] = str(tests + _FIRST)
        # some other plugins import much at the end of a run
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        with TemporaryDirectory() as scratch, redirect_stdout(output):
            folder = Path(scratch)
            (folder / "pytest.ini").write_text("[pytest]\n")
            (folder / "test_weather.py").write_text(_TESTS)
            code = pytest.main(
                ["-q", "-p", "pytest_multitrack.plugin", f"--rootdir={folder}", f"--{step}", str(folder)],
                plugins=[stopwatch],
            )
    finally:
        server.kill()
        server.wait()
    if code:
        raise SystemExit(output.getvalue())
    return stopwatch.time / tests


def _read_lines(server: subprocess.Popen[str]) -> Iterator[str]:
    assert server.stdout is not None
    yield server.stdout.readline().strip()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shared_cassettes_process")
    parser.add_argument("--step", choices=(LIVE, RECORDED))
    parser.add_argument("--tests", type=int)
    options = parser.parse_args()
    if options.step is None:
        _serve()
        return
    figures = {options.step: [{CPU_TIME: _run(options.step, options.tests)}]}
    print(format_results({package: version(package) for package in ("multitrack", "pytest", "httpx")}, figures))


if __name__ == "__main__":
    main()
