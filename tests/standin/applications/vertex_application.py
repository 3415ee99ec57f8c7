"""An application that uses Vertex AI and has no code for the stand-in. Prints its results as JSON."""

import asyncio
import json
import os
import sys
import warnings

warnings.simplefilter("ignore")

import vertexai  # noqa: E402
from google.api_core.exceptions import GoogleAPICallError  # noqa: E402
from vertexai.generative_models import FunctionDeclaration, GenerativeModel, Tool  # noqa: E402

PROMPT = "What is the weather in toronto and dallas and who won the super bowl?"


def declaration(name, **properties):
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return FunctionDeclaration(name=name, description=name, parameters=schema)


TOOLS = [
    Tool(
        [
            declaration(
                "Weather", location={"type": "string"}, units={"type": "string", "enum": ["imperial", "metric"]}
            ),
            declaration("GoogleSearch", query={"type": "string"}),
        ]
    )
]


def calls(response):
    return [[call.name, dict(sorted(call.args.items()))] for call in response.candidates[0].function_calls]


def outcome(ask):
    try:
        return ask()
    except GoogleAPICallError as error:
        return [type(error).__name__, error.message.rpartition(": ")[2], len(error.details)]


async def asynchronous(model):
    parts = [part.text async for part in await model.generate_content_async("Tell a tale", stream=True)]
    return [calls(await model.generate_content_async(PROMPT, tools=TOOLS)), parts]


def main(transport):
    vertexai.init(project=os.environ["GOOGLE_CLOUD_PROJECT"], location="us-central1", api_transport=transport)
    model = GenerativeModel("gemini-1.5-pro-preview-0409")
    results = {
        "calls": calls(model.generate_content(PROMPT, tools=TOOLS)),
        "fallback": calls(model.generate_content("Something else", tools=TOOLS)),
        "stream": [part.text for part in model.generate_content("Tell a tale", stream=True)],
        "limited": outcome(lambda: model.generate_content("Too fast").text),
        "then": outcome(lambda: model.generate_content("Too fast").text),
        "closed": outcome(lambda: model.generate_content("Hang up").text) if transport == "grpc" else None,
        "asynchronous": asyncio.run(asynchronous(model)) if transport == "grpc" else None,
    }
    json.dump(results, sys.stdout)


main(sys.argv[1])
