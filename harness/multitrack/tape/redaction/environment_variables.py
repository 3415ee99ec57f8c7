"""Read all environment variables quickly.

The module imports no other module of Multitrack, because the plugin uses it in every run.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

_CURRENT_TEST = (b"PYTEST_CURRENT_TEST", "PYTEST_CURRENT_TEST")


def copy_variables(environment: Mapping[str, str]) -> dict[str | bytes, str | bytes]:
    """Return the variables of ``environment``. The variables of ``os.environ`` stay encoded.

    ``PYTEST_CURRENT_TEST`` is left out, because pytest changes it in each phase of a test.
    """
    # a private attribute, because os.environ decodes all its values each time
    encoded: Mapping[Any, Any] = getattr(environment, "_data", environment)
    variables: dict[str | bytes, str | bytes] = dict(encoded)
    for current in _CURRENT_TEST:
        variables.pop(current, None)
    return variables


def decode(text: str | bytes) -> str:
    """Return the decoded form of a name or a value from ``copy_variables``."""
    return os.fsdecode(text)
