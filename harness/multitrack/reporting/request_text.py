"""A recorded request as text: the model, the tools and the messages, for ``multitrack show --request``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from multitrack import wires
from multitrack.tape.exchange import Request
from multitrack.tool_call import ToolCall


def describe_request(request: Request) -> Iterator[str]:
    """Yield the lines of ``request``. A body that is not a request to a model is shown as it is."""
    body = _parse(request.body)
    messages = list(_read_messages(body)) if isinstance(body, Mapping) else []
    if not messages:
        text = request.body.decode("utf-8", "replace") if isinstance(body, bytes) else _dump(body)
        yield from _indent("request", text if request.body else "no body")
        return
    summary = wires.read_request(request.body)
    yield from _indent("request model", summary.model or "in the URL")
    if summary.tools:
        yield from _indent("request tools", ", ".join(summary.tools))
    for role, text in messages:
        yield from _indent(f"request {role}", text)


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body


def _read_messages(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the role and the text of each message, in the formats of all providers."""
    for name in ("instructions", "system", "systemInstruction", "system_instruction"):
        if body.get(name):
            yield "system", _read_content(body[name])
    for name in ("messages", "input", "contents", "prompt"):
        found = body.get(name)
        if isinstance(found, str):
            yield "user", found
        elif isinstance(found, Sequence):
            yield from (_read_message(message) for message in found)


def _read_message(message: Any) -> tuple[str, str]:
    if not isinstance(message, Mapping):
        return "user", _read_content(message)
    if message.get("type") == "function_call":
        return "assistant", _read_content(message)
    if message.get("type") == "function_call_output":
        return "tool", _read_content(message.get("output"))
    content = message.get("content", message.get("parts"))
    calls = message.get("tool_calls")
    texts = [_read_content(content)] if content else []
    texts += [_read_content(call) for call in calls] if isinstance(calls, Sequence) else []
    return str(message.get("role", message.get("type", "user"))), "\n".join(texts)


def _read_content(content: Any) -> str:
    """Return the text of a message or of one of its parts."""
    match content:
        case str():
            return content
        case {"parts": parts}:
            return _read_content(parts)
        case list():
            return "\n".join(_read_content(part) for part in content)
        case {"text": str(text)}:
            return text
        case {"function": {"name": str(name), **rest}}:
            return _format_call(name, rest.get("arguments"))
        case {"functionCall": {"name": str(name), **rest}} | {"function_call": {"name": str(name), **rest}}:
            return _format_call(name, rest.get("args"))
        case {"functionResponse": {"response": response}} | {"function_response": {"response": response}}:
            return _dump(response)
        case {"type": "function_call", "name": str(name)}:
            return _format_call(name, content.get("arguments"))
        case {"type": "tool_use", "name": str(name)}:
            return _format_call(name, content.get("input"))
        case {"type": "tool_result"}:
            return _read_content(content.get("content"))
    return _dump(content)


def _format_call(name: str, arguments: Any) -> str:
    text = arguments if isinstance(arguments, str) else _dump(arguments)
    return str(ToolCall(id=None, name=name, arguments=text, index=0))


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _indent(name: str, text: str) -> Iterator[str]:
    first, *rest = text.splitlines() or [""]
    yield f"  {name}: {_escape(first)}"
    yield from (f"    {_escape(line)}" for line in rest)


def _escape(line: str) -> str:
    """Return ``line`` without control characters, which a terminal would obey."""
    return "".join(char if char.isprintable() or char == "\t" else repr(char)[1:-1] for char in line)
