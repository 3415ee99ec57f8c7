"""Redact the parameter ids that a test sets itself, with ``ids=`` or ``pytest.param(id=...)``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import pytest


def redact_parameter_ids(metafunc: pytest.Metafunc, redact: Callable[[Any], Any]) -> None:
    """Apply ``redact`` to each id that a test or a fixture sets.

    Different secrets get the same placeholder, so the ids are redacted before pytest makes them unique.
    """
    # Undocumented, but not in `pytest_internals`, which runs without a cassette do not import. If `parametrize` itself
    # were replaced, pytest's warnings would name our code as their location.
    original = getattr(metafunc, "_resolve_parameter_set_ids", None)
    if original is None:
        return

    def resolve(argnames: Any, ids: Any, parametersets: Sequence[Any], **options: Any) -> Any:
        if callable(ids):
            find_id, ids = ids, lambda value: redact(find_id(value))
        elif isinstance(ids, Collection):
            ids = list(map(redact, ids))
        elif isinstance(ids, Iterable):
            ids = map(redact, ids)
        redacted = [one if one.id is None else one._replace(id=redact(one.id)) for one in parametersets]
        return original(argnames, ids, redacted, **options)

    vars(metafunc)["_resolve_parameter_set_ids"] = resolve
