"""The recorded and the written answers that the wires are tested with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from corpora import OPENLLMETRY, load_corpus

ROOT = Path(__file__).parents[2]
STREAMS = ("openai.chat.stream", "openai.responses.stream", "gemini.stream")


def written() -> list[tuple[str, dict[str, Any]]]:
    """Answers of our own, one for each quirk: the wire, and the line that holds one."""
    files = sorted((ROOT / "tests" / "data" / "answers").glob("*.jsonl"))
    return [(file.stem, json.loads(line)) for file in files for line in file.read_text("utf-8").splitlines()]


def recorded() -> list[dict[str, Any]]:
    """Real providers' answers."""
    return load_corpus(OPENLLMETRY)


def body_of(answer: dict[str, Any]) -> bytes:
    """The bytes of a written answer."""
    body = answer["body"]
    return (body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)).encode()
