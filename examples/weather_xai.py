"""An application that asks a model of xAI for several tool calls at once, over gRPC. It has no code for tests."""

from collections.abc import Iterable

import xai_sdk
from google.protobuf.json_format import MessageToDict, ParseDict
from xai_sdk.chat import system, user
from xai_sdk.proto import chat_pb2

from multitrack import Extraction, Toolset, decode
from tools import GoogleSearch, Weather

client = xai_sdk.Client()
toolset = Toolset[Weather | GoogleSearch](Iterable[Weather | GoogleSearch])


def ask(question: str):
    """Return a chat that offers the tools."""
    return client.chat.create(
        model="grok-4",
        messages=[system("You must always use tools"), user(question)],
        tools=[ParseDict(tool, chat_pb2.Tool()) for tool in toolset.schemas("xai")],
    )


def plan(question: str) -> Extraction[Weather | GoogleSearch]:
    """Return the tool calls that answer ``question``."""
    response = ask(question).sample()
    return toolset.parse(decode(MessageToDict(response.proto)))


def main() -> None:
    for call in plan("What is the weather in toronto and dallas and who won the super bowl?"):
        print(call)


if __name__ == "__main__":
    main()
