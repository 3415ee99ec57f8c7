"""Show the progress of long work: a bar in a terminal if rich is installed, otherwise a line every 10 seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress

_T = TypeVar("_T")
BAR_DELAY = 0.5
"""The seconds before a bar appears, so that a quick command neither flickers nor imports rich."""
LINE_INTERVAL = 10.0
"""The seconds between two lines where there is no bar."""


def track(items: Iterable[_T], action: str, *, clock: Callable[[], float] = time.monotonic) -> Iterator[_T]:
    """Yield the items, and show on standard error how many are done.

    Args:
        items: The items.
        action: What the caller does with the items, such as ``converting cassettes``.
        clock: Returns the time in seconds.
    """
    listed = list(items)
    wants_bar = sys.stderr.isatty()
    started = shown = clock()
    bar: Progress | None = None
    try:
        for done, item in enumerate(listed):
            now = clock()
            if bar is None and wants_bar and now - started >= BAR_DELAY:
                bar = _start_bar(action, len(listed))
                wants_bar = bar is not None
            if bar is not None:
                bar.update(bar.task_ids[0], completed=done)
            elif not wants_bar and now - shown >= LINE_INTERVAL:
                print(progress_line(action, done, len(listed)), file=sys.stderr, flush=True)  # noqa: T201
                shown = now
            yield item
    finally:
        if bar is not None:
            bar.stop()


def progress_line(action: str, done: int, total: int) -> str:
    """Return the line that is printed instead of a progress bar if there is no terminal."""
    return f"multitrack: {action}: {done:,} of {total:,}"


def draw_bar(action: str, done: int, total: int, *, width: int) -> str | None:
    """Return a progress bar as one line of at most ``width`` columns, without a newline. None if rich is not installed.

    Use this function if the caller also prints other lines to the terminal, and must therefore show the bar itself.
    """
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    except ImportError:
        return None
    console = Console(force_terminal=True, width=width)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(separator=" of ")
    bar = Progress(*columns, console=console, auto_refresh=False)
    bar.add_task(action, total=total, completed=done)
    with console.capture() as capture:
        console.print(bar, no_wrap=True, overflow="crop", crop=True)
    return capture.get().split("\n")[0].rstrip()


def _start_bar(action: str, total: int) -> Progress | None:
    """Return a running progress bar, which disappears at the end. None if rich is not installed."""
    try:
        from rich.console import Console
        from rich.progress import Progress
    except ImportError:
        return None
    bar = Progress(console=Console(stderr=True), transient=True)
    bar.add_task(action, total=total)
    bar.start()
    return bar
