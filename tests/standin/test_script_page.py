"""docs/stand-in.md describes every key of a script, and its scripts are valid."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from multitrack.standin import Rule, ScriptedCall, ScriptedError, read_rules

PAGE = Path(__file__).parents[2] / "docs" / "stand-in.md"


@pytest.mark.parametrize("described", [Rule, ScriptedCall, ScriptedError])
def test_every_key_is_described(described):
    text = PAGE.read_text(encoding="utf-8")
    sections = {ScriptedCall: ("## A call", "## An error"), ScriptedError: ("## An error", None)}
    start, end = sections.get(described, ("## Conditions", "## A call"))
    section = text[text.index(start) : text.index(end) if end else None]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert sorted(re.findall(r"`(\w+)`", "".join(rows))) == sorted(field.name for field in fields(described))


def test_the_script_is_valid(tmp_path):
    [script] = re.findall(r"^```yaml[^\n]*\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    (tmp_path / "script.yaml").write_text(script, encoding="utf-8")
    assert len(read_rules(tmp_path / "script.yaml")) == 3
