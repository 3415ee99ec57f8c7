"""The recorded and the written answers that the wires are tested with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CORPUS = ROOT / ".." / "shared" / "corpora" / "openllmetry.jsonl"
STREAMS = ("openai.chat.stream", "openai.responses.stream", "gemini.stream")


def written() -> list[tuple[str, dict[str, Any]]]:
    """Answers of our own, one for each quirk: the wire, and the line that holds one."""
    files = sorted((ROOT / "tests" / "data" / "answers").glob("*.jsonl"))
    return [(file.stem, json.loads(line)) for file in files for line in file.read_text("utf-8").splitlines()]


def recorded() -> list[dict[str, Any]]:
    """Real providers' answers."""
    if not CORPUS.exists():
        pytest.skip(f"the corpus of recorded answers is not at {CORPUS}")
    return [json.loads(line) for line in CORPUS.read_text("utf-8").splitlines()]


def body_of(answer: dict[str, Any]) -> bytes:
    """The bytes of a written answer."""
    body = answer["body"]
    return (body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)).encode()
