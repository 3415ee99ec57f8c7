"""Parse requests to Anthropic's Messages API, and reject requests that Anthropic would reject.

https://platform.claude.com/docs/en/api/messages
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import pairwise
from typing import Any

from multitrack.standin.anthropic.api_errors import RejectedRequestError
from multitrack.standin.model_request import ModelRequest, count_turns
from multitrack.wires.tool import OfferedTool

Block = Mapping[str, Any]

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_CHOICES = ("auto", "any", "tool", "none")


def parse_request(body: Any, model: str | None) -> ModelRequest:
    """Convert the parsed JSON ``body`` to a request.

    Args:
        body: The body of the request.
        model: The model in the URL (Amazon Bedrock and Vertex AI). None if the model is in the body.

    Raises:
        RejectedRequestError: If Anthropic would reject the request.
    """
    if not isinstance(body, Mapping):
        raise RejectedRequestError("The request body is not valid JSON")
    for field in ("max_tokens", *(() if model is not None else ("model",))):
        if body.get(field) is None:
            raise RejectedRequestError(f"{field}: Field required")
    messages = _read_messages(body)
    tools = tuple(_read_tools(body))
    conversation = [_read_blocks(message.get("content")) for message in messages]
    _check_calls_and_results(messages, conversation)
    if has_thinking(body):
        _check_signatures(messages, conversation)
    roles = [message.get("role") for message in messages]
    turns = zip(roles, map(_join_text, conversation), strict=True)
    prompts = [text for role, text in turns if role == "user" and text]
    return ModelRequest(
        model=model if model is not None else str(body["model"]),
        prompt=prompts[-1] if prompts else "",
        texts=tuple(map(_join_all_text, [_read_blocks(body.get("system")), *conversation])),
        tools=tools,
        callable_tools=_select_callable_tools(tools, body),
        after_results=bool(conversation[-1]) and conversation[-1][-1].get("type") == "tool_result",
        turn=count_turns(role == "assistant" for role in roles),
    )


def has_thinking(body: Mapping[str, Any]) -> bool:
    """Return whether the request asks the model to think."""
    thinking = body.get("thinking")
    return isinstance(thinking, Mapping) and thinking.get("type") in ("enabled", "adaptive")


def sign_thinking(text: str) -> str:
    """Return the signature of a thought.

    Like Anthropic, the stand-in rejects a later request that contains the thought without its signature.
    """
    return base64.b64encode(sha256(f"signature of {text}".encode()).digest()).decode()


def _read_messages(body: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    messages = body.get("messages")
    if not isinstance(messages, Sequence) or not all(isinstance(message, Mapping) for message in messages):
        raise RejectedRequestError("messages: Field required")
    if not messages:
        raise RejectedRequestError("messages: at least one message is required")
    for number, message in enumerate(messages):
        if message.get("role") not in ("user", "assistant"):
            raise RejectedRequestError(
                f'messages.{number}.role: Unexpected role "{message.get("role")}". '
                f'Allowed roles are "user" or "assistant".'
            )
        blocks = _read_blocks(message.get("content"))
        if not blocks or any(block.get("type") == "text" and not str(block.get("text")).strip() for block in blocks):
            raise RejectedRequestError("messages: text content blocks must be non-empty")
    return messages


def _read_blocks(content: Any) -> Sequence[Block]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return [block for block in content or () if isinstance(block, Mapping)]


def _join_text(blocks: Sequence[Block]) -> str:
    return "".join(str(block.get("text", "")) for block in blocks if block.get("type") == "text")


def _join_all_text(blocks: Sequence[Block]) -> str:
    """Return the text of the blocks, including the text of tool results."""
    results = (_read_blocks(block.get("content")) for block in blocks if block.get("type") == "tool_result")
    return "".join([_join_text(blocks), *map(_join_text, results)])


def _read_tools(body: Mapping[str, Any]) -> Iterator[OfferedTool]:
    names: set[str] = set()
    for number, tool in enumerate(body.get("tools") or ()):
        if not isinstance(tool, Mapping) or tool.get("type") not in (None, "custom"):
            continue
        location = f"tools.{number}.custom"
        name, schema = tool.get("name"), tool.get("input_schema")
        if not isinstance(name, str) or not isinstance(schema, Mapping):
            missing = "name" if not isinstance(name, str) else "input_schema"
            raise RejectedRequestError(f"{location}.{missing}: Field required")
        if not _NAME.fullmatch(name):
            raise RejectedRequestError(f"{location}.name: String should match pattern '^{_NAME.pattern}$'")
        if name in names:
            raise RejectedRequestError("tools: Tool names must be unique.")
        names.add(name)
        if schema.get("type") != "object":
            raise RejectedRequestError(f"{location}.input_schema.type: Input should be 'object'")
        if tool.get("strict") and (problem := next(_find_strict_problems(schema), None)):
            raise RejectedRequestError(f"{location}: {problem}")
        yield OfferedTool(name, schema)
    choice = body.get("tool_choice")
    if choice is not None and not names and not body.get("tools"):
        raise RejectedRequestError("tool_choice: tool_choice may only be specified while providing tools.")
    if choice is not None and (not isinstance(choice, Mapping) or choice.get("type") not in _CHOICES):
        raise RejectedRequestError("tool_choice: Input should be a valid dictionary with the type auto, any or tool")


def _find_strict_problems(schema: Any) -> Iterator[str]:
    """Yield a message for each part of ``schema`` that is invalid in a strict tool."""
    if isinstance(schema, list):
        for item in schema:
            yield from _find_strict_problems(item)
    if not isinstance(schema, Mapping):
        return
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        yield "For 'object' type, 'additionalProperties' must be explicitly set to false"
    for keyword in ("minimum", "maximum", "multipleOf", "minLength", "maxLength", "maxItems", "oneOf", "prefixItems"):
        if keyword in schema:
            yield f"For '{schema.get('type')}' type, property '{keyword}' is not supported"
    for keyword in ("properties", "$defs"):
        for inner in (schema.get(keyword) or {}).values():
            yield from _find_strict_problems(inner)
    for keyword in ("items", "anyOf", "allOf"):
        yield from _find_strict_problems(schema.get(keyword))


def _select_callable_tools(tools: tuple[OfferedTool, ...], body: Mapping[str, Any]) -> tuple[OfferedTool, ...]:
    choice = body.get("tool_choice") or {}
    if choice.get("type") == "none":
        return ()
    if choice.get("type") == "tool":
        return tuple(tool for tool in tools if tool.name == choice.get("name"))
    return tools[:1] if choice.get("disable_parallel_tool_use") else tools


def _check_calls_and_results(messages: Sequence[Mapping[str, Any]], conversation: Sequence[Sequence[Block]]) -> None:
    for number, (previous, blocks) in enumerate(pairwise([(), *conversation, ()])):
        calls = [str(block.get("id")) for block in previous if block.get("type") == "tool_use"]
        results = [str(block.get("tool_use_id")) for block in blocks if block.get("type") == "tool_result"]
        if missing := [call for call in calls if call not in results]:
            raise RejectedRequestError(
                f"messages.{number - 1}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                f"{', '.join(missing)}. Each `tool_use` block must have a corresponding `tool_result` block in the "
                f"next message."
            )
        for position, result in enumerate(results):
            if result not in calls:
                raise RejectedRequestError(
                    f"messages.{number}.content.{position}: unexpected `tool_use_id` found in `tool_result` blocks: "
                    f"{result}. Each `tool_result` block must have a corresponding `tool_use` block in the previous "
                    f"message."
                )
        if len(set(calls)) < len(calls):
            raise RejectedRequestError(f"messages.{number - 1}: `tool_use` ids must be unique")
        if number < len(messages) and results and blocks[0].get("type") != "tool_result":
            raise RejectedRequestError(f"messages.{number}: `tool_result` blocks must come first in the content")


def _check_signatures(messages: Sequence[Mapping[str, Any]], conversation: Sequence[Sequence[Block]]) -> None:
    for number, (message, blocks) in enumerate(zip(messages, conversation, strict=True)):
        for position, block in enumerate(blocks):
            if block.get("type") == "thinking" and block.get("signature") != sign_thinking(str(block.get("thinking"))):
                raise RejectedRequestError(
                    f"messages.{number}.content.{position}: Invalid `signature` in `thinking` block"
                )
        has_calls = any(block.get("type") == "tool_use" for block in blocks)
        if message.get("role") == "assistant" and has_calls:
            kind = blocks[0].get("type")
            if kind not in ("thinking", "redacted_thinking"):
                raise RejectedRequestError(
                    f"messages.{number}.content.0.type: Expected `thinking` or `redacted_thinking`, but found "
                    f"`{kind}`. When `thinking` is enabled, a final `assistant` message must start with a thinking "
                    f"block."
                )
