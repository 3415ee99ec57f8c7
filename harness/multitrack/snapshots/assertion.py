"""``assert_calls``, which compares calls as ``calls_snapshot`` does, but with expected calls in the test itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Unpack

from multitrack.errors import BadOption
from multitrack.snapshots.collected_calls import collect_calls
from multitrack.snapshots.comparison import compare_calls
from multitrack.snapshots.comparison_options import ComparisonKeywords, ComparisonOptions
from multitrack.snapshots.rendering import render_comparison

COMPARISON_ATTRIBUTE = "multitrack_compared"
"""The attribute of the raised error that holds the expected calls, the received ones, and their comparison."""


def assert_calls(
    actual: Iterable[object], expected: Iterable[object] | None = None, **options: Unpack[ComparisonKeywords]
) -> None:
    """Assert that ``actual`` contains the ``expected`` calls and, unless ``subset=True``, no others.

    Unless ``ordered=True``, the order of the calls does not matter.

    Args:
        actual: The calls: an ``Extraction``, models, ``ToolCall``, an SDK's tool calls, or dicts with ``name`` and
            ``arguments``.
        expected: Calls of the same kinds. A value in them can also be a type, ``...`` for any value, or an object
            with its own ``==``, such as a dirty-equals matcher. If None, which is the default, no calls are compared.
            The ``only`` and ``never`` options still check the names of the tools.
        **options: The options of ``calls_snapshot``, see ``ComparisonKeywords``.

    Raises:
        AssertionError: The calls differ. The message lists the differences call by call.
        BadOption: An option has a value that it does not accept. Also raised if ``expected``, ``only`` and ``never``
            are all missing, because there is then nothing to check.
        TypeError: A value is not a call, or cannot be compared. The message contains its path.
    """
    __tracebackhide__ = True
    if expected is None:
        options = {**options, "subset": True}
    comparison_options = ComparisonOptions("assert_calls", **options)
    if expected is None and not comparison_options.restricts_tools:
        raise BadOption("assert_calls: pass the expected calls, or use only= or never=")
    wanted = collect_calls(() if expected is None else expected, comparison_options, is_expected=True)
    received = collect_calls(actual, comparison_options)
    comparison = compare_calls(
        [comparison_options.replace_values(call) for call in wanted.calls],
        received.calls,
        options=comparison_options,
        values=received.values if wanted.has_matchers else (),
    )
    # A call keeps a value that the `match` option rejects, so the call usually differs from the expected call. If a
    # function that was passed as `match` also rejects the expected value, the calls are the same.
    rejected = [str(error) for error in received.rejected] if comparison.is_same else []
    if rejected or not comparison.is_same:
        lines = ["the calls differ from the expected ones", *rejected, *render_comparison(comparison)]
        error = AssertionError("\n".join(lines))
        # the diagnosis reads this attribute to find the layer that changed
        vars(error)[COMPARISON_ATTRIBUTE] = wanted.calls, received.calls, comparison
        raise error
