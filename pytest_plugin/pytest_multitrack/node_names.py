"""The name of a test, by which a tape knows what is its own."""

from __future__ import annotations

import pytest


def of(item: pytest.Item) -> str:
    """The node id of ``item`` as it is on a command line: ``--dist loadgroup`` of pytest-xdist puts the name of a
    group behind it, and only where it runs tests in several processes."""
    if item.parent is None:
        return item.nodeid
    plain = f"{item.parent.nodeid}::{item.name}"
    return plain if item.nodeid.startswith(f"{plain}@") else item.nodeid
