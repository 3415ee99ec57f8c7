"""An application that asks a model of Amazon Bedrock for several tool calls at once. It has no code for tests."""

from collections.abc import Iterable

import boto3

import multitrack
from multitrack import Extraction, Mode
from tools import GoogleSearch, Weather

client = multitrack.from_bedrock(boto3.client("bedrock-runtime"), mode=Mode.BEDROCK_PARALLEL_TOOLS)


def plan(question: str) -> Extraction[Weather | GoogleSearch]:
    """Return the tool calls that answer ``question``."""
    return client.create(
        modelId="us.amazon.nova-pro-v1:0",
        system=[{"text": "You must always use tools"}],
        messages=[{"role": "user", "content": [{"text": question}]}],
        response_model=Iterable[Weather | GoogleSearch],
    )


def main() -> None:
    for call in plan("What is the weather in toronto and dallas and who won the super bowl?"):
        print(call)


if __name__ == "__main__":
    main()
