"""The application of ``weather_openai`` with a patched client, the older way to add Multitrack."""

from collections.abc import Iterable

import openai

import multitrack
from multitrack import Extraction, Mode
from tools import GoogleSearch, Weather

client = multitrack.patch(openai.OpenAI(), mode=Mode.PARALLEL_TOOLS)


def plan(question: str) -> Extraction[Weather | GoogleSearch]:
    """Return the tool calls that answer ``question``."""
    return client.chat.completions.create(
        model="gpt-4o-mini",
        messages=[
            {"role": "system", "content": "You must always use tools"},
            {"role": "user", "content": question},
        ],
        response_model=Iterable[Weather | GoogleSearch],
    )
