"""Runs a test several times as one; the one place that knows by which of its functions pytest runs a test.

As pytest-rerunfailures does, by the protocol of a test: hooks, fixtures and pytest-xdist see runs as ever.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence

import pytest
from _pytest.runner import runtestprotocol


def sampled(item: pytest.Item, nextitem: pytest.Item | None, times: int) -> Iterator[Sequence[pytest.TestReport]]:
    """Run ``item`` so many ``times``; gives the reports of each run, none of which was logged. Its own fixtures are
    set up for each, those of wider scope live on until ``nextitem`` ends them."""
    for run in range(1, times + 1):
        # another item below the same parents: what is torn down before it, is this one's own
        following = nextitem if run == times else copy.copy(item)
        yield runtestprotocol(item, log=False, nextitem=following)
