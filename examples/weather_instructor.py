"""An application written for instructor's parallel mode. Only the import was changed."""

from collections.abc import Iterable
from typing import Literal

import openai
from pydantic import BaseModel

import multitrack as instructor


class Weather(BaseModel):
    location: str
    units: Literal["imperial", "metric"]


class GoogleSearch(BaseModel):
    query: str


client = instructor.from_openai(openai.OpenAI(), mode=instructor.Mode.PARALLEL_TOOLS)


def ask() -> list[str]:
    function_calls = client.chat.completions.create(
        model="gpt-4o-mini",
        messages=[
            {"role": "system", "content": "You must always use tools"},
            {"role": "user", "content": "What is the weather in toronto and dallas and who won the super bowl?"},
        ],
        response_model=Iterable[Weather | GoogleSearch],
    )
    return [str(fc) for fc in function_calls]
