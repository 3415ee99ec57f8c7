"""Python environments for what cannot be installed beside the project's own requirements."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_FOLDER = Path("build")


def python_with(requirements: Sequence[str], name: str) -> str:
    """The interpreter of an environment with this project and ``requirements``; made anew when these change."""
    folder = (_FOLDER / f"venv-{name}").resolve()
    python, stamp = folder / "bin" / "python", folder / "requirements.txt"
    wanted = "\n".join(requirements)
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        print(f"setting up {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--editable", "."]
        subprocess.run([python, *install, *requirements], check=True)
        stamp.write_text(wanted, encoding="utf-8")
    return str(python)
