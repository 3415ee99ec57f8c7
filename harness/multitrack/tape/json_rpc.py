"""Find out whether an event stream has answered all JSON-RPC calls in a request.

MCP's streamable HTTP transport uses such streams:
https://modelcontextprotocol.io/specification/2025-06-18/basic/transports#sending-messages-to-the-server.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_EVENT_END = re.compile(rb"(?:\r\n\r\n|\n\n|\r\r)\Z")
_DATA = re.compile(rb"^data:(.*)$", re.MULTILINE)


def is_answered(request: bytes, events: bytes) -> bool:
    """Return whether the event stream ``events`` answers all calls in ``request``.

    If it does, the client closes the stream without waiting for its end.
    """
    calls = {_make_key(message["id"]) for message in _read_messages(request) if "method" in message and "id" in message}
    if not calls or not _EVENT_END.search(events):
        return False
    results = (message for data in _DATA.findall(events.replace(b"\r", b"\n")) for message in _read_messages(data))
    return calls <= {_make_key(result.get("id")) for result in results if "result" in result or "error" in result}


def _read_messages(text: bytes) -> Iterator[dict[str, Any]]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return
    for message in document if isinstance(document, list) else [document]:
        if isinstance(message, dict) and "jsonrpc" in message:
            yield message


def _make_key(identifier: object) -> str:
    return repr(identifier)
