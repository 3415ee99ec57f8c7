"""Recorded answers, played over the stand-in's sockets.

The file has one JSON object on each line. Of each, these keys are read: ``method``, ``uri``, ``request_body``
(parsed JSON, null for none), ``status``, ``response_headers`` and ``response_body`` (decoded text). A request
is answered by the first unused line with its method, its path and an equal body; a gRPC call by that of its
full method name and its message as protobuf JSON.
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
class RecordedAnswer:
    """One line of an answers file."""

    method: str
    uri: str
    request_body: Any
    status: int
    headers: Mapping[str, str]
    body: str

    @property
    def host(self) -> str:
        """The host that gave the answer."""
        return urlsplit(self.uri).hostname or ""


class RecordedAnswers:
    """The answers of a file, each played once. Safe to ask from many threads."""

    def __init__(self, answers: list[RecordedAnswer]) -> None:
        self._left: dict[tuple[str, str], list[RecordedAnswer]] = defaultdict(list)
        for answer in answers:
            self._left[answer.method, urlsplit(answer.uri).path].append(answer)
        self._lock = Lock()
        self.hosts = frozenset(answer.host for answer in answers)

    def play(self, method: str, path: str, body: Any) -> RecordedAnswer | None:
        """The first unused answer to an equal request, which is then used; or None."""
        with self._lock:
            candidates = self._left.get((method, path), [])
            for position, answer in enumerate(candidates):
                if answer.request_body == body:
                    return candidates.pop(position)
        return None


def read_answers(path: Path) -> RecordedAnswers:
    """The answers in the file at ``path``. Raises `ScriptError`, naming the line."""
    try:
        lines = path.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ScriptError(f"{path}: the answers cannot be read: {error}") from error
    return RecordedAnswers(
        [_parsed(line, f"{path}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]
    )


def _parsed(line: str, place: str) -> RecordedAnswer:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise ScriptError(f"{place}: not JSON: {error}") from error
    missing = [key for key in _KEYS if not isinstance(record, dict) or key not in record]
    if missing:
        raise ScriptError(f"{place}: an answer needs {', '.join(_KEYS)}; this one has no {', '.join(missing)}")
    return RecordedAnswer(
        method=record["method"],
        uri=record["uri"],
        request_body=record["request_body"],
        status=record["status"],
        headers=record["response_headers"],
        body=record["response_body"],
    )
