"""Find the name of a test without the suffix that a plugin adds when it repeats the test.

All repetitions of a test use the same cassette and the same snapshot.
"""

from __future__ import annotations

import re
from typing import Any

_LAST_IDS = ("__pytest_repeat_step_number", "__pytest_loop_step_number")
"""The parameters of pytest-repeat and pytest-loop. Their ids come last: ``1-3`` is the first of three runs."""

_FIRST_ID = "__flakefinder_"
"""The prefix of pytest-flakefinder's parameter, whose id is the number of the run and comes first."""


def get_unrepeated_name(item: Any) -> str:
    """Return the name of a pytest ``item`` without the suffix that a repetition adds.

    For example, it is ``test_ask[fr]`` for the item ``test_ask[fr-1-3]``.
    """
    name: str = item.name
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    for parameter, value in parameters.items():
        if parameter in _LAST_IDS:
            name = re.sub(rf"(\[|-){int(value) + 1}-\d+\]$", _close_bracket, name)
        elif parameter.startswith(_FIRST_ID):
            name = re.sub(rf"\[{int(value)}(-|\]$)", lambda match: "[" if match[1] == "-" else "", name, count=1)
    return name


def get_unrepeated_nodeid(item: Any) -> str:
    """Return the node id of a pytest ``item`` without the suffix that a repetition adds."""
    name = get_unrepeated_name(item)
    nodeid: str = item.nodeid
    return nodeid if name == item.name else f"{item.parent.nodeid}::{name}"


def _close_bracket(match: re.Match[str]) -> str:
    return "" if match[1] == "[" else "]"
