"""Facts about the last run of pytest, for later commands such as ``multitrack prune``.

The facts are in one file of pytest's cache, ``.pytest_cache/v/multitrack/run``. The plugin writes it at the end of each
run that used a cassette, after it has merged the results of all processes of pytest-xdist.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from multitrack.errors import MultitrackError

VERSION = 1
CACHE_KEY = "multitrack/run"
"""The key in pytest's cache."""


@dataclass(frozen=True, slots=True)
class UsedCassette:
    """A cassette that the run used.

    Args:
        size: The size of the file in bytes.
        mtime_ns: The time of its last change, as ``os.stat`` returns it.
        played: The positions of the interactions that were replayed, from 1.
        is_open: Whether a test that uses the cassette was skipped, or is an xfail. Such a test may replay
            more of the cassette in another run.
    """

    size: int
    mtime_ns: int
    played: Sequence[int]
    is_open: bool = False

    def fits(self, path: Path) -> bool:
        """Return whether the file at ``path`` is the one that the run used."""
        stat = path.stat()
        return (stat.st_size, stat.st_mtime_ns) == (self.size, self.mtime_ns)


@dataclass(frozen=True, slots=True)
class RunFacts:
    """The facts about one run.

    Args:
        limit: Why the run does not show which recordings are unused, as the end of a sentence that begins with "this
            run". None if the run shows it, because all tests ran, replayed and passed.
        cassettes: The cassettes that the run used, by their path relative to pytest's root folder.
        collected: The cassettes of all collected tests, relative to the same folder.
    """

    limit: str | None = None
    cassettes: Mapping[str, UsedCassette] = field(default_factory=dict)
    collected: Sequence[str] = ()

    def to_plain(self) -> dict[str, Any]:
        """Return the facts as a dictionary that can be represented as JSON."""
        return {"version": VERSION, **asdict(self)}


def read_facts(root: Path) -> RunFacts:
    """Return the facts of the last run in pytest's root folder ``root``.

    Raises:
        MultitrackError: There are none, they are damaged, or another version of Multitrack wrote them.
    """
    path = root.joinpath(".pytest_cache", "v", *CACHE_KEY.split("/"))
    again = "  run all tests with pytest, and then repeat this command"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document.pop("version") != VERSION:
            raise MultitrackError(f"another version of Multitrack wrote the results of the last run\n{again}")
        cassettes = {name: UsedCassette(**used) for name, used in document.pop("cassettes").items()}
        return RunFacts(cassettes=cassettes, **document)
    except FileNotFoundError:
        raise MultitrackError(f"{root}: there are no results of a run with cassettes\n{again}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MultitrackError(f"{path}: the results of the last run are damaged: {error}\n{again}") from error
