"""An application that asks OpenAI for several tool calls at once. It has no code for tests."""

from collections.abc import Iterable

import openai

import multitrack
from multitrack import Extraction, Mode
from tools import GoogleSearch, Weather

client = multitrack.from_openai(openai.OpenAI(), mode=Mode.PARALLEL_TOOLS)


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


def main() -> None:
    for call in plan("What is the weather in toronto and dallas and who won the super bowl?"):
        print(call)


if __name__ == "__main__":
    main()
