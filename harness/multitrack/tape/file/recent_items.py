"""Limit a dictionary to the items that were used most recently."""

from __future__ import annotations

from typing import Any


def keep_last(items: dict[Any, Any], key: Any, value: Any, limit: int) -> None:
    """Add an item at the end of ``items``, and remove the first items until at most ``limit`` are left."""
    items[key] = value
    for other in list(items)[:-limit]:
        items.pop(other, None)
