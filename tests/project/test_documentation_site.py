"""The documentation site: the navigation in mkdocs.yml. ``make docs`` checks the links."""

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def test_the_navigation_contains_every_page_once():
    navigation = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    docs = ROOT / "docs"
    pages = [str(page.relative_to(docs)) for page in docs.rglob("*.md")]
    assert sorted(paths(navigation)) == sorted(pages)


def paths(navigation):
    """Yield the paths in ``navigation``, a list of ``{title: path or list}``."""
    for entry in navigation:
        for target in entry.values():
            if isinstance(target, list):
                yield from paths(target)
            else:
                yield target
