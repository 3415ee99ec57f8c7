"""Recognize the versions of installed packages in the text of requests."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from importlib import metadata


@lru_cache(maxsize=1)
def _list_names_by_version() -> Mapping[str, Collection[str]]:
    names: dict[str, set[str]] = {}
    for distribution in metadata.distributions():
        if name := distribution.metadata["Name"]:
            names.setdefault(distribution.version, set()).add(name)
    return names


def find_installed_package(version: str, text: str) -> str | None:
    """Return the name of an installed package with this ``version``, or ``None`` if no package has it.

    A number with two parts, such as 0.5, is not always a version. It is treated as a version only if ``text`` also
    contains the name of the package.
    """
    if re.match(r"\d+\.\d", version) is None:
        return None
    names = sorted(_list_names_by_version().get(version, ()))
    mentioned = [name for name in names if re.search(rf"(?i)\b{re.escape(name)}(?:\b|_)", text)]
    if mentioned:
        return mentioned[0]
    return names[0] if names and version.count(".") > 1 else None
