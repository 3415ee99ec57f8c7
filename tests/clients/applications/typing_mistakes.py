"""A type checker reports an error in each line marked as a mistake, and in no other line. Never run."""

from collections.abc import Iterable

# not `from google import genai`: types-protobuf has stubs for google as well, and pyright then only looks there
import google.genai as genai
import openai
from pydantic import BaseModel
from vertexai.generative_models import GenerativeModel

import multitrack
from multitrack import Extraction, Tape, Toolset


class Weather(BaseModel):
    location: str


class Search(BaseModel):
    query: str


create = multitrack.from_openai(openai.OpenAI()).chat.completions.create
create(model="m", messages=[], response_model=Iterable[Weather], on_error="collect", max_retries=1)
create(model="m", messages=[], response_model=Iterable[Weather], on_error="ignore")  # mistake
create(model="m", messages=[], response_model=Iterable[Weather], stream=True, on_error="ignore")  # mistake
create(model="m", messages=[], response_model=Iterable[Weather], max_retries="once")  # mistake
create(model="m", messages=[], response_model=int)  # mistake

completions = multitrack.from_openai(openai.OpenAI()).chat.completions
completions.create_with_completion(model="m", messages=[])  # mistake
completions.create_partial(model="m", messages=[])  # mistake

respond = multitrack.from_openai(openai.OpenAI()).responses.create
respond(model="m", input="x", response_model=Iterable[Weather], on_error="collect", max_retries=1)
respond(model="m", input="x", response_model=Iterable[Weather], on_error="ignore")  # mistake


async def ask() -> None:
    create = multitrack.from_openai(openai.AsyncOpenAI()).chat.completions.create
    await create(model="m", messages=[], response_model=Iterable[Weather], on_error="collect", max_retries=1)
    await create(model="m", messages=[], response_model=Iterable[Weather], on_error="ignore")  # mistake
    create(model="m", messages=[], response_model=Iterable[Weather])[0]  # mistake


vertex = multitrack.from_vertexai(GenerativeModel("gemini"))
vertex.create(messages=[], response_model=Iterable[Weather], on_error="collect", max_retries=1)
vertex.create(messages=[], response_model=Iterable[Weather], on_error="ignore")  # mistake
vertex.create(response_model=Iterable[Weather])  # mistake
vertex.on("parse:error", print)  # mistake

gemini = multitrack.from_genai(genai.Client(), model="gemini")
gemini.create(messages=[], response_model=Iterable[Weather], on_error="collect", max_retries=1)
gemini.create(messages=[], response_model=Iterable[Weather], on_error="ignore")  # mistake

multitrack.from_openai(genai.Client())  # mistake
multitrack.from_vertexai(openai.OpenAI())  # mistake
multitrack.patch(openai.OpenAI(), mode="PARALLEL_TOOLS")  # mistake

extraction: Extraction[Weather | Search] = Toolset(Iterable[Weather | Search]).parse([])
location: str = extraction[0].location  # mistake
extraction.append(Weather(location="Toronto"))  # mistake


def test_trip(tape: Tape) -> None:
    prompt: str = tape.sent[0].prompt  # mistake
    assert prompt
