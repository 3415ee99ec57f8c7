"""``assert extraction == snapshot([...])``: what inline-snapshot writes into a test for an ``Extraction``.

inline-snapshot finds this module by the entry point ``inline_snapshot`` of the distribution
(https://15r10nk.github.io/inline-snapshot/latest/plugin/); nothing else imports it. It compares by ``==``, and so as a
list: in order, and without the options of ``calls_snapshot``.
"""

from __future__ import annotations

import sys
from typing import Any

from inline_snapshot.plugin import customize


@customize
def extraction_as_list(value: Any) -> Any:
    """An ``Extraction`` as the list of its models, each of which inline-snapshot can write."""
    # imported by whoever made one: a run without extractions does not pay for it
    extraction = sys.modules.get("multitrack.extraction")
    if extraction is not None and isinstance(value, extraction.Extraction):
        return list(value)
    return None
