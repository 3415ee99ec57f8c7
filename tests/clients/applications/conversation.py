"""An application that sends a Gemini model images and tool results, and asks it again."""

import os
import ssl
import sys
from collections.abc import Iterable

from pydantic import BaseModel

import multitrack


class Weather(BaseModel):
    location: str


def call(number, location):
    function = {"name": "Weather", "arguments": f'{{"location": "{location}"}}'}
    return {"id": f"call_{number}", "type": "function", "function": function}


MESSAGES = [
    {"role": "system", "content": "You must always use tools"},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "Where was this?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,+/8="}},
            {"type": "image_url", "image_url": {"url": "gs://bucket/cat.webp"}},
        ],
    },
    {"role": "assistant", "content": None, "tool_calls": [call(1, "Toronto"), call(2, "Dallas")]},
    {"role": "tool", "tool_call_id": "call_2", "content": "hot"},
    {"role": "tool", "tool_call_id": "call_1", "content": '{"degrees": 3}'},
    {"role": "user", "content": "Plan the trip"},
]


def vertexai_client(transport):
    import vertexai
    from vertexai.generative_models import GenerativeModel

    vertexai.init(project="my-project", location="us-central1", api_transport=transport)
    return multitrack.from_vertexai(GenerativeModel("gemini-1.5-pro"))


def genai_client(**options):
    import httpx
    from google import genai

    trusting = ssl.create_default_context(cafile=os.environ["STANDIN_AUTHORITY"])
    # with a transport given, the SDK uses httpx even if aiohttp is installed
    transport = httpx.HTTPTransport(proxy=os.environ["STANDIN_PROXY"], verify=trusting)
    client = genai.Client(**options, http_options=genai.types.HttpOptions(client_args={"transport": transport}))
    return multitrack.from_genai(client, model="gemini-2.0-flash")


CLIENTS = {
    "grpc": lambda: vertexai_client("grpc"),
    "rest": lambda: vertexai_client("rest"),
    "gemini": lambda: genai_client(api_key="key-0"),
    "vertex": lambda: genai_client(vertexai=True, project="my-project", location="us-central1"),
}

sys.stdout.write(f"{CLIENTS[sys.argv[1]]().create(messages=MESSAGES, response_model=Iterable[Weather])}\n")
