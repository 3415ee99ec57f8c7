"""Build the command that installs missing packages."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from importlib import metadata

_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(?:\[(?P<extras>[\w, -]+)\])?(?P<specifier>[^;]*)")
_EXTRA = re.compile(r"extra\s*==\s*['\"](?P<name>[\w-]+)['\"]")


def find_install_command(extra: str) -> str:
    """Return the command that installs the missing packages of ``extra``, or all of its packages if none is missing.

    The command lists the packages instead of the extra, because Multitrack may have been installed from a folder, a
    wheel or a repository. ``pip install 'multitrack[…]'`` would then look for Multitrack on an index.
    """
    requirements = list(dict.fromkeys(_list_requirements(extra)))
    missing = [requirement for requirement in requirements if not _is_installed(requirement)]
    return f"pip install {' '.join(map(shlex.quote, missing or requirements))}"


def _list_requirements(extra: str) -> Iterator[str]:
    for line in metadata.requires("multitrack") or ():
        requirement, _, marker = line.partition(";")
        match, of_extra = _REQUIREMENT.match(requirement.strip()), _EXTRA.search(marker)
        if match is None or of_extra is None or of_extra["name"] != extra:
            continue
        if match["name"] == "multitrack":
            for other in match["extras"].split(","):
                yield from _list_requirements(other.strip())
        else:
            yield requirement.strip()


def _is_installed(requirement: str) -> bool:
    match = _REQUIREMENT.match(requirement)
    try:
        metadata.distribution(match["name"] if match else requirement)
    except metadata.PackageNotFoundError:
        return False
    return True
