"""An application that extracts models through Vertex AI, over the transport given on the command line."""

import asyncio
import sys
from collections.abc import Iterable
from typing import Literal

import vertexai
from pydantic import BaseModel
from vertexai.generative_models import GenerativeModel

import multitrack as instructor


class Weather(BaseModel):
    location: str
    units: Literal["imperial", "metric"]
    days: int


class GoogleSearch(BaseModel):
    query: str


MESSAGES = [
    {"role": "system", "content": "You must always use tools"},
    {"role": "user", "content": "Plan the trip"},
]


def main(transport):
    vertexai.init(project="my-project", location="us-central1", api_transport=transport)
    client = instructor.from_vertexai(
        GenerativeModel("gemini-1.5-pro-preview-0409"), mode=instructor.Mode.VERTEXAI_PARALLEL_TOOLS
    )
    arguments = {"messages": MESSAGES, "response_model": Iterable[Weather | GoogleSearch]}
    extraction = client.create(**arguments)
    yield extraction.calls
    yield extraction
    if transport == "grpc":
        yield asyncio.run(client.create_async(**arguments))
    try:
        client.create([{"role": "user", "content": "Talk"}], Iterable[Weather])
    except instructor.errors.NoToolCalls as error:
        yield error.text


sys.stdout.writelines(f"{line}\n" for line in main(sys.argv[1]))
