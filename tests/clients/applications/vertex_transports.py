"""Calls Vertex AI in every way over each transport, on tapes: `vertex_transports.py MODE TRANSPORT=TAPE...`."""

import json
import sys
from collections.abc import Iterable
from typing import Literal

import vertexai
from google import genai
from google.api_core.exceptions import TooManyRequests
from pydantic import BaseModel
from vertexai.generative_models import GenerationConfig, GenerativeModel

import multitrack
from multitrack import errors, use_cassette

MODEL = "gemini-1.5-pro"
PLACE = {"project": "acme-prod-7", "location": "us-central1"}


class Weather(BaseModel):
    location: str
    units: Literal["imperial", "metric"]


class Search(BaseModel):
    query: str


def by_vertexai(transport):
    vertexai.init(**PLACE, api_transport=transport)
    client = multitrack.from_vertexai(GenerativeModel(MODEL))

    def create(prompt, **options):
        message = {"role": "user", "content": prompt}
        return client.create(messages=[message], response_model=Iterable[Weather | Search], **options)

    def whole():
        return [repr(one) for one in create("Plan the trip")]

    def streamed():
        return [repr(one) for one in create("Plan the trip", stream=True)]

    def exhausted():
        try:
            create("Too much")
        except TooManyRequests as error:
            [detail] = error.details
            violation = detail["violations"][0] if isinstance(detail, dict) else detail.violations[0]
            subject = violation["subject"] if isinstance(violation, dict) else violation.subject
            return [type(error).__name__, error.message, subject]

    def exhausted_stream():
        try:
            return [repr(one) for one in create("Too much", stream=True)]
        except TooManyRequests as error:
            return [type(error).__name__, error.message]

    def text():
        config = GenerationConfig(temperature=0.5, max_output_tokens=77)
        answer = GenerativeModel(MODEL).generate_content("Tell a tale", generation_config=config)
        return [answer.text, answer.candidates[0].finish_reason.name]

    def text_of_a_stream():
        return [part.text for part in GenerativeModel(MODEL).generate_content("Tell a tale", stream=True)]

    return [whole, streamed, exhausted, exhausted_stream, text, text_of_a_stream]


def by_genai():
    client = genai.Client(vertexai=True, **PLACE)
    extracting = multitrack.from_genai(client)

    def create(prompt, **options):
        message = {"role": "user", "content": prompt}
        return extracting.create(model=MODEL, messages=[message], response_model=Iterable[Weather | Search], **options)

    def whole():
        return [repr(one) for one in create("Plan the trip")]

    def streamed():
        return [repr(one) for one in create("Plan the trip", stream=True)]

    def exhausted():
        try:
            create("Too much")
        except genai.errors.ClientError as error:
            [detail] = error.details["error"]["details"]
            return [type(error).__name__, error.message, detail["violations"][0]["subject"]]

    def exhausted_stream():
        try:
            return [repr(one) for one in create("Too much", stream=True)]
        except genai.errors.ClientError as error:
            return [type(error).__name__, error.message]

    def text():
        config = genai.types.GenerateContentConfig(temperature=0.5, max_output_tokens=77)
        answer = client.models.generate_content(model=MODEL, contents="Tell a tale", config=config)
        return [answer.text, answer.candidates[0].finish_reason.name]

    def text_of_a_stream():
        return [part.text for part in client.models.generate_content_stream(model=MODEL, contents="Tell a tale")]

    return [whole, streamed, exhausted, exhausted_stream, text, text_of_a_stream]


def outcome(action):
    try:
        return action()
    except errors.CassetteMiss as miss:
        return f"missed: {miss}"


def main(mode, *runs):
    for run in runs:
        transport, tape = run.split("=")
        with use_cassette(tape, mode=mode, keep_errors=True):
            actions = by_genai() if transport == "genai" else by_vertexai(transport)
            yield {action.__name__: outcome(action) for action in actions}


sys.stdout.writelines(f"{json.dumps(found)}\n" for found in main(*sys.argv[1:]))
