"""The recorded and the hand-written answers that the tests of the wire formats use."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from corpora import OPENLLMETRY, OPENLLMETRY_ANTHROPIC_BEDROCK, load_corpus

ROOT = Path(__file__).parents[2]
STREAMS = (
    "openai.chat.stream",
    "openai.responses.stream",
    "gemini.stream",
    "anthropic.stream",
    "bedrock.stream",
    "ollama.stream",
    "xai.stream",
)


def load_written_answers() -> list[tuple[str, dict[str, Any]]]:
    """Return the hand-written answers, one for each quirk, as pairs of the wire format and the line of its file."""
    files = sorted((ROOT / "tests" / "data" / "answers").glob("*.jsonl"))
    return [(file.stem, json.loads(line)) for file in files for line in file.read_text("utf-8").splitlines()]


def load_recorded_answers() -> list[dict[str, Any]]:
    """Return the answers of real providers."""
    return [*load_corpus(OPENLLMETRY), *load_corpus(OPENLLMETRY_ANTHROPIC_BEDROCK)]


def read_body(line: dict[str, Any]) -> bytes:
    """Return the bytes of a recorded answer."""
    return base64.b64decode(line["response_b64"]) if "response_b64" in line else line["response_body"].encode()


def load_recorded_exchanges() -> list[dict[str, Any]]:
    """Return the answers of real providers that are recorded with their requests."""
    return load_corpus(OPENLLMETRY)


def encode_body(answer: dict[str, Any]) -> bytes:
    """Return the bytes of a hand-written answer."""
    body = answer["body"]
    return (body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)).encode()
