"""Add strings to a list in a project's pyproject.toml, without changing any other line of the file."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path

from multitrack.errors import MultitrackError


def add_to_list(pyproject: Path, text: str, key: str, values: Sequence[str]) -> str:
    """Return ``text``, the content of ``pyproject``, with ``values`` added to a list in ``[tool.multitrack]``.

    Args:
        pyproject: The path of the file, for messages.
        text: The content of the file.
        key: The name of the list, which is created if necessary.
        values: The strings to add. Strings that the list already contains are skipped.

    Raises:
        MultitrackError: The file is not valid TOML, or its layout is so unusual that the user must edit it by hand.
    """
    import tomlkit
    from tomlkit.items import Array, Table

    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise MultitrackError(f"{pyproject} was not changed, because it is not valid TOML: {error}") from None
    has_windows_lines = "\r\n" in text
    document = tomlkit.parse(text.replace("\r\n", "\n"))
    tool = document.setdefault("tool", tomlkit.table(is_super_table=True))
    table = tool.setdefault("multitrack", tomlkit.table())
    listed = table.get(key, []) if isinstance(table, Table) else None
    if not isinstance(listed, list):
        by_hand = f"{key} = {json.dumps(list(values), ensure_ascii=False)}"
        raise MultitrackError(
            f"{pyproject}: the setting cannot be added\n  add it to [tool.multitrack] by hand: {by_hand}"
        )
    added = [value for value in dict.fromkeys(values) if value not in listed]
    if not added:
        return text
    if isinstance(listed, Array):
        listed.extend(added)
    else:
        # the empty lines and comments at the end of a table belong to the header that follows
        body = table.value.body
        end = next((index for index in range(len(body), 0, -1) if body[index - 1][0] is not None), 0)
        following = body[end:]
        del body[end:]
        table[key] = added
        for _, item in following:
            table.add(item)
    changed = tomlkit.dumps(document)
    return changed.replace("\n", "\r\n") if has_windows_lines else changed
