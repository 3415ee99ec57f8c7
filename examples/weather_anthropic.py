"""An application that asks Anthropic for several tool calls at once. It has no code for tests."""

from collections.abc import Iterable

import anthropic

import multitrack
from multitrack import Extraction, Mode
from tools import GoogleSearch, Weather

client = multitrack.from_anthropic(anthropic.Anthropic(), mode=Mode.ANTHROPIC_PARALLEL_TOOLS)


def plan(question: str) -> Extraction[Weather | GoogleSearch]:
    """Return the tool calls that answer ``question``."""
    return client.messages.create(
        model="claude-sonnet-5",
        max_tokens=1024,
        system="You must always use tools",
        messages=[{"role": "user", "content": question}],
        response_model=Iterable[Weather | GoogleSearch],
    )


def main() -> None:
    for call in plan("What is the weather in toronto and dallas and who won the super bowl?"):
        print(call)


if __name__ == "__main__":
    main()
