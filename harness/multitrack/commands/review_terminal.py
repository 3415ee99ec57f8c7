"""``multitrack review`` in a terminal: show the items, and ask for a decision about each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from multitrack.commands.command_output import echo, redact_output
from multitrack.commands.review_decisions import Decisions, explain_refusal
from multitrack.commands.review_items import ReviewItem, ignore_paths
from multitrack.printable import escape_line
from multitrack.word_changes import split_changes

KEYS = "a accept · r reject · i ignore · s skip · A accept all like this · S skip all like this · q quit · ? help"
_WORDS = {"a": "accept", "A": "accept", "r": "reject", "i": "ignore"}
_HELP = (
    "a  accept the item",
    "r  reject the item: remove the pending recording",
    "i  ignore the path of a changed argument, in all snapshots of the project, from now on",
    "s  skip the item, and leave it unchanged",
    "A  accept this item and every other item of the same kind and title",
    "S  skip this item and every other item of the same kind and title",
    "q  quit: carry out the decisions so far, and leave everything else unchanged",
)


def go_through(
    items: Sequence[ReviewItem],
    read_key: Callable[[], str],
    show: Callable[[str], None],
    show_item: Callable[[ReviewItem, str], None] | None = None,
) -> Decisions:
    """Ask for a decision about each item.

    Args:
        items: The items.
        read_key: Waits for a key, and returns it. An empty string means the end of the input.
        show: Prints a line.
        show_item: Prints an item and its position (default: ``show`` the lines of ``format_item``).
    """
    decided = Decisions()
    for_all: dict[tuple[str, str], str] = {}
    for number, listed in enumerate(items, start=1):
        item = ignore_paths(listed, decided.list_ignored())
        if item is None:
            show("")
            show(
                f"{listed.id}  skipped: the only difference is in {', '.join(listed.paths)}, which you chose to ignore"
            )
        key = for_all.get((listed.kind, listed.title))
        while item is not None and key is None:
            position = f"{number} of {len(items)}"
            if show_item is not None:
                show_item(item, position)
            else:
                for line in format_item(item, position):
                    show(line)
            show(KEYS)
            if (key := _ask(item, read_key, show)) == "i" and (path := _ask_for_path(item.paths, read_key, show)):
                decided.ignored.setdefault(listed.id, []).append(path)
                item, key = ignore_paths(item, decided.list_ignored()), None
            elif key == "i":
                key = None
        if key == "q":
            break
        if key in ("A", "S"):
            for_all[listed.kind, listed.title] = key = key.lower()
        if item is None:
            continue
        if key == "a" and "accept" in item.decisions:
            decided.words[item.id] = "accept"
        elif key == "r":
            decided.words[item.id] = "reject"
    return decided


def _ask(item: ReviewItem, read_key: Callable[[], str], show: Callable[[str], None]) -> str:
    allowed = {"s", "S", "q", "?"}
    allowed |= {"a", "A"} if "accept" in item.decisions else set()
    allowed |= {"r"} if "reject" in item.decisions else set()
    allowed |= {"i"} if "ignore" in item.decisions else set()
    while (key := read_key()) not in allowed - {"?"}:
        if not key:
            return "q"
        if key == "?":
            for line in _HELP:
                show(line)
        elif (word := _WORDS.get(key)) is not None:
            show(explain_refusal(word, item).replace("\n  ", "; "))
        else:
            show(KEYS)
    return key


def _ask_for_path(paths: Sequence[str], read_key: Callable[[], str], show: Callable[[str], None]) -> str:
    """Return the path to ignore. Empty if none was chosen."""
    if len(paths) == 1:
        return paths[0]
    offered = dict(zip("123456789", paths, strict=False))
    show(" · ".join(f"{key} {path}" for key, path in offered.items()) + " · any other key: none")
    return offered.get(read_key(), "")


def format_item(item: ReviewItem, position: str = "") -> Iterator[str]:
    """Yield the lines that show an item."""
    yield from _format_heading(item, position)
    yield from (f"    {line}" for line in item.lines)
    yield from _format_end(item)


def print_side_by_side(item: ReviewItem, position: str = "") -> None:
    """Print an item in a terminal, with the old and the new values next to each other, and in colour.

    Without rich, print the lines of ``format_item``. rich uses no colours if ``NO_COLOR`` is set.
    """
    try:
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        for line in format_item(item, position):
            echo(line)
        return

    def clean(text: str) -> str:
        return escape_line(redact_output(text))

    def show(lines: Iterable[str], style: str = "") -> None:
        for line in lines:
            console.print(Text(clean(line), style), soft_wrap=True)

    console = Console(highlight=False)
    empty, heading, *tests = _format_heading(item, position)
    show([empty])
    show([heading], "bold")
    show(tests)
    if item.changes:
        table = Table("", "old", "new", box=box.SIMPLE_HEAD)
        for change in item.changes:
            sides = _style_words(clean(change.old or ""), clean(change.new or ""))
            cells = (
                Text("(absent)", "dim") if value is None else Text.assemble(*parts)
                for value, parts in zip((change.old, change.new), sides, strict=True)
            )
            table.add_row(Text(clean(change.field), "bold"), *cells)
        console.print(table)
    else:
        show(f"    {line}" for line in item.lines)
    show(item.request, "dim")
    if item.command:
        show([_format_command(item)], "cyan")


def _style_words(old: str, new: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Split the old and the new text into parts, each with its style. The styles highlight the words that differ."""
    sides: tuple[list[tuple[str, str]], list[tuple[str, str]]] = ([], [])
    for part in split_changes(old, new):
        mark = "" if part.kind == "same" else "bold underline "
        if part.kind != "added":
            sides[0].append((part.text, f"{mark}red"))
        if part.kind != "removed":
            sides[1].append((part.text, f"{mark}green"))
    return sides


def _format_heading(item: ReviewItem, position: str) -> Iterator[str]:
    where = f"  {item.file}" if item.file else ""
    yield ""
    yield f"{item.id}  {item.kind}{where}{f'  ({position})' if position else ''}"
    yield from (f"  {test}" for test in item.tests)


def _format_end(item: ReviewItem) -> Iterator[str]:
    yield from item.request
    if item.command:
        yield _format_command(item)


def _format_command(item: ReviewItem) -> str:
    return f"  {'to run the test again' if item.is_outdated else 'to settle it'}: {item.command}"
