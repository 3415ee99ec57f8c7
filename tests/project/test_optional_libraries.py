"""No test is left out unnoticed because a library is not installed."""

import re
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[2]
IMPORT = re.compile(r'importorskip\(\s*f?"(\w+)')
SESSION = re.compile(r"^def (\w+)\(session: nox.Session\)", re.MULTILINE)


def test_make_setup_or_a_session_of_nox_installs_each_library_that_a_test_needs():
    files = [path for path in ROOT.glob("tests/**/*.py") if path != Path(__file__)]
    needed = {name for path in files for name in IMPORT.findall(path.read_text(encoding="utf-8"))}
    assert {"openai", "respx", "mcp"} <= needed
    missing = {name for name in needed if find_spec(name) is None}
    assert missing <= set(SESSION.findall((ROOT / "noxfile.py").read_text(encoding="utf-8")))
