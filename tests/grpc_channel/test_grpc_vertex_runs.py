"""Test runs with the asyncio clients of Vertex AI: recorded from the stand-in provider, replayed without a network."""

from __future__ import annotations

import os
import shutil
import subprocess
import textwrap

import pytest
import yaml
from nested_runs import FEWER_PLUGINS
from warm_python import find_warm_python

from multitrack.standin import Rule, ScriptedCall, StandIn

pytest.importorskip("vertexai")

RULES = [
    Rule(
        prompt="Plan the trip",
        calls=[
            ScriptedCall("Weather", {"location": "Toronto", "units": "metric"}),
            ScriptedCall("GoogleSearch", {"query": "super bowl"}),
        ],
    ),
    Rule(prompt="Tell a tale", text="Once upon a time there was a tape.", delta_size=8),
]

APPLICATION = """
    import os, warnings
    from typing import Literal

    warnings.simplefilter("ignore")
    import vertexai
    from pydantic import BaseModel
    from vertexai.generative_models import GenerativeModel

    import multitrack


    class Weather(BaseModel):
        location: str
        units: Literal["imperial", "metric"]


    class GoogleSearch(BaseModel):
        query: str


    vertexai.init(project=os.environ.get("GOOGLE_CLOUD_PROJECT"), location="us-central1", api_transport="grpc")
    model = GenerativeModel("gemini-1.5-pro-preview-0409")
    client = multitrack.from_vertexai(model, mode=multitrack.Mode.VERTEXAI_PARALLEL_TOOLS)
"""

TESTS = """
    import asyncio
    from collections.abc import Iterable

    import pytest
    from app import GenerativeModel, GoogleSearch, Weather, client, multitrack

    MESSAGES = [{"role": "user", "content": "Plan the trip"}]
    REQUEST = {"messages": MESSAGES, "response_model": Iterable[Weather | GoogleSearch]}
    PLAN = [Weather(location="Toronto", units="metric"), GoogleSearch(query="super bowl")]
    TALE = "Once upon a time there was a tape."

    pytestmark = pytest.mark.cassette


    @pytest.fixture
    def new_model():
        # a model keeps its asyncio client with the event loop of one test, which is closed in the next test
        return GenerativeModel("gemini-1.5-pro-preview-0409")


    def test_extraction():
        assert asyncio.run(client.create_async(**REQUEST)) == PLAN


    def test_extraction_on_the_next_loop():
        assert asyncio.run(client.create_async(**REQUEST)) == PLAN


    def test_extraction_of_a_stream(new_model):
        async def stream():
            extraction = await multitrack.from_vertexai(new_model).create_async(**REQUEST, stream=True)
            return [model async for model in extraction]

        assert asyncio.run(stream()) == PLAN


    def test_text_of_a_stream(tape, new_model):
        async def generate():
            return [part.text async for part in await new_model.generate_content_async("Tell a tale", stream=True)]

        parts = asyncio.run(generate())
        assert len(parts) > 2
        assert "".join(parts) == TALE
        assert tape.sent[0].url.startswith("grpc://us-central1-aiplatform.googleapis.com/")


    def test_concurrent_responses(new_model):
        async def generate():
            tasks = [new_model.generate_content_async("Tell a tale") for _ in range(3)]
            return [answer.text for answer in await asyncio.gather(*tasks)]

        assert asyncio.run(generate()) == [TALE] * 3


    def test_a_generated_client():
        from google.cloud import aiplatform_v1beta1

        async def generate():
            async with aiplatform_v1beta1.PredictionServiceAsyncClient() as service:
                contents = [{"role": "user", "parts": [{"text": "Tell a tale"}]}]
                answer = await service.generate_content({"model": "models/gemini", "contents": contents})
                return answer.candidates[0].content.parts[0].text

        assert asyncio.run(generate()) == TALE
"""


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "app.py").write_text(textwrap.dedent(APPLICATION), "utf-8")
    (folder / "test_app.py").write_text(textwrap.dedent(TESTS), "utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", "utf-8")
    return folder


def run(project, *arguments, before=(), **environment):
    return subprocess.run(
        [*before, *find_warm_python(), "-W", "ignore", "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=project,
        env={"PATH": os.environ["PATH"], "HOME": str(project), "NO_COLOR": "1", **FEWER_PLUGINS, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.slow
def test_a_recorded_run_is_replayed_without_a_network(project):
    with StandIn(RULES) as standin:
        for names in ("not on_the_next_loop", "on_the_next_loop"):
            recorded = run(project, "--record", "-k", names, **standin.environment)
            assert recorded.returncode == 0, recorded.stdout
    tape = yaml.safe_load((project / "cassettes/test_app/test_extraction.yaml").read_text("utf-8"))
    assert [interaction["request"]["uri"] for interaction in tape["interactions"]] == [
        "grpc://location-0-aiplatform.googleapis.com/google.cloud.aiplatform.v1.PredictionService/GenerateContent"
    ]
    assert tape["metadata"]["provenance"] == "standin"
    unshare = shutil.which("unshare")
    isolate = [unshare, "--map-root-user", "--net", "--"] if unshare else []
    if isolate and subprocess.run([*isolate, "true"], capture_output=True).returncode:
        isolate = []
    # -v undoes -q, with which a run that only replays prints no summary
    replayed = run(project, "-v", before=isolate)
    assert replayed.returncode == 0, replayed.stdout
    assert "multitrack: 6 tests used a cassette, 8 requests replayed" in replayed.stdout
