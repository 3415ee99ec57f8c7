"""Real provider responses and prompts that several test folders read; see tests/data/corpora/README.md."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "data" / "corpora"
OPENLLMETRY = FOLDER / "openllmetry.jsonl"
OPENLLMETRY_ANTHROPIC_BEDROCK = FOLDER / "openllmetry_anthropic_bedrock.jsonl"
BFCL = FOLDER / "bfcl_live_parallel.jsonl"


@cache
def load_corpus(path: Path) -> list[dict[str, Any]]:
    """Return the records of a corpus. They are shared between tests, so do not change them."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
