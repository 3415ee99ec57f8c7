"""A drift run for Vertex AI over gRPC: single responses and streams, sync and asyncio."""

import os
import subprocess

import pytest
from nested_runs import FEWER_PLUGINS
from warm_python import find_warm_python

from multitrack.standin import Rule, ScriptedCall, StandIn

pytest.importorskip("vertexai")

TESTS = """
import asyncio, os, warnings

warnings.simplefilter("ignore")
import pytest
import vertexai
from vertexai.generative_models import FunctionDeclaration, GenerativeModel, Part, Tool

vertexai.init(project=os.environ.get("GOOGLE_CLOUD_PROJECT"), location="us-central1", api_transport="grpc")
NUMBER = {"type": "object", "properties": {"days": {"type": "number"}, "city": {"type": "string"}}}
TOOLS = [Tool([FunctionDeclaration(name=name, parameters=NUMBER) for name in ("Weather", "Trip")])]

pytestmark = pytest.mark.cassette

def test_whole():
    GenerativeModel("gemini-1.5-pro").generate_content("plan", tools=TOOLS)

def test_stream():
    list(GenerativeModel("gemini-1.5-pro").generate_content("plan", tools=TOOLS, stream=True))

def test_asyncio():
    async def plan():
        chat = GenerativeModel("gemini-1.5-pro").start_chat()
        answer = await chat.send_message_async("plan", tools=TOOLS)
        calls = answer.candidates[0].function_calls
        results = [Part.from_function_response(call.name, {"content": "fine"}) for call in calls]
        await chat.send_message_async(results, tools=TOOLS)

    asyncio.run(plan())
"""


def rules(plan, more):
    return [Rule(turn=0, calls=plan), Rule(turn=1, calls=more)]


def run(folder, standin, *arguments):
    return subprocess.run(
        [*find_warm_python(), "-W", "ignore", "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            **FEWER_PLUGINS,
            **standin.environment,
        },
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.slow
def test_live_calls_over_grpc_are_compared_with_the_recorded_ones(tmp_path):
    (tmp_path / "test_app.py").write_text(TESTS, "utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", "utf-8")
    weather, trip = ScriptedCall("Weather", {"days": 3, "city": "Toronto"}), ScriptedCall("Trip", {"city": "Dallas"})
    with StandIn(rules([weather, trip], [trip])) as standin:
        recorded = run(tmp_path, standin, "--record")
        assert recorded.returncode == 0, recorded.stdout
        before = {path: path.read_bytes() for path in tmp_path.rglob("*.yaml")}
        same = run(tmp_path, standin, "--calls-drift", "--calls-drift-fail")
        assert "multitrack: drift: 3 of 3 unchanged" in same.stdout.splitlines(), same.stdout
    with StandIn(rules([trip, ScriptedCall("Weather", {"days": 4, "city": "Toronto"})], [trip])) as standin:
        drifted = run(tmp_path, standin, "--calls-drift", "--calls-drift-fail", "-k", "not whole")
    lines = drifted.stdout.splitlines()
    start = next(number for number, line in enumerate(lines) if line.strip("= ") == "drift")
    assert [line for line in lines[start + 1 :] if line][:-1] == [
        "arguments changed, diverged at call 2  test_app.py::test_asyncio",
        "arguments changed                      test_app.py::test_stream",
        "test_app.py::test_asyncio, request 1: arguments changed",
        "  changed: Weather(city='Toronto', days=3)",
        "      days: was 3, now 4",
        "  1 call unchanged",
        "test_app.py::test_asyncio, request 2: diverged at call 2",
        "  an earlier response changed, and this request contains it",
        "test_app.py::test_asyncio: interaction 2 of the cassette was not requested",
        "  to accept: pytest --record test_app.py::test_asyncio",
        "test_app.py::test_stream, request 1: arguments changed",
        "  changed: Weather(city='Toronto', days=3)",
        "      days: was 3, now 4",
        "  1 call unchanged",
        "  to accept: pytest --record test_app.py::test_stream",
        "multitrack: drift: 0 of 2 unchanged; exit code 1 because of --calls-drift-fail",
    ]
    assert drifted.returncode == 1
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.yaml")} == before
