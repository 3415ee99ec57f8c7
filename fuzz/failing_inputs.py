"""Keep the input on which a target fails, however the target fails."""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Callable
from pathlib import Path

from fuzz.seeds import FINDINGS, ROOT
from fuzz.time_limit import run_limited

CURRENT_INPUT = "current-input"
"""The name of the file with the input that is tried now."""

_LENGTH_SIZE = 8
_LARGEST_KEPT = 1_000_000


def keep_inputs(name: str, target: Callable[[bytes], None], current: Path) -> Callable[[bytes], None]:
    """Wrap ``target`` so that it writes a failing input to ``fuzz/findings/<name>/`` before it raises the error.

    Args:
        name: The name of the target.
        target: The target.
        current: A file that always has the current input, even if a signal kills the process.
    """
    current.write_bytes(bytes(_LENGTH_SIZE + _LARGEST_KEPT))
    with current.open("r+b") as file:
        # memory that the kernel writes to the file, because a system call for each input would take longer
        memory = mmap.mmap(file.fileno(), 0)

    def run(data: bytes) -> None:
        kept = data[:_LARGEST_KEPT]
        memory[: _LENGTH_SIZE + len(kept)] = len(kept).to_bytes(_LENGTH_SIZE, "big") + kept
        try:
            run_limited(target, data)
        except KeyboardInterrupt:
            raise
        except BaseException:
            save_finding(name, data)
            raise

    return run


def read_current_input(current: Path) -> bytes:
    """Return the input in the file that ``keep_inputs`` wrote."""
    content = current.read_bytes()
    length = int.from_bytes(content[:_LENGTH_SIZE], "big")
    return content[_LENGTH_SIZE : _LENGTH_SIZE + length]


def save_finding(name: str, data: bytes) -> Path:
    """Write an input that failed. Print its path, and the command that tries it again."""
    path = FINDINGS / name / f"crash-{digest(data)}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    print(f"{name}: failed on {path}\n{name}: try again: {format_command(name, path)}", flush=True)
    return path


def format_command(name: str, path: Path) -> str:
    """Return the command that tries the input in ``path`` again."""
    shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    return f"python -m fuzz {name} --input {shown}"


def digest(content: bytes) -> str:
    """Return a name for ``content``, the same one that libFuzzer uses."""
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()
