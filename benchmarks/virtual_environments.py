"""Virtual environments for packages that cannot be installed together with the project's own requirements."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_FOLDER = Path("build")


def create_environment(requirements: Sequence[str], name: str, *, with_project: bool = True) -> str:
    """Return the interpreter of an environment with ``requirements``, and with this project unless it is left out.

    An existing environment is reused unless the requirements have changed.
    """
    folder = (_FOLDER / f"venv-{name}").resolve()
    python, stamp = folder / "bin" / "python", folder / "requirements.txt"
    wanted = "\n".join(requirements)
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        print(f"creating {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        install += ["--editable", "."] if with_project else []
        subprocess.run([python, *install, *requirements], check=True)
        stamp.write_text(wanted, encoding="utf-8")
    return str(python)
