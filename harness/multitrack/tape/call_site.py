"""Find the frames of the user's code that sent a request."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Sequence
from traceback import FrameSummary
from types import FrameType

_OWN_PACKAGES = frozenset({"multitrack", "pytest_multitrack"})
_INSTALLED = tuple(f"{os.sep}{folder}{os.sep}" for folder in ("site-packages", "dist-packages"))
_STANDARD_LIBRARY = tuple(
    f"{path}{os.sep}" for path in {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")} if path
)


def is_user_frame(frame: FrameType) -> bool:
    """Return whether ``frame`` is in the user's code.

    Multitrack, installed packages and the standard library do not count.
    """
    file = frame.f_code.co_filename
    if file.startswith("<"):
        return file.startswith("<doctest ")
    if frame.f_globals.get("__name__", "").partition(".")[0] in _OWN_PACKAGES:
        return False
    return not any(folder in file for folder in _INSTALLED) and not file.startswith(_STANDARD_LIBRARY)


def find_user_frames() -> Sequence[FrameSummary]:
    """Return the frames of the user's code in the current call stack, outermost first.

    The result is empty in a thread or a task that a library started.
    """
    found: list[FrameSummary] = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if is_user_frame(frame):
            code = frame.f_code
            found.append(FrameSummary(code.co_filename, frame.f_lineno, code.co_name, lookup_line=False))
        frame = frame.f_back
    return found[::-1]


def format_call_site(frames: Sequence[FrameSummary], folder: str) -> str | None:
    """Return the file (relative to ``folder``), line and function of the innermost of ``frames``.

    ``None`` if there are no frames.
    """
    if not frames:
        return None
    innermost = frames[-1]
    file = innermost.filename
    if file.startswith(f"{folder}{os.sep}"):
        file = file[len(folder) + 1 :]
    return f"{file}:{innermost.lineno} (in {innermost.name})"
