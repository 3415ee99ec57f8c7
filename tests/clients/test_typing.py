"""What a type checker says of user code, at its default settings."""

import subprocess
import sys

import pytest

CODE = """
from collections.abc import Iterable
from typing import Literal

import openai
from pydantic import BaseModel
from vertexai.generative_models import GenerativeModel

import multitrack
from multitrack import Mode, Toolset, decode


class Weather(BaseModel):
    location: str


class GoogleSearch(BaseModel):
    query: str


client = multitrack.from_openai(openai.OpenAI(), mode=Mode.PARALLEL_TOOLS)
patched = multitrack.patch(openai.OpenAI())
later = multitrack.from_openai(openai.AsyncOpenAI())

one = client.chat.completions.create(model="m", messages=[], response_model=Iterable[Weather])
two = client.chat.completions.create(
    model="m", messages=[], response_model=Iterable[Weather | GoogleSearch], on_error="collect"
)
plain = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}])
stream = client.chat.completions.create(model="m", messages=[], stream=True)
old = patched.chat.completions.create(model="m", messages=[], response_model=Iterable[Weather | GoogleSearch])
other = client.responses.create(model="m", input="x", response_model=Iterable[Weather])
asked = client.responses.create(model="m", input="x")
reveal_type(one)
reveal_type(two)
reveal_type(plain)
reveal_type(stream)
reveal_type(old)
reveal_type(other)
reveal_type(asked)
reveal_type(two[0])
reveal_type(client.models.list().data)


async def ask() -> None:
    reveal_type(await later.chat.completions.create(model="m", messages=[], response_model=Iterable[Weather]))
    reveal_type(await later.chat.completions.create(model="m", messages=[]))


vertex = multitrack.from_vertexai(GenerativeModel("gemini"), mode=Mode.VERTEXAI_PARALLEL_TOOLS)
reveal_type(vertex.create(messages=[{"role": "user", "content": "x"}], response_model=Iterable[Weather]))
reveal_type(vertex.create(messages=[]))

reveal_type(Toolset(Iterable[Weather | GoogleSearch]).parse(decode(b"")))
for call in two:
    if isinstance(call, Weather):
        print(call.location)
    else:
        print(call.query)
"""

BOTH = "multitrack.extraction.extraction.Extraction[__main__.Weather | __main__.GoogleSearch]"
ONE = "multitrack.extraction.extraction.Extraction[__main__.Weather]"


def test_mypy(pytestconfig, tmp_path):
    pytest.importorskip("mypy")
    cache = pytestconfig.cache.mkdir("mypy") if hasattr(pytestconfig, "cache") else tmp_path / "cache"
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file=", "--cache-dir", str(cache), "-c", CODE],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    notes = [line.split('Revealed type is "')[1].rstrip('"') for line in done.stdout.splitlines() if "Revealed" in line]
    assert [note.replace("openai._streaming.", "openai.") for note in notes] == [
        ONE,
        BOTH,
        "openai.types.chat.chat_completion.ChatCompletion",
        "openai.Stream[openai.types.chat.chat_completion_chunk.ChatCompletionChunk]",
        BOTH,
        ONE,
        "openai.types.responses.response.Response",
        "__main__.Weather | __main__.GoogleSearch",
        "list[openai.types.model.Model]",
        ONE,
        "openai.types.chat.chat_completion.ChatCompletion",
        ONE,
        "vertexai.generative_models._generative_models.GenerationResponse",
        BOTH,
    ], done.stdout
    assert "error" not in done.stdout
    assert done.returncode == 0
