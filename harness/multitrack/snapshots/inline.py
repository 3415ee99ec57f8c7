"""Support inline-snapshot: ``assert extraction == snapshot([...])`` writes the models into the test.

inline-snapshot finds this module through Multitrack's ``inline_snapshot`` entry point
(https://15r10nk.github.io/inline-snapshot/latest/plugin/); nothing else imports it. inline-snapshot compares with
``==``. The order of the calls therefore matters, and the options of ``calls_snapshot`` do not apply.
"""

from __future__ import annotations

import sys
from typing import Any

from inline_snapshot.plugin import customize


@customize
def extraction_as_list(value: Any) -> Any:
    """Return the models of an ``Extraction`` as a list, which inline-snapshot can write, or ``None`` if ``value`` is
    not an ``Extraction``.
    """
    # if there is an Extraction, its module is already imported; a run without one need not import the module
    extraction = sys.modules.get("multitrack.extraction")
    if extraction is not None and isinstance(value, extraction.Extraction):
        return list(value)
    return None
