"""``python -m scripts.behaviours``: record all cassettes of the library, and write docs/behaviours.md."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "behaviours.md"


def record_cassettes() -> None:
    """Replace the cassettes."""
    from scripts.behaviours.recording import record_all

    folder = ROOT / "cassettes" / "library"
    written = set[Path]()
    for path, content in record_all():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        written.add(file)
    for file in folder.glob("*/*.yaml"):
        if file not in written:
            file.unlink()
    print(f"{len(written)} cassettes in {folder.relative_to(ROOT)}")


def update_page() -> None:
    """Write the generated part of the page again."""
    from scripts.behaviours.page import write_page

    PAGE.write_text(write_page(PAGE.read_text("utf-8")), "utf-8")
    print(PAGE.relative_to(ROOT))


if __name__ == "__main__":
    if "--page" not in sys.argv:
        record_cassettes()
    update_page()
