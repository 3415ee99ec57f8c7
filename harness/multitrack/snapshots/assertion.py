"""``assert_calls``: the comparison of ``calls_snapshot``, with what is expected in the test instead of in a file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Unpack

from multitrack.snapshots.calls import gather
from multitrack.snapshots.comparison import compare
from multitrack.snapshots.rendering import render
from multitrack.snapshots.terms import Options, Terms

COMPARED = "multitrack_compared"
"""The attribute of the error that holds the calls expected, those that came, and how they differ."""


def assert_calls(actual: Iterable[object], expected: Iterable[object], **options: Unpack[Options]) -> None:
    """Assert that ``actual`` holds the ``expected`` calls, in whatever order unless ``ordered=True``.

    Both are iterables of calls: an ``Extraction``, models, `ToolCall`, tool calls of an SDK, dicts with ``name`` and
    ``arguments``. Values in ``expected`` may also be types, ``...`` for anything, and objects whose ``==`` decides,
    such as those of dirty-equals. The options are those of ``calls_snapshot``: see `Options`.

    Raises `AssertionError` with what differs call by call, `BadOption` for an option that cannot be, and a
    `TypeError` that names the path for what is no call.
    """
    __tracebackhide__ = True
    terms = Terms("assert_calls", **options)
    wanted = gather(expected, terms, expected=True)
    came = gather(actual, terms)
    comparison = compare(
        [terms.stored(call) for call in wanted.calls],
        came.calls,
        terms=terms,
        values=came.values if wanted.matchers else (),
    )
    # a value that was refused stands in its call, and differs from what is expected there, unless a function refused it
    refused = [str(error) for error in came.refused] if comparison.same else []
    if refused or not comparison.same:
        error = AssertionError("\n".join(["the calls are not those expected", *refused, *render(comparison)]))
        # for who tells which layer moved
        vars(error)[COMPARED] = wanted.calls, came.calls, comparison
        raise error
