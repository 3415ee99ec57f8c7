"""Read the text and the tools in a request to the Converse API. Reject the request if Bedrock would reject it.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import pairwise
from typing import Any

from multitrack.standin.model_request import ModelRequest, count_turns
from multitrack.wires.tool import OfferedTool

Block = Mapping[str, Any]


class RejectedConverseError(ValueError):
    """A request that Bedrock would reject with status 400. The message is Bedrock's."""


def parse_request(body: Any, model: str) -> ModelRequest:
    """Read a request from its parsed JSON body.

    Raises:
        RejectedConverseError: If Bedrock would reject the request.
    """
    if not isinstance(body, Mapping):
        raise RejectedConverseError("The request body is not valid JSON")
    messages = body.get("messages")
    if not isinstance(messages, Sequence) or not messages or messages[0].get("role") != "user":
        raise RejectedConverseError("A conversation must start with a user message. Try again with a conversation that "
                                    "starts with a user message.")  # fmt: skip
    conversation = [_read_blocks(message.get("content")) for message in messages]
    for number, blocks in enumerate(conversation):
        if not blocks:
            raise RejectedConverseError(f"The content field in the Message object at messages.{number} is empty. Add a "
                                        f"ContentBlock object to the content field and try again.")  # fmt: skip
        if any("text" in block and not str(block["text"]).strip() for block in blocks):
            raise RejectedConverseError(f"The text field in the ContentBlock object at messages.{number} is blank.")
    _check_calls_and_results(conversation)
    if has_reasoning(body):
        _check_signatures(conversation)
    tools = tuple(_read_tools(body))
    roles = [message.get("role") for message in messages]
    turns = zip(roles, map(_join_text, conversation), strict=True)
    prompts = [text for role, text in turns if role == "user" and text]
    return ModelRequest(
        model=model,
        prompt=prompts[-1] if prompts else "",
        texts=tuple(map(_join_all_text, [_read_blocks(body.get("system")), *conversation])),
        tools=tools,
        callable_tools=_select_callable_tools(tools, body),
        after_results="toolResult" in conversation[-1][-1],
        turn=count_turns(role == "assistant" for role in roles),
    )


def has_reasoning(body: Mapping[str, Any]) -> bool:
    """Return whether the request asks the model to reason. The field's name depends on the family of models."""
    fields = body.get("additionalModelRequestFields") or {}
    settings = [fields.get(name) for name in ("thinking", "reasoning_config", "reasoningConfig")]
    return any(isinstance(one, Mapping) and one.get("type") in ("enabled", "adaptive") for one in settings)


def sign_reasoning(text: str) -> str:
    """Return a signature for a thought. Bedrock rejects later requests that contain the unsigned thought."""
    return base64.b64encode(sha256(f"signature of {text}".encode()).digest()).decode()


def _read_blocks(content: Any) -> Sequence[Block]:
    return [block for block in content or () if isinstance(block, Mapping)]


def _join_text(blocks: Sequence[Block]) -> str:
    return "".join(str(block["text"]) for block in blocks if "text" in block)


def _join_all_text(blocks: Sequence[Block]) -> str:
    """Return the text of the blocks, including the text of tool results."""
    results = (_read_blocks(block["toolResult"].get("content")) for block in blocks if "toolResult" in block)
    return "".join([_join_text(blocks), *map(_join_text, results)])


def _read_tools(body: Mapping[str, Any]) -> Iterator[OfferedTool]:
    names: set[str] = set()
    for tool in (body.get("toolConfig") or {}).get("tools", ()):
        if (specification := tool.get("toolSpec")) is None:
            continue
        name, schema = specification["name"], specification["inputSchema"]["json"]
        if name in names:
            raise RejectedConverseError(f"The toolConfig field contains the tool name {name} more than once.")
        names.add(name)
        if schema.get("type") != "object":
            raise RejectedConverseError(
                f"The value at toolConfig.tools.{len(names) - 1}.toolSpec.inputSchema.json.type must be one of the "
                f"following: object."
            )
        yield OfferedTool(name, schema)


def _select_callable_tools(tools: tuple[OfferedTool, ...], body: Mapping[str, Any]) -> tuple[OfferedTool, ...]:
    choice = (body.get("toolConfig") or {}).get("toolChoice") or {}
    if "tool" in choice:
        return tuple(tool for tool in tools if tool.name == choice["tool"].get("name"))
    return tools


def _check_signatures(conversation: Sequence[Sequence[Block]]) -> None:
    for number, blocks in enumerate(conversation):
        for position, block in enumerate(blocks):
            thought = (block.get("reasoningContent") or {}).get("reasoningText")
            if thought and thought.get("signature") != sign_reasoning(str(thought.get("text"))):
                raise RejectedConverseError(
                    f"messages.{number}.content.{position}: Invalid `signature` in `thinking` block"
                )


def _check_calls_and_results(conversation: Sequence[Sequence[Block]]) -> None:
    for number, (previous, blocks) in enumerate(pairwise([(), *conversation, ()])):
        calls = [str(block["toolUse"].get("toolUseId")) for block in previous if "toolUse" in block]
        results = [str(block["toolResult"].get("toolUseId")) for block in blocks if "toolResult" in block]
        if missing := [call for call in calls if call not in results]:
            raise RejectedConverseError(
                f"Expected toolResult blocks at messages.{number}.content for the following Ids: {', '.join(missing)}"
            )
        if len(results) > len(calls):
            raise RejectedConverseError(
                f"The number of toolResult blocks at messages.{number}.content exceeds the number of toolUse blocks of "
                f"previous turn."
            )
