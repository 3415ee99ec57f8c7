"""Read recorded responses from a file, so that the stand-in can send them.

The file has one JSON object per line, with these keys: ``method``, ``uri``, ``request_body`` (parsed JSON, null for
none), ``status``, ``response_headers`` and ``response_body`` (decoded text). Other keys are ignored. A request gets
the first unused response that has the same method, the same path and an equal body. For a gRPC call, the path is the
full method name and the body is the message as protobuf JSON.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from multitrack.standin.script import ScriptError

_KEYS = ("method", "uri", "status", "request_body", "response_headers", "response_body")


@dataclass(frozen=True, slots=True)
class RecordedResponse:
    """A recorded response, from one line of the file."""

    method: str
    uri: str
    request_body: Any
    status: int
    headers: Mapping[str, str]
    body: str

    @property
    def host(self) -> str:
        """The host that sent the response."""
        return urlsplit(self.uri).hostname or ""


class RecordedResponses:
    """The recorded responses in a file. Each response is used once. Thread-safe."""

    def __init__(self, responses: list[RecordedResponse]) -> None:
        self._unused: dict[tuple[str, str], list[RecordedResponse]] = defaultdict(list)
        for response in responses:
            self._unused[response.method, urlsplit(response.uri).path].append(response)
        self._lock = Lock()
        self.hosts = frozenset(response.host for response in responses)

    def pop(self, method: str, path: str, body: Any) -> RecordedResponse | None:
        """Remove and return the first response to an equal request. Return None if there is none."""
        with self._lock:
            candidates = self._unused.get((method, path), [])
            for position, response in enumerate(candidates):
                if response.request_body == body:
                    return candidates.pop(position)
        return None


def read_recorded_responses(path: Path) -> RecordedResponses:
    """Return the responses in the file at ``path``.

    Raises:
        ScriptError: The file cannot be read or has a mistake. The message contains the number of the line.
    """
    try:
        lines = path.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ScriptError(f"{path}: cannot read the recorded responses: {error}") from error
    return RecordedResponses(
        [_parse_line(line, f"{path}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]
    )


def _parse_line(line: str, location: str) -> RecordedResponse:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise ScriptError(f"{location}: not valid JSON: {error}") from error
    missing = [key for key in _KEYS if not isinstance(record, dict) or key not in record]
    if missing:
        raise ScriptError(f"{location}: missing {', '.join(missing)}; each line requires {', '.join(_KEYS)}")
    return RecordedResponse(
        method=record["method"],
        uri=record["uri"],
        request_body=record["request_body"],
        status=record["status"],
        headers=record["response_headers"],
        body=record["response_body"],
    )
