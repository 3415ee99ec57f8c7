"""An application that asks a model of Ollama's cloud for several tool calls at once. It has no code for tests."""

from collections.abc import Iterable

import ollama

from multitrack import Extraction, Toolset, decode
from tools import GoogleSearch, Weather

client = ollama.Client("https://ollama.com")
toolset = Toolset[Weather | GoogleSearch](Iterable[Weather | GoogleSearch])


def plan(question: str) -> Extraction[Weather | GoogleSearch]:
    """Return the tool calls that answer ``question``."""
    response = client.chat(
        model="gpt-oss:120b",
        messages=[
            {"role": "system", "content": "You must always use tools"},
            {"role": "user", "content": question},
        ],
        tools=toolset.schemas("ollama"),
    )
    return toolset.parse(decode(response.model_dump()))


def main() -> None:
    for call in plan("What is the weather in toronto and dallas and who won the super bowl?"):
        print(call)


if __name__ == "__main__":
    main()
