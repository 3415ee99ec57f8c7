"""Format a recorded request as text: the model, the tools and the messages, for ``multitrack show --request``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from multitrack.printable import escape_line
from multitrack.tape.exchange import Request
from multitrack.wires import registry


def describe_request(request: Request) -> Iterator[str]:
    """Yield the lines of ``request``. A body that is not a request to a model is shown unchanged."""
    body = _parse(request.body)
    wire_format = registry.recognize_request(body, request.url) if isinstance(body, Mapping) else None
    messages = [] if wire_format is None else list(wire_format.read_messages(body))
    if wire_format is None or not messages:
        text = request.body.decode("utf-8", "replace") if isinstance(body, bytes) else _dump(body)
        yield from _indent("request", text if request.body else "no body")
        return
    summary = wire_format.read_request(body)
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


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _indent(name: str, text: str) -> Iterator[str]:
    first, *rest = text.splitlines() or [""]
    yield f"  {name}: {escape_line(first)}"
    yield from (f"    {escape_line(line)}" for line in rest)
