"""Before a run begins, check that its report files can be written."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest


def resolve_targets(
    flag: str, names: Sequence[str], folder: Path, suffixes: Sequence[str], hint: str = ""
) -> list[Path]:
    """Return the paths of the report files that were passed to an option.

    Args:
        flag: The option, for messages.
        names: The values of the option: paths relative to ``folder``.
        folder: The folder in which the run was started.
        suffixes: The suffixes of the supported report formats.
        hint: The end of the message about an unknown suffix.

    Raises:
        pytest.UsageError: A path has an unknown suffix or cannot be written.
    """
    files = []
    for name in names:
        if Path(name).suffix not in suffixes:
            raise pytest.UsageError(f"{flag}={name}: pass a path that ends in {', '.join(suffixes)}{hint}")
        files.append(folder / name)
        check_target(f"{flag}={name}", files[-1])
    return files


def check_target(option: str, file: Path) -> None:
    """Check that ``file`` can be written.

    Args:
        option: The option and its value, for the error message.
        file: The report file.

    Raises:
        pytest.UsageError: ``file`` cannot be written.
    """
    if (obstacle := _find_obstacle(file)) is not None:
        raise pytest.UsageError(
            f"{option}: the report cannot be written: {obstacle}; pass another path, or fix the problem"
        )


def _find_obstacle(file: Path) -> str | None:
    """Return why ``file`` cannot be written, or ``None`` if no obstacle is known.

    The check leaves no new file behind, because another usage error may still end the run.
    """
    try:
        if file.is_dir():
            return f"{file} is a folder"
        # the folders that do not exist are created with the report
        existing = next(path for path in (file, *file.parents) if path.exists())
        if existing == file:
            # opening a pipe would wait for its reader
            if file.is_file():
                file.open("ab").close()
        elif not existing.is_dir():
            return f"{existing} is not a folder"
        else:
            # asking for the permissions is not enough: the file system may be read-only
            tempfile.TemporaryFile(dir=existing).close()
    except OSError as error:
        return f"{error.filename or file}: {error.strerror or error}"
    except ValueError as error:  # a null character
        return str(error)
    return None
