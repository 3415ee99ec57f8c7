"""An application that asks Gemini on Vertex AI for several tool calls at once. It has no code for tests."""

from collections.abc import Iterable

import vertexai
from vertexai.generative_models import GenerativeModel

import multitrack
from multitrack import Extraction, Mode
from tools import GoogleSearch, Weather


def plan(question: str, **settings: str) -> Extraction[Weather | GoogleSearch]:
    """Return the tool calls that answer ``question``. ``settings`` are passed to ``vertexai.init``."""
    vertexai.init(**settings)
    client = multitrack.from_vertexai(GenerativeModel("gemini-1.5-pro-preview-0409"), mode=Mode.VERTEXAI_PARALLEL_TOOLS)
    return client.create(
        messages=[{"role": "user", "content": question}],
        response_model=Iterable[Weather | GoogleSearch],
    )
