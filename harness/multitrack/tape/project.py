"""The settings of a project: ``[tool.multitrack]`` in its pyproject.toml."""

from __future__ import annotations

import copy
import tomllib
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from multitrack.errors import BadOption
from multitrack.tape.model_paths import ModelPaths
from multitrack.tape.settings import Settings

SNAPSHOT_IGNORE = "snapshot_ignore"
"""The setting that ``multitrack ignore`` adds paths to."""


@dataclass(frozen=True, slots=True)
class Project:
    """The settings of a project."""

    settings: Settings = field(default_factory=Settings)
    cassettes_dir: Path | None = None
    """The root of all cassettes. ``None`` for a ``cassettes`` folder next to each test file."""
    models: ModelPaths = ModelPaths()  # noqa: RUF009 - it is frozen
    """The import paths of the models for recorded tool calls."""
    allow_ci_writes: bool = False
    """True if runs may write cassettes and snapshots while the ``CI`` environment variable is set."""
    snapshot_ignore: tuple[str, ...] = ()
    """Paths of values that no ``calls_snapshot`` compares, in addition to the paths that the test ignores."""
    block_network: bool = False
    """True if tests must not connect to the network, unless their cassette is being recorded."""


def find_pyproject(folder: Path) -> Path | None:
    """Return the first pyproject.toml in ``folder`` or above it, ``None`` if there is none."""
    return next((file for up in (folder, *folder.parents) if (file := up / "pyproject.toml").exists()), None)


def read_nearest(folder: Path) -> Project:
    """Return the settings of the project that contains ``folder``, or the defaults if there is no pyproject.toml."""
    file = find_pyproject(folder)
    return Project() if file is None else read(file)


def read(pyproject: Path) -> Project:
    """Return the settings in the file ``pyproject``, or the defaults if the file or the table does not exist.

    Raises:
        BadOption: A key is unknown, a value has the wrong type, or the file is not valid TOML.
    """
    try:
        options = copy.deepcopy(_parse_table(pyproject.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return Project()
    except tomllib.TOMLDecodeError as error:
        raise BadOption(f"{pyproject}: {error}") from error
    if not isinstance(options, dict):
        raise BadOption(f"{pyproject}: [tool.multitrack] must be a table, not {options!r}")
    folder = options.pop("cassettes_dir", None)
    if folder is not None and not isinstance(folder, str):
        raise BadOption(f"{pyproject}: [tool.multitrack] cassettes_dir must be a path, not {folder!r}")
    flags = {name: options.pop(name, False) for name in ("allow_ci_writes", "block_network")}
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise BadOption(f"{pyproject}: [tool.multitrack] {name} must be true or false, not {value!r}")
    ignored = options.pop(SNAPSHOT_IGNORE, [])
    if not isinstance(ignored, list) or not all(isinstance(path, str) for path in ignored):
        raise BadOption(f"{pyproject}: [tool.multitrack] {SNAPSHOT_IGNORE} must be a list of strings, not {ignored!r}")
    models = ModelPaths.from_table(options.pop("models", {}), f"{pyproject}: [tool.multitrack]")
    settings = Settings().with_options(options, f"{pyproject}: [tool.multitrack]")
    root = None if folder is None else pyproject.parent / folder
    return Project(settings, root, models, snapshot_ignore=tuple(ignored), **flags)


# outside of a pytest run, each use_cassette reads the settings, and parsing a large file takes 10 ms
@lru_cache(maxsize=4)
def _parse_table(text: str) -> Any:
    tools = tomllib.loads(text).get("tool", {})
    return tools.get("multitrack", {}) if isinstance(tools, dict) else {}
